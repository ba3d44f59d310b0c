/** Messages on their way into node-turn and out of it. */
import type { TransportAddress } from '../../core/index.ts'
import type { ClientPath } from '../../proto/turn-server/index.ts'
import {
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  fingerprint,
  has,
  type IntegrityOptions,
  rawAttribute,
  software,
  type StunMessage,
} from '../../wire/index.ts'
import {
  classIndication,
  methodData,
  type NodeTurn,
  protocolUdp,
  type TheirMessage,
  type TheirServer,
  type TheirSocket,
} from './package.ts'

/** A message of a client. */
export interface Received {
  readonly path: ClientPath
  /** The listener it came to. */
  readonly socket: TheirSocket
  readonly message: StunMessage
  /** What seals the answer. */
  readonly integrity?: IntegrityOptions | undefined
}

/** What node-turn's handlers get to see. */
export interface Shown {
  readonly attributes: readonly EncodableAttribute[]
  /** Attributes by the names its handlers ask for, where its own reading of them fails. */
  readonly values?: ReadonlyMap<string, unknown> | undefined
}

/** Sees every answer before it leaves, and may add attributes. */
export type OnAnswer = (answer: StunMessage, request: TheirMessage) => readonly EncodableAttribute[]

export class Messages {
  readonly #package: NodeTurn
  readonly #server: TheirServer

  constructor(nodeTurn: NodeTurn, server: TheirServer) {
    this.#package = nodeTurn
    this.#server = server
  }

  /**
   * A message that its parser can't stumble over: it holds only attributes that were decoded here, encoded again. Its
   * own parser throws for every attribute it doesn't know, so that the packet is lost.
   */
  toTheirs(
    { path, socket, message, integrity }: Received,
    { attributes, values }: Shown,
    onAnswer: OnAnswer,
  ): TheirMessage {
    const { Message, Transport } = this.#package
    const transport = new Transport(protocolUdp, this.#address(path.client), this.#address(path.server), socket)
    const their = new Message(this.#server, transport)
    const { class: messageClass, method, transactionId } = message
    their.read(Buffer.from(encodeMessage({ class: messageClass, method, transactionId, attributes })))
    const getAttribute = their.getAttribute.bind(their)
    their.getAttribute = (name) => (values?.has(name) ? values.get(name) : getAttribute(name))
    const newReply = their.reply.bind(their)
    const options = { integrity, fingerprint: has(message, fingerprint) }
    their.reply = () => sealed(newReply(), options, (answer) => onAnswer(answer, their))
    return their
  }

  channelData(channel: number, bytes: Uint8Array): Uint8Array {
    return new this.#package.ChannelMessage(channel, bufferOf(bytes)).write()
  }

  dataIndication(path: ClientPath, peer: TransportAddress, bytes: Uint8Array, transactionId: Uint8Array): Uint8Array {
    const { Message, Transport } = this.#package
    const nowhere: TheirSocket = { address: () => ({ address: '', port: 0 }), on: () => {}, send: () => {} }
    const transport = new Transport(protocolUdp, this.#address(path.server), this.#address(path.client), nowhere)
    const indication = new Message(this.#server, transport)
    indication.class = classIndication
    indication.method = methodData
    indication.transactionID = bufferOf(transactionId).toString('hex')
    indication.addAttribute('xor-peer-address', this.#address(peer))
    indication.addAttribute('data', bufferOf(bytes))
    return indication.toBuffer()
  }

  #address({ ip, port }: TransportAddress): InstanceType<NodeTurn['Address']> {
    return new this.#package.Address(ip, port)
  }
}

/**
 * Its replies, signed with what authenticated the request: its ChannelBind forgets to. SOFTWARE goes, as it does from
 * the answers of the native engine.
 */
function sealed(
  reply: TheirMessage,
  options: { readonly integrity: IntegrityOptions | undefined; readonly fingerprint: boolean },
  onAnswer: (answer: StunMessage) => readonly EncodableAttribute[],
): TheirMessage {
  const toBuffer = reply.toBuffer.bind(reply)
  reply.toBuffer = () => {
    const decoded = decodeMessage(toBuffer())
    if (!decoded.ok) throw new Error(`node-turn wrote a bad answer: ${decoded.where}: ${decoded.why}`)
    const { class: messageClass, method, transactionId, attributes } = decoded.value
    const more = onAnswer(decoded.value)
    const own = attributes.filter(({ type }) => type !== software.type)
    return bufferOf(
      encodeMessage({
        class: messageClass,
        method,
        transactionId,
        attributes: [...own.map(({ type, value }) => rawAttribute(type, value)), ...more],
        ...options,
      }),
    )
  }
  return reply
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
