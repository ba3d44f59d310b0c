/** Firewalls without memory that people really sit behind. */
import type { FirewallRule } from './router.ts'

/** UDP vanishes, TCP passes: the strict office network. */
export const udpBlackHole: FirewallRule = (packet) => (packet.kind === 'udp' ? 'drop' : 'pass')

/** UDP is refused by ICMP administratively-prohibited, TCP passes. */
export const udpProhibited: FirewallRule = (packet) => (packet.kind === 'udp' ? 'admin-prohibited' : 'pass')

/** TCP vanishes, UDP passes. */
export const tcpBlackHole: FirewallRule = (packet) => (packet.kind === 'tcp' ? 'drop' : 'pass')

/** Nothing passes in either direction. */
export const nothingPasses: FirewallRule = () => 'drop'

/**
 * Drops UDP datagrams that an Ethernet path has to fragment: 1500 bytes less the IP and UDP headers
 * (RFC 791 §3.1, RFC 8200 §3, RFC 768). Fragments without ports are what many firewalls refuse to match.
 */
export const fragmentsDropped: FirewallRule = (packet) => {
  if (packet.kind !== 'udp') return 'pass'
  const headers = packet.source.ip.includes(':') ? 48 : 28
  return packet.payload.length > 1500 - headers ? 'drop' : 'pass'
}

/** The first rule that objects decides. */
export const allOf =
  (...rules: readonly FirewallRule[]): FirewallRule =>
  (packet, direction) => {
    for (const rule of rules) {
      const verdict = rule(packet, direction)
      if (verdict !== 'pass') return verdict
    }
    return 'pass'
  }
