/** What a NAT probe needs, and what it can be told. */
import type { AddressFamily, Clock, IpAddress, Network, Random } from '../../core/index.ts'
import type { ServerUri } from '../../wire/index.ts'

export interface NatProbePorts {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
}

export interface NatProbeOptions {
  readonly servers: readonly ServerUri[]
  /** The user's own list: every server on it is asked, and none besides. Otherwise as many as are needed. */
  readonly exclusive: boolean
  readonly families: readonly AddressFamily[]
  /** Default: the address the routing table picks. */
  readonly localIp?: IpAddress | undefined
  /** Local port of the mapping socket. Default: a random one that this process never used. */
  readonly port?: number | undefined
  /** Bound on the packet exchange of the verdict in milliseconds; the opt-in tests have bounds of their own. */
  readonly timeoutMs: number
  readonly hairpin: boolean
  readonly lifetime: boolean
  readonly fragments: boolean
  /** Ask from further sockets to tell how the NAT chooses ports; takes a second more. */
  readonly ports: boolean
  /** Ask the router for its WAN address (UPnP, NAT-PMP, PCP), once a server has answered. */
  readonly router: boolean
  readonly onProgress?: ((event: NatProgress) => void) | undefined
  /** Ends the run early; what is known by then is returned. */
  readonly signal?: AbortSignal | undefined
}

export type NatProgress =
  | {
      readonly kind: 'sent' | 'received'
      readonly family: AddressFamily
      readonly peer: string
      readonly bytes: number
    }
  | { readonly kind: 'stage'; readonly family: AddressFamily; readonly words: string; readonly fraction: number | null }
