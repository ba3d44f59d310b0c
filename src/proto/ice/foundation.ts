/** Foundations: which candidates are alike enough that one's success promises the other's. RFC 8445 §5.1.1.3 */
import type { TransportAddress } from '../../core/index.ts'
import type { CandidateTransport, CandidateType, TcpType } from './candidate.ts'

/** What two candidates must share to have the same foundation. */
export interface FoundationOrigin {
  readonly type: CandidateType
  readonly base: TransportAddress
  readonly transport: CandidateTransport
  readonly tcpType?: TcpType | undefined
  readonly serverIp?: string | undefined
  readonly serverTransport?: 'udp' | 'tcp' | 'tls' | undefined
}

/**
 * Numbers the kinds of one agent's candidates. A number can't collide, as a hash can, and tells the peer nothing about
 * addresses that mDNS hides.
 */
export class Foundations {
  readonly #known = new Map<string, string>()

  /** The base's port doesn't count. TCP's directions do: RFC 6544's example (appendix B) gives each its own. */
  of({ type, base, transport, tcpType, serverIp, serverTransport = 'udp' }: FoundationOrigin): string {
    const server = type === 'host' || type === 'prflx' ? [] : [serverIp ?? '', serverTransport]
    // A relayed candidate is its own base, and shares the server's address with all others from there.
    const key = [type, base.ip, transport, tcpType ?? '', ...server].join(' ')
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const foundation = String(this.#known.size + 1)
    this.#known.set(key, foundation)
    return foundation
  }
}
