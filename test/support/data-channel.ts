/** What data-channel.mjs is asked and answers, wherever it runs. */

export interface DataChannelOptions {
  readonly iceServers: readonly IceServer[]
  /** Messages each way. */
  readonly count: number
  /** Bytes of each, at least four. */
  readonly size: number
  /** The messages are spread over this long; it takes a few hundred milliseconds at least to connect before. */
  readonly holdSeconds: number
  /** 0: what is lost stays lost. Default: SCTP sends it again, and `packets` tell whether it was lost. */
  readonly maxRetransmits?: number
}

export interface IceServer {
  readonly urls: string | readonly string[]
  readonly username: string
  readonly credential: string
}

export interface DataChannelReport {
  /** False: no connection, `errors` may say why. */
  readonly opened: boolean
  readonly sides: readonly DataChannelSide[]
}

export interface DataChannelSide {
  /** Different messages that arrived here. */
  readonly received: number
  /** The numbers of those that did not. */
  readonly missed: readonly number[]
  /** Messages that arrived again. */
  readonly repeated: number
  /** Types of the candidates gathered. */
  readonly candidates: readonly string[]
  /** From icecandidateerror: `code` is the TURN server's, or 701 when it was not reached. */
  readonly errors: readonly { readonly url: string; readonly code: number; readonly text: string }[]
  /** Of the selected pair, where the client says. */
  readonly local?: CandidateStats
  readonly remote?: CandidateStats
  /** Packets of all pairs beside ICE's own, where the client counts them. */
  readonly packets?: { readonly sent: number; readonly received: number }
}

export interface CandidateStats {
  /** host, srflx, prflx or relay. */
  readonly type: string
  /** From the client to its relay: udp, tcp or tls. */
  readonly relayProtocol?: string
}

/** Packets that one sent and the other did not get; NaN where they were not counted, or nothing was sent. */
export function lost(from: DataChannelSide | undefined, to: DataChannelSide | undefined): number {
  const sent = from?.packets?.sent ?? 0
  return sent > 0 ? sent - (to?.packets?.received ?? 0) : Number.NaN
}
