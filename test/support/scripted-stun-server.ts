/** A STUN server on the virtual network that can be told to misbehave, as real ones do. */
import {
  type DatagramEndpoint,
  formatAddress,
  type IpAddress,
  type Network,
  parseAddress,
  type TransportAddress,
} from '../../src/core/index.ts'
import {
  attribute,
  changeRequest,
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  get,
  mappedAddress,
  otherAddress,
  padding,
  responseOrigin,
  responsePort,
  unknownAttributes,
  xorMappedAddress,
} from '../../src/wire/index.ts'

export interface ScriptedServerOptions {
  readonly ips: readonly [IpAddress, IpAddress] | readonly [IpAddress]
  readonly ports?: readonly [number, number]
  /** Knows only RFC 8489: no OTHER-ADDRESS, CHANGE-REQUEST is an unknown attribute (420). */
  readonly plain?: boolean
  /** Answers CHANGE-REQUEST from the primary address, as if it had not been there. */
  readonly ignoresChange?: boolean
  /** Answers CHANGE-REQUEST not at all, though it announces an alternate address. */
  readonly dropsChange?: boolean
  /** What OTHER-ADDRESS says instead of the truth; later answers may differ from the first. */
  readonly announces?: (nth: number) => string
  /** Answers everything from this address. */
  readonly answersFrom?: TransportAddress
  /** Neither listens nor answers on the alternate IP, though it announces it. */
  readonly deadAlternate?: boolean
  /** Leaves such requests unanswered. */
  readonly drops?: (change: { readonly changeIp: boolean; readonly changePort: boolean }) => boolean
  /** Answers everything with this error. */
  readonly error?: number
  /** Answers without any address, the first so many times. */
  readonly withoutAddress?: number
  /** Sends this answer later, or never. */
  readonly delay?: (send: () => void, origin: TransportAddress) => void
  /** The same for answers to CHANGE-REQUEST alone. */
  readonly delayChanged?: (send: () => void) => void
  /** Answers CHANGE-REQUEST with this error, from the address asked for. */
  readonly changedError?: number
  /** Called for every request received. */
  readonly onRequest?: (bytes: Uint8Array, from: TransportAddress) => void
}

export async function startScriptedServer(network: Network, options: ScriptedServerOptions): Promise<void> {
  const [port, alternatePort] = options.ports ?? [3478, 3479]
  const [ip, alternateIp = ip] = options.ips
  const alternate = { ip: alternateIp, port: alternatePort }
  const endpoints = new Map<string, DatagramEndpoint>()
  let answers = 0

  const answer = (bytes: Uint8Array, from: TransportAddress, on: TransportAddress): void => {
    options.onRequest?.(bytes, from)
    const decoded = decodeMessage(bytes)
    if (!decoded.ok || decoded.value.class !== 'request') return
    const request = decoded.value
    const { method, transactionId } = request
    const change = get(request, changeRequest)
    if (change && (options.dropsChange || options.drops?.(change))) return
    if (options.error) {
      const attributes = [attribute(errorCode, { code: options.error, reason: 'No' })]
      endpoints.get(formatAddress(on))?.send(encodeMessage({ class: 'error', method, transactionId, attributes }), from)
      return
    }
    if (change && options.plain) {
      const attributes = [
        attribute(errorCode, { code: 420, reason: 'Unknown Attribute' }),
        attribute(unknownAttributes, [changeRequest.type]),
      ]
      endpoints.get(formatAddress(on))?.send(encodeMessage({ class: 'error', method, transactionId, attributes }), from)
      return
    }
    const honoured = change && !options.ignoresChange ? change : { changeIp: false, changePort: false }
    const origin = {
      ip: honoured.changeIp ? (on.ip === ip ? alternateIp : ip) : on.ip,
      port: honoured.changePort ? (on.port === port ? alternatePort : port) : on.port,
    }
    if (change && options.changedError) {
      const attributes = [attribute(errorCode, { code: options.changedError, reason: 'No' })]
      const answer = encodeMessage({ class: 'error', method, transactionId, attributes })
      endpoints.get(formatAddress(origin))?.send(answer, from)
      return
    }
    const announced = options.announces ? parseAddress(options.announces(answers)) : alternate
    answers++
    const attributes: EncodableAttribute[] =
      answers <= (options.withoutAddress ?? 0)
        ? []
        : [attribute(xorMappedAddress, from), attribute(mappedAddress, from)]
    if (!options.plain && announced) {
      attributes.push(attribute(otherAddress, announced), attribute(responseOrigin, origin))
      if (get(request, padding)) attributes.push(attribute(padding, new Uint8Array(1500)))
    }
    const to = { ip: from.ip, port: (options.plain ? undefined : get(request, responsePort)) ?? from.port }
    const via = endpoints.get(formatAddress(options.answersFrom ?? origin))
    const send = (): void => via?.send(encodeMessage({ class: 'success', method, transactionId, attributes }), to)
    if (change && options.delayChanged) options.delayChanged(send)
    else if (options.delay) options.delay(send, origin)
    else send()
  }

  for (const on of [ip, alternateIp].flatMap((it) => [port, alternatePort].map((p) => ({ ip: it, port: p })))) {
    if (endpoints.has(formatAddress(on)) || (options.deadAlternate && on.ip !== ip)) continue
    const handlers = {
      onDatagram: (bytes: Uint8Array, from: TransportAddress) => answer(bytes, from, on),
      onFailure() {},
    }
    endpoints.set(formatAddress(on), await network.openDatagram({ family: ip.includes(':') ? 6 : 4, ...on }, handlers))
  }
  if (options.answersFrom && !endpoints.has(formatAddress(options.answersFrom))) {
    const on = options.answersFrom
    const silent = { onDatagram() {}, onFailure() {} }
    endpoints.set(formatAddress(on), await network.openDatagram({ family: 4, ...on }, silent))
  }
}
