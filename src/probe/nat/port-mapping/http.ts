/** One bounded HTTP/1.1 exchange (RFC 9112) with a device on the local network: enough for UPnP, and no more. */
import {
  type Decoded,
  formatAddress,
  type IpAddress,
  NatcheckError,
  type TransportAddress,
} from '../../../core/index.ts'
import { Deferred, type Session } from './session.ts'

/** Descriptions of real routers are 2–20 KiB. The limit covers the head too. */
export const maxResponseBytes: number = 64 * 1024

export interface HttpResponse {
  readonly status: number
  readonly body: Uint8Array
}

const broken = (where: string, why: string): Decoded<never> => ({ ok: false, where, why })

type BodyLength = number | 'chunked' | 'until-close'

/** Reads one response from pieces of any size. Never throws; keeps at most `maxResponseBytes`. */
export class HttpResponseReader {
  #bytes = new Uint8Array(1024)
  #length = 0
  #status = 0
  #bodyLength: BodyLength | undefined
  /** Where the head, then the body or its next chunk, begins. */
  #position = 0
  /** How far the end of the head has been looked for. */
  #searched = 0
  #chunks: Uint8Array[] = []

  /** undefined: more is needed. */
  feed(piece: Uint8Array): Decoded<HttpResponse> | undefined {
    if (this.#length + piece.length > maxResponseBytes) return broken('response', `over ${maxResponseBytes} bytes`)
    this.#append(piece)
    while (this.#bodyLength === undefined) {
      const head = this.#takeHead()
      if (head === undefined) return undefined
      if (!head.ok) return head
    }
    if (this.#bodyLength === 'chunked') return this.#readChunks()
    if (this.#bodyLength === 'until-close' || this.#length - this.#position < this.#bodyLength) return undefined
    return this.#finish(this.#bytes.slice(this.#position, this.#position + this.#bodyLength))
  }

  /** The peer closed the stream: the end of a body without a length, the truncation of any other. */
  end(): Decoded<HttpResponse> {
    if (this.#bodyLength !== 'until-close') return broken('response', 'ended early')
    return this.#finish(this.#bytes.slice(this.#position, this.#length))
  }

  #append(piece: Uint8Array): void {
    const needed = this.#length + piece.length
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    this.#bytes.set(piece, this.#length)
    this.#length = needed
  }

  #finish(body: Uint8Array): Decoded<HttpResponse> {
    return { ok: true, value: { status: this.#status, body } }
  }

  /** Consumes one head; an interim one (1xx, some devices send `100 Continue` unasked) leaves the next to come. */
  #takeHead(): Decoded<undefined> | undefined {
    const end = this.#indexOf('\r\n\r\n', Math.max(this.#position, this.#searched - 3))
    this.#searched = this.#length
    if (end === undefined) return undefined
    const head = latin1(this.#bytes.subarray(this.#position, end))
    const status = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |\r\n|$)/.exec(head)?.[1]
    if (status === undefined) return broken('status line', 'not HTTP/1.x')
    this.#position = end + 4
    this.#searched = this.#position
    this.#status = Number(status)
    if (this.#status < 200) return { ok: true, value: undefined }
    const length = bodyLength(head)
    if (!length.ok) return length
    this.#bodyLength = length.value
    return { ok: true, value: undefined }
  }

  /** RFC 9112 §7.1. Chunk extensions and trailers are skipped. */
  #readChunks(): Decoded<HttpResponse> | undefined {
    for (;;) {
      const lineEnd = this.#indexOf('\r\n', this.#position)
      if (lineEnd === undefined)
        return this.#length - this.#position > 256 ? broken('chunk', 'size too long') : undefined
      const size = /^([\da-f]{1,6})[ \t]*(?:;|$)/i.exec(latin1(this.#bytes.subarray(this.#position, lineEnd)))?.[1]
      if (size === undefined) return broken('chunk', 'no size')
      const length = Number.parseInt(size, 16)
      if (length === 0) return this.#finish(concatenate(this.#chunks))
      const start = lineEnd + 2
      if (start + length + 2 > this.#length) return undefined
      if (this.#bytes[start + length] !== 13 || this.#bytes[start + length + 1] !== 10) {
        return broken('chunk', 'longer than its size')
      }
      this.#chunks.push(this.#bytes.slice(start, start + length))
      this.#position = start + length + 2
    }
  }

  #indexOf(marker: string, from: number): number | undefined {
    for (let i = from; i + marker.length <= this.#length; i++) {
      let matched = 0
      while (matched < marker.length && this.#bytes[i + matched] === marker.charCodeAt(matched)) matched++
      if (matched === marker.length) return i
    }
    return undefined
  }
}

/** RFC 9112 §6.3 */
function bodyLength(head: string): Decoded<BodyLength> {
  let length: BodyLength = 'until-close'
  for (const line of head.split('\r\n').slice(1)) {
    const [name = '', value = ''] = splitOnce(line, ':')
    if (name.toLowerCase() === 'transfer-encoding') {
      if (value.trim().toLowerCase() !== 'chunked') return broken('transfer-encoding', 'not chunked')
      return { ok: true, value: 'chunked' }
    }
    if (name.toLowerCase() !== 'content-length') continue
    if (!/^\d{1,9}$/.test(value.trim())) return broken('content-length', 'not a number')
    if (length !== 'until-close' && length !== Number(value)) return broken('content-length', 'given twice')
    length = Number(value)
    if (length > maxResponseBytes) return broken('content-length', `over ${maxResponseBytes} bytes`)
  }
  return { ok: true, value: length }
}

/** The text before and after the first `separator`; the second is absent where there is none. */
export function splitOnce(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)]
}

export const latin1 = (bytes: Uint8Array): string => new TextDecoder('latin1').decode(bytes)

function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let position = 0
  for (const piece of pieces) {
    whole.set(piece, position)
    position += piece.length
  }
  return whole
}

/** What to ask of a device. `path` begins with `/` and holds neither spaces nor control characters. */
export interface HttpRequest {
  readonly to: TransportAddress
  readonly path: string
  /** A SOAP call, by POST; without it a GET. */
  readonly soap?: { readonly action: string; readonly body: string }
}

export function encodeHttpRequest({ to, path, soap }: HttpRequest): Uint8Array {
  const body = new TextEncoder().encode(soap?.body ?? '')
  const lines = [
    `${soap ? 'POST' : 'GET'} ${path} HTTP/1.1`,
    `Host: ${formatAddress(to)}`,
    'Connection: close',
    'User-Agent: natcheck UPnP/1.1',
  ]
  if (soap) {
    lines.push(
      'Content-Type: text/xml; charset="utf-8"',
      `SOAPAction: "${soap.action}"`,
      `Content-Length: ${body.length}`,
    )
  }
  return concatenate([new TextEncoder().encode(`${lines.join('\r\n')}\r\n\r\n`), body])
}

/** `unreachable` carries the connection's own error; `broken` is an answer that is no HTTP, truncated or too long. */
export type HttpResult =
  | { readonly kind: 'response'; readonly response: HttpResponse }
  | { readonly kind: 'unreachable'; readonly error: NatcheckError }
  | { readonly kind: 'broken'; readonly why: string }

/** Sends one request on a connection of its own. Redirects are not followed. Stays open when the session ends first. */
export async function exchange(
  session: Session,
  localIp: IpAddress | undefined,
  request: HttpRequest,
): Promise<HttpResult> {
  const reader = new HttpResponseReader()
  const result = new Deferred<HttpResult>()
  const conclude = (decoded: Decoded<HttpResponse> | undefined): void => {
    if (decoded === undefined) return
    if (decoded.ok) result.resolve({ kind: 'response', response: decoded.value })
    else result.resolve({ kind: 'broken', why: `${decoded.where}: ${decoded.why}` })
  }
  try {
    const stream = await session.connectStream(request.to, localIp, {
      onData: (bytes) => conclude(reader.feed(bytes)),
      onClose: () => conclude(reader.end()),
    })
    stream.send(encodeHttpRequest(request))
    const settled = await result.promise
    session.close(stream)
    return settled
  } catch (error) {
    if (error instanceof NatcheckError) return { kind: 'unreachable', error }
    throw error
  }
}
