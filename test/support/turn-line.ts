/** One allocation on a TURN server of the virtual network: as much of a client as an ICE peer in a test needs. */
import { familyOf, formatAddress, type TransportAddress } from '../../src/core/index.ts'
import type { Host, SeededRandom } from '../../src/lab/index.ts'
import { StunClient } from '../../src/proto/stun/index.ts'
import {
  attribute,
  data,
  decodeMessage,
  encodeMessage,
  get,
  lifetime,
  Method,
  newTransactionId,
  requestedTransport,
  type StunMessage,
  StreamDecoder,
  xorMappedAddress,
  xorPeerAddress,
  xorRelayedAddress,
} from '../../src/wire/index.ts'

export interface TurnServerAddress {
  readonly to: TransportAddress
  readonly protocol: 'udp' | 'tcp'
}

export interface TurnLine {
  readonly relayed: TransportAddress
  readonly mapped: TransportAddress
  /** Permits the peer first. What the server does not permit is not sent. */
  send(bytes: Uint8Array, to: TransportAddress): void
}

export const turnUser = { kind: 'long-term', username: 'alice', password: 'a' } as const

/** Undefined: no allocation could be had. */
export async function openTurnLine(
  host: Host,
  random: SeededRandom,
  { to, protocol }: TurnServerAddress,
  onData: (bytes: Uint8Array, from: TransportAddress) => void,
): Promise<TurnLine | undefined> {
  const receive = (message: StunMessage): void => {
    const peer = get(message, xorPeerAddress)
    if (message.method !== Method.data || !peer) client.receive(message, to)
    else onData(get(message, data) ?? new Uint8Array(), peer)
  }
  const wire = await open(host, { to, protocol }, receive).catch(() => undefined)
  if (!wire) return undefined
  const options = { clock: host.clock, random, to, credentials: turnUser, reliable: protocol === 'tcp' }
  const client = new StunClient({ ...options, send: wire })
  const attributes = [attribute(requestedTransport, 17), attribute(lifetime, 600)]
  const outcome = await client.request({ method: Method.allocate, attributes, timeoutMs: 3000 })
  const relayed = outcome.kind === 'success' ? get(outcome.message, xorRelayedAddress) : undefined
  const mapped = outcome.kind === 'success' ? get(outcome.message, xorMappedAddress) : undefined
  if (!relayed || !mapped) return undefined
  const permitted = new Map<string, Promise<boolean>>()
  const permit = async (peer: TransportAddress): Promise<boolean> => {
    const attributes = [attribute(xorPeerAddress, peer)]
    return (await client.request({ method: Method.createPermission, attributes })).kind === 'success'
  }
  const sendWhenPermitted = async (bytes: Uint8Array, peer: TransportAddress): Promise<void> => {
    const key = formatAddress(peer)
    const permission = permitted.get(key) ?? permit(peer)
    permitted.set(key, permission)
    if (!(await permission)) return
    const attributes = [attribute(xorPeerAddress, peer), attribute(data, bytes)]
    const transactionId = newTransactionId(random)
    wire(encodeMessage({ class: 'indication', method: Method.send, transactionId, attributes }))
  }
  return {
    relayed,
    mapped,
    send: (bytes, peer) => void sendWhenPermitted(bytes, peer),
  }
}

async function open(
  host: Host,
  { to, protocol }: TurnServerAddress,
  receive: (message: StunMessage) => void,
): Promise<(bytes: Uint8Array) => void> {
  if (protocol === 'udp') {
    const onDatagram = (bytes: Uint8Array): void => {
      const decoded = decodeMessage(bytes)
      if (decoded.ok) receive(decoded.value)
    }
    const socket = await host.openDatagram({ family: familyOf(to.ip) }, { onDatagram, onFailure: () => {} })
    return (bytes) => socket.send(bytes, to)
  }
  const decoder = new StreamDecoder()
  const onData = (bytes: Uint8Array): void => {
    for (const frame of decoder.push(bytes)) if (frame.kind === 'message') receive(frame.message)
  }
  const stream = await host.connectStream({ to, timeoutMs: 3000 }, { onData, onClose: () => {} })
  return (bytes) => stream.send(bytes)
}
