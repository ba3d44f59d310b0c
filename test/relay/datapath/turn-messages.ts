/** What a TURN client without credentials sends, and a relay without authentication to send it to. */
import type { TransportAddress } from '../../../src/core/index.ts'
import { PeerPolicy, TurnServer, type TurnServerOptions } from '../../../src/proto/turn-server/index.ts'
import type { CreateServer } from '../../../src/relay/datapath/datapath.ts'
import {
  attribute,
  channelNumber,
  data,
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  get,
  icmp,
  lifetime,
  Method,
  requestedTransport,
  RequestedTransport,
  type StunMessage,
  toChannelNumber,
  xorPeerAddress,
  xorRelayedAddress,
} from '../../../src/wire/index.ts'

export const channel = 0x4000

let transactions = 0
const request = (method: number, attributes: readonly EncodableAttribute[]): Uint8Array => {
  const transactionId = new Uint8Array(12)
  new DataView(transactionId.buffer).setUint32(0, ++transactions)
  return encodeMessage({ class: 'request', method, transactionId, attributes })
}

export const allocate = (seconds = 600): Uint8Array =>
  request(Method.allocate, [attribute(requestedTransport, RequestedTransport.udp), attribute(lifetime, seconds)])

export const refresh = (seconds: number): Uint8Array => request(Method.refresh, [attribute(lifetime, seconds)])

export const channelBind = (peer: TransportAddress): Uint8Array =>
  request(Method.channelBind, [attribute(channelNumber, toChannelNumber(channel)), attribute(xorPeerAddress, peer)])

export const createPermission = (peer: TransportAddress): Uint8Array =>
  request(Method.createPermission, [attribute(xorPeerAddress, peer)])

export const sendIndication = (
  peer: TransportAddress,
  payload: Uint8Array,
  more: readonly EncodableAttribute[] = [],
): Uint8Array =>
  encodeMessage({
    class: 'indication',
    method: Method.send,
    transactionId: new Uint8Array(12).fill(1),
    attributes: [attribute(xorPeerAddress, peer), attribute(data, payload), ...more],
  })

/** What arrived, in words that tests compare: `allocate success`, `data hello`, `icmp 3/3 0 of 9`, `channel 4000 hello`. */
export function describePacket(bytes: Uint8Array): string {
  if ((bytes[0] ?? 0) >= 0x40) {
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    const text = new TextDecoder().decode(bytes.subarray(4, 4 + view.getUint16(2)))
    return `channel ${view.getUint16(0).toString(16)} ${text}`
  }
  const message = toMessage(bytes)
  const name = Object.entries(Method).find(([, method]) => method === message.method)?.[0] ?? 'unknown'
  const payload = get(message, data)
  if (payload) return `${name} ${new TextDecoder().decode(payload)}`
  const told = get(message, icmp)
  if (told) return `icmp ${told.type}/${told.code} ${told.data} of ${get(message, xorPeerAddress)?.port}`
  const error = get(message, errorCode)
  return `${name} ${error ? error.code : message.class}`
}

export const relayedAddress = (bytes: Uint8Array): TransportAddress => {
  const address = get(toMessage(bytes), xorRelayedAddress)
  if (!address) throw new Error('no XOR-RELAYED-ADDRESS')
  return address
}

function toMessage(bytes: Uint8Array): StunMessage {
  const decoded = decodeMessage(bytes)
  if (!decoded.ok) throw new Error(`${decoded.where}: ${decoded.why}`)
  return decoded.value
}

/** Relays for everybody, to everybody. */
export const openServer: CreateServer<Partial<TurnServerOptions>> = (settings, host) => {
  const { random, clock } = host
  const machine = new TurnServer({
    random,
    clock,
    auth: 'none',
    relayAddresses: [],
    listeners: [],
    peerPolicy: new PeerPolicy({ allow: ['127.0.0.0/8', '::1'] }),
    ...settings,
  })
  return {
    machine,
    onEvent: (event) => {
      if (event.kind === 'allocation-ended') host.post(`ended: ${event.why}`)
      if (event.kind === 'drop') host.post(`drop: ${event.from} ${event.reason}`)
      if (event.kind === 'relay-failed') host.post(`failed: ${event.why}`)
    },
    onRequest: (request) => {
      if (request === 'counts') return machine.counts
      throw new Error(`what is ${String(request)}?`)
    },
  }
}
