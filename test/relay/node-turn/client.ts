/** A TURN client and a peer on any Network: what the tests of the engine node-turn talk with. */
import type { DatagramEndpoint, TransportAddress } from '../../../src/core/index.ts'
import { type RequestOutcome, StunClient } from '../../../src/proto/stun/index.ts'
import type { RelayPorts } from '../../../src/relay/relay.ts'
import {
  attribute,
  type ChannelNumber,
  channelNumber,
  type EncodableAttribute,
  get,
  lifetime,
  Method,
  requestedTransport,
  xorPeerAddress,
  xorRelayedAddress,
} from '../../../src/wire/index.ts'
import { describePacket } from '../datapath/turn-messages.ts'

export class TestClient {
  /** What is no answer to a request, in words: `data hello`, `channel 4000 hello`. */
  readonly heard: string[] = []
  readonly raw: Uint8Array[] = []
  readonly #to: TransportAddress
  readonly #endpoint: DatagramEndpoint
  readonly #client: StunClient
  /** Transactions of its own requests. On a busy machine one is sent again and answered twice. */
  readonly #asked: Set<string>
  relayed: TransportAddress = { ip: '0.0.0.0', port: 0 }

  private constructor(to: TransportAddress, endpoint: DatagramEndpoint, client: StunClient, asked: Set<string>) {
    this.#to = to
    this.#endpoint = endpoint
    this.#client = client
    this.#asked = asked
  }

  static async open(
    ports: RelayPorts,
    to: TransportAddress,
    {
      ip = '127.0.0.1',
      username = 'alice',
      password = 'a',
    }: { ip?: string; username?: string; password?: string } = {},
  ): Promise<TestClient> {
    let receive: (bytes: Uint8Array, from: TransportAddress) => void = () => {}
    const endpoint = await ports.network.openDatagram(
      { family: 4, ip },
      { onDatagram: (bytes, from) => receive(bytes, from), onFailure: () => {} },
    )
    const credentials = { kind: 'long-term', username, password } as const
    const asked = new Set<string>()
    const send = (bytes: Uint8Array): void => {
      asked.add(transactionOf(bytes))
      endpoint.send(bytes, to)
    }
    const client = new StunClient({ ...ports, to, credentials, send })
    const self = new TestClient(to, endpoint, client, asked)
    receive = (bytes, from) => self.#receive(bytes, from)
    return self
  }

  get local(): TransportAddress {
    return this.#endpoint.local
  }

  request(method: number, attributes: readonly EncodableAttribute[]): Promise<RequestOutcome> {
    return this.#client.request({ method, attributes, timeoutMs: 5000 })
  }

  async allocate(seconds = 600, more: readonly EncodableAttribute[] = []): Promise<RequestOutcome> {
    const wish = [attribute(requestedTransport, 17), attribute(lifetime, seconds), ...more]
    const outcome = await this.request(Method.allocate, wish)
    if (outcome.kind === 'success') this.relayed = get(outcome.message, xorRelayedAddress) ?? this.relayed
    return outcome
  }

  refresh(seconds: number): Promise<RequestOutcome> {
    return this.request(Method.refresh, [attribute(lifetime, seconds)])
  }

  permit(...peers: readonly TransportAddress[]): Promise<RequestOutcome> {
    return this.request(
      Method.createPermission,
      peers.map((peer) => attribute(xorPeerAddress, peer)),
    )
  }

  bind(channel: number, peer: TransportAddress): Promise<RequestOutcome> {
    return this.request(Method.channelBind, [
      attribute(channelNumber, channel as ChannelNumber),
      attribute(xorPeerAddress, peer),
    ])
  }

  send(bytes: Uint8Array): void {
    this.#endpoint.send(bytes, this.#to)
  }

  close(): void {
    this.#client.cancel()
    this.#endpoint.close()
  }

  #receive(bytes: Uint8Array, from: TransportAddress): void {
    if (this.#client.receiveDatagram(bytes, from) || this.#asked.has(transactionOf(bytes))) return
    this.raw.push(bytes)
    this.heard.push(describePacket(bytes))
  }
}

/** RFC 8489 §5: the id stands behind type, length and cookie. */
const transactionOf = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(8, 20)).toString('hex')

export interface TestPeer {
  readonly address: TransportAddress
  readonly heard: string[]
  send(bytes: Uint8Array, to: TransportAddress): void
  close(): void
}

export async function openPeer(ports: RelayPorts, ip = '127.0.0.1'): Promise<TestPeer> {
  const heard: string[] = []
  const endpoint = await ports.network.openDatagram(
    { family: 4, ip },
    { onDatagram: (bytes) => void heard.push(new TextDecoder().decode(bytes)), onFailure: () => {} },
  )
  return {
    address: endpoint.local,
    heard,
    send: (bytes, to) => endpoint.send(bytes, to),
    close: () => endpoint.close(),
  }
}

export const text = (words: string): Uint8Array => new TextEncoder().encode(words)

/** `success`, an error code, or what else became of it. */
export const codeOf = (outcome: RequestOutcome): number | string =>
  outcome.kind === 'error-response' ? outcome.error.code : outcome.kind

export const channelData = (channel: number, words: string, padding = 0): Uint8Array => {
  const payload = text(words)
  return Uint8Array.from([
    channel >> 8,
    channel & 255,
    payload.length >> 8,
    payload.length & 255,
    ...payload,
    ...new Uint8Array(padding),
  ])
}
