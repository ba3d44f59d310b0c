/** The server's side of Binding: RFC 8489, NAT behavior discovery (RFC 5780), and RFC 3489 for classic clients. */
import {
  familyOf,
  type IpAddress,
  NatcheckError,
  sameAddress,
  scopeOf,
  type TransportAddress,
} from '../../core/index.ts'
import {
  attribute,
  changedAddress,
  changeRequest,
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  errorReason,
  fingerprint,
  has,
  isClassic,
  mappedAddress,
  Method,
  otherAddress,
  padding,
  read,
  reflectedFrom,
  responseOrigin,
  responsePort,
  sourceAddress,
  type StunMessage,
  unknownAttributes,
  unknownComprehensionRequired,
  verifyFingerprint,
  xorMappedAddress,
} from '../../wire/index.ts'

/**
 * The server's sockets, named by what differs from the primary one. In this order index bit 0 is the port, bit 1 the
 * IP.
 */
export const responderSockets = ['primary', 'alternate-port', 'alternate-ip', 'alternate-ip-and-port'] as const

export type ResponderSocket = (typeof responderSockets)[number]

export interface BindingResponderOptions {
  /** Where the server is reached first: the address it puts into its answers, so not a wildcard. */
  readonly primary: TransportAddress
  /** The second IP. Only with this and `alternatePort` is CHANGE-REQUEST obeyed and OTHER-ADDRESS told. RFC 5780 §6 */
  readonly alternateIp?: IpAddress | undefined
  readonly alternatePort?: number | undefined
  /** Answers RFC 3489 messages, which have no magic cookie. Default true. */
  readonly classic?: boolean | undefined
  /**
   * Obeys RESPONSE-PORT and PADDING; CHANGE-REQUEST wants an alternate address too. Default true. False: such requests get
   * 420, as from a server that does not know RFC 5780.
   */
  readonly discovery?: boolean | undefined
}

/** The one datagram a request is worth. */
export interface BindingReply {
  readonly bytes: Uint8Array
  readonly to: TransportAddress
  /** The socket it has to leave from. */
  readonly from: ResponderSocket
}

/** Base STUN attributes that a server without authentication knows, and has no use for in a Binding request. */
const knownAttributes: readonly number[] = [
  0x0001, // MAPPED-ADDRESS
  0x0006, // USERNAME
  0x0008, // MESSAGE-INTEGRITY
  0x0009, // ERROR-CODE
  0x000a, // UNKNOWN-ATTRIBUTES
  0x0014, // REALM
  0x0015, // NONCE
  0x001c, // MESSAGE-INTEGRITY-SHA256
  0x001d, // PASSWORD-ALGORITHM
  0x001e, // USERHASH
  0x0020, // XOR-MAPPED-ADDRESS
]

/**
 * What RFC 3489 adds. RESPONSE-ADDRESS is left out on purpose: it has the server send to whomever the request names, so
 * such a request gets 420, as from servers since RFC 5389.
 */
const classicAttributes: readonly number[] = [sourceAddress.type, changedAddress.type, 0x0007, reflectedFrom.type]

/** An answer with PADDING is to be cut into fragments, which one Ethernet MTU of padding does. RFC 5780 §6.1 */
const maxPaddingLength = 1500

/**
 * Answers Binding requests. It remembers nothing, so retransmissions get the same answer again.
 *
 * What an attacker with a forged source address gains: without an alternate address a bare request of 20 bytes is
 * answered with 32. RFC 5780 §6.1 demands four addresses in every answer, which makes that 68 (116 for IPv6). PADDING
 * never makes an answer longer than its request.
 */
export class BindingResponder {
  readonly #addresses: readonly TransportAddress[]
  readonly #known: ReadonlySet<number>
  readonly #knownClassic: ReadonlySet<number>
  readonly #classic: boolean
  readonly #hasAlternate: boolean

