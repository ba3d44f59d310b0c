/** What data-channel.mjs is asked and answers, wherever it runs. */

export interface DataChannelOptions {
  readonly iceServers: readonly IceServer[]
  /** Messages each way. */
  readonly count: number
  /** Bytes of each, at least four. */
  readonly size: number
  /** The messages are spread over this long; it takes a few hundred milliseconds at least to connect before. */
  readonly holdSeconds: number
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
  /** Messages that arrived again. */
  readonly repeated: number
  /** Types of the candidates gathered. */
  readonly candidates: readonly string[]
  /** From icecandidateerror: `code` is the TURN server's, or 701 when it was not reached. */
  readonly errors: readonly { readonly url: string; readonly code: number; readonly text: string }[]
  /** Of the selected pair, where the client says. */
  readonly local?: CandidateStats
  readonly remote?: CandidateStats
}

export interface CandidateStats {
  /** host, srflx, prflx or relay. */
  readonly type: string
  /** From the client to its relay: udp, tcp or tls. */
  readonly relayProtocol?: string
}
