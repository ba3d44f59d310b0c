/** The words of RFC 4787 for what a NAT or a firewall does. Shared by the probes that find out and the lab that imitates. */

/** RFC 4787 §4.1. `none` is natcheck's word for: the address is not translated at all. */
export type MappingBehavior = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'

/** RFC 4787 §5. An open host filters nothing: that is `endpoint-independent`. */
export type FilteringBehavior = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'

/** RFC 3489 §10.1, the classic names that people search for. */
export type ClassicNatType =
  | 'udp-blocked'
  | 'open-internet'
  | 'symmetric-udp-firewall'
  | 'full-cone'
  | 'restricted-cone'
  | 'port-restricted-cone'
  | 'symmetric'