  /** Throws USAGE when the alternate address differs in family, or not at all. */
  constructor(options: BindingResponderOptions) {
    checkResponderAddresses(options)
    const { primary, alternateIp, alternatePort, discovery = true } = options
    this.#hasAlternate = alternateIp !== undefined && alternatePort !== undefined
    this.#addresses = responderSockets.map((_, index) => ({
      ip: (index & 2 ? alternateIp : undefined) ?? primary.ip,
      port: (index & 1 ? alternatePort : undefined) ?? primary.port,
    }))
    this.#classic = options.classic ?? true
    const wishes = [responsePort.type, padding.type, ...(this.#hasAlternate ? [changeRequest.type] : [])]
    this.#known = new Set([...knownAttributes, ...(discovery ? wishes : [])])
    this.#knownClassic = new Set([...this.#known, ...classicAttributes])
  }

  /** The address of a socket; that of the primary one where there is no alternate. */
  addressOf(socket: ResponderSocket): TransportAddress {
    return this.#addresses[responderSockets.indexOf(socket)] ?? { ip: '0.0.0.0', port: 0 }
  }

  /**
   * The reply to a datagram that `from` sent to the socket `on`; undefined where there is nothing to say: it is no
   * Binding request, or the reply would go nowhere or to this server itself.
   */
  respond(bytes: Uint8Array, from: TransportAddress, on: ResponderSocket): BindingReply | undefined {
    const decoded = decodeMessage(bytes)
    if (!decoded.ok || decoded.value.bytes.length !== bytes.length) return undefined
    const request = decoded.value
    if (request.class !== 'request' || request.method !== Method.binding || !this.#mayAnswer(from)) return undefined
    if (isClassic(request) && !this.#classic) return undefined
    if (has(request, fingerprint) && !verifyFingerprint(request)) return undefined

    const unknown = unknownComprehensionRequired(request, isClassic(request) ? this.#knownClassic : this.#known)
    if (unknown.length > 0) return fail(request, from, on, 420, [attribute(unknownAttributes, unknown)])
    const wishes = readWishes(request)
    if (!wishes) return fail(request, from, on, 400)
    const to = { ip: from.ip, port: wishes.port ?? from.port }
    if (!this.#mayAnswer(to)) return undefined
    const origin = responderSockets[responderSockets.indexOf(on) ^ wishes.change] ?? on
    return { bytes: this.#success(request, from, on, origin, wishes.paddingLength), to, from: origin }
  }

  #success(
    request: StunMessage,
    mapped: TransportAddress,
    on: ResponderSocket,
    origin: ResponderSocket,
    paddingLength: number | undefined,
  ): Uint8Array {
    const attributes = this.#describe(mapped, on, origin, isClassic(request))
    const plain = encodeReply(request, 'success', attributes)
    if (paddingLength === undefined) return plain
    const room = Math.max(0, request.bytes.length - plain.length - 4)
    const length = Math.min(paddingLength, maxPaddingLength, room) & ~3
    return encodeReply(request, 'success', [...attributes, attribute(padding, new Uint8Array(length))])
  }

  /**
   * Both mapped addresses, plain and masked, show an ALG on the way: it rewrites only the one it can read. RFC 5780
   * §6.1
   */
  #describe(
    mapped: TransportAddress,
    on: ResponderSocket,
    origin: ResponderSocket,
    classic: boolean,
  ): EncodableAttribute[] {
    // RFC 3489 §11.2 wants SOURCE-ADDRESS in any case. Without an alternate address it tells nothing, and 32 bytes are
    // kept.
    const own = classic ? attribute(mappedAddress, mapped) : attribute(xorMappedAddress, mapped)
    if (!this.#hasAlternate) return [own]
    const other = this.#addresses[responderSockets.indexOf(on) ^ 3] ?? this.addressOf(on)
    const source = this.addressOf(origin)
    if (classic) return [own, attribute(sourceAddress, source), attribute(changedAddress, other)]
    return [own, attribute(mappedAddress, mapped), attribute(responseOrigin, source), attribute(otherAddress, other)]
  }

  /**
   * Whether `to` is one host elsewhere: not port 0, not a group of hosts, and not this server, which would talk to
   * itself.
   */
  #mayAnswer(to: TransportAddress): boolean {
    if (to.port < 1 || to.port > 65535 || !isOneHost(to.ip)) return false
    return !this.#addresses.some((own) => sameAddress(own, to))
  }
}

/**
 * By its text: `scopeOf` knows better, but takes several times as long as all the rest of an answer. 0/8, 224/4 and
 * 240/4 are nobody's.
 */
function isOneHost(ip: IpAddress): boolean {
  if (familyOf(ip) === 6) return ip !== '::' && !/^ff[0-9a-f]{2}:/.test(ip)
  const first = Number.parseInt(ip, 10)
  return first > 0 && first < 224
}

interface Wishes {
  /** What to change, as the bits of `responderSockets`. */
  readonly change: number
  readonly port: number | undefined
  /** The request's, in bytes; undefined without PADDING. */
  readonly paddingLength: number | undefined
}

/** What RFC 5780 lets a client ask for; undefined when it is malformed or contradicts itself. */
function readWishes(request: StunMessage): Wishes | undefined {
  const change = read(request, changeRequest)
  const port = read(request, responsePort)
  const pad = read(request, padding)
  if (change?.ok === false || port?.ok === false || port?.value === 0) return undefined
  // Padded answers to a port of the client's choice would be a weapon. RFC 5780 §6.1
  if (port && pad) return undefined
  return {
    change: (change?.value.changeIp ? 2 : 0) | (change?.value.changePort ? 1 : 0),
    port: port?.value,
    paddingLength: pad?.ok ? pad.value.length : undefined,
  }
}

function fail(
  request: StunMessage,
  to: TransportAddress,
  from: ResponderSocket,
  code: number,
  attributes: readonly EncodableAttribute[] = [],
): BindingReply {
  const error = attribute(errorCode, { code, reason: errorReason(code) })
  return { bytes: encodeReply(request, 'error', [error, ...attributes]), to, from }
}

const encodeReply = (
  request: StunMessage,
  messageClass: 'success' | 'error',
  attributes: readonly EncodableAttribute[],
): Uint8Array =>
  encodeMessage({
    class: messageClass,
    method: request.method,
    transactionId: request.transactionId,
    attributes,
    fingerprint: has(request, fingerprint),
  })

/** Throws USAGE when a server can't have these addresses. Port 0 stands for one that is not known yet. */
export function checkResponderAddresses({ primary, alternateIp, alternatePort }: BindingResponderOptions): void {
  const bad = (message: string, fix: string): NatcheckError => new NatcheckError('USAGE', message, { fix })
  if (alternatePort === primary.port && alternatePort !== 0) {
    throw bad(`the alternate port is the primary one, ${alternatePort}`, 'Choose another alternate port.')
  }
  if (alternateIp === undefined) return
  if (alternateIp === primary.ip) {
    throw bad(`the alternate IP is the primary one, ${alternateIp}`, 'Give another IP of this machine, or none.')
  }
  if (familyOf(alternateIp) !== familyOf(primary.ip)) {
    throw bad(
      `${alternateIp} and ${primary.ip} are of different families`,
      'Give two IPv4 or two IPv6 addresses, and run a second server for the other family.',
    )
  }
  if (scopeOf(primary.ip) === 'unspecified' || scopeOf(alternateIp) === 'unspecified') {
    throw bad(
      'answers name the addresses they come from, so 0.0.0.0 or :: will not do',
      'Give two IPs of this machine.',
    )
  }
}
