/** Messages and ChannelData out of what arrives, over datagrams and streams. RFC 8656 §12.4, §12.5 */
import type { TransportProtocol } from '../../core/index.ts'
import {
  type ChannelData,
  decodeChannelData,
  decodeMessage,
  looksLikeChannelData,
  StreamDecoder,
  type StreamFrame,
} from '../../wire/index.ts'

export class Inbound {
  readonly #decoder: StreamDecoder | undefined

  constructor(protocol: TransportProtocol) {
    // Until a channel is bound there is no ChannelData, and its absence tells HTTP servers from TURN ones.
    this.#decoder = protocol === 'udp' ? undefined : new StreamDecoder({ channelData: false })
  }

  expectChannelData(): void {
    this.#decoder?.expectChannelData()
  }

  /** What a datagram holds, or what the next bytes of the stream complete. */
  push(bytes: Uint8Array): readonly StreamFrame[] {
    return this.#decoder?.push(bytes) ?? [looksLikeChannelData(bytes) ? channelFrame(bytes) : messageFrame(bytes)]
  }
}

function channelFrame(bytes: Uint8Array): StreamFrame {
  const decoded = decodeChannelData(bytes)
  return decoded.ok ? { kind: 'channel-data', channelData: decoded.value satisfies ChannelData } : malformed(decoded)
}

function messageFrame(bytes: Uint8Array): StreamFrame {
  const decoded = decodeMessage(bytes)
  return decoded.ok ? { kind: 'message', message: decoded.value } : malformed(decoded)
}

const malformed = ({ where, why }: { where: string; why: string }): StreamFrame => ({ kind: 'malformed', where, why })
