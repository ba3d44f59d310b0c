/** One end of a virtual TCP connection. There is no half-open state: the first FIN ends both directions. */
import {
  NatcheckError,
  type StreamConnection,
  TlsError,
  type TlsProblem,
  type TransportAddress,
} from '../core/index.ts'
import type { TcpSegment } from './packet.ts'

export interface StreamEvents {
  /** TCP has connected. */
  onConnected(): void
  /** Connected, and the TLS handshake done. */
  onReady(): void
  /** It never became ready. */
  onFailed(error: NatcheckError): void
  onData(bytes: Uint8Array): void
  onClose(error: Error | undefined): void
  /** The connection's state may be forgotten. */
  onGone(): void
  transmit(segment: TcpSegment): void
  soon(task: () => void): void
}

export interface StreamRole {
  readonly local: TransportAddress
  readonly remote: TransportAddress
  /** The connecting side speaks TLS and expects this name. */
  readonly serverName?: string | undefined
  /** Set on the accepting side. */
  readonly accepted?: { readonly tls?: { readonly names: readonly string[]; readonly problem?: string } }
}

type Ordered = Extract<TcpSegment, { sequence: number }>

export class VirtualStream implements StreamConnection {
  readonly local: TransportAddress
  readonly remote: TransportAddress
  readonly #role: StreamRole
  readonly #events: StreamEvents
  #state: 'connecting' | 'handshaking' | 'ready' | 'closed' = 'connecting'
  #nextToSend = 0
  #nextToReceive = 0
  /** Segments that overtook others. */
  readonly #early = new Map<number, Ordered>()

  constructor(role: StreamRole, events: StreamEvents) {
    this.local = role.local
    this.remote = role.remote
    this.#role = role
    this.#events = events
  }

  /** The accepting side is connected from the start. */
  start(): void {
    if (this.#role.accepted?.tls) this.#state = 'handshaking'
    else this.#ready()
  }

  send(bytes: Uint8Array): void {
    if (this.#state !== 'ready' || bytes.length === 0) return
    this.#events.transmit({ type: 'data', sequence: this.#nextToSend++, bytes: bytes.slice() })
  }

  close(): void {
    if (this.#state === 'closed') return
    this.#events.transmit({ type: 'fin', sequence: this.#nextToSend++ })
    this.#end(undefined)
  }

  abort(error: NatcheckError): void {
    if (this.#state !== 'closed') this.#end(error)
  }

  receive(segment: TcpSegment): void {
    if (this.#state === 'closed' || segment.type === 'syn') return
    if (segment.type === 'rst') this.#end(this.#resetError())
    else if (segment.type === 'syn-ack') this.#connected()
    else this.#inOrder(segment)
  }

  #connected(): void {
    if (this.#state !== 'connecting') return
    this.#events.onConnected()
    const { serverName } = this.#role
    if (serverName === undefined) this.#ready()
    else {
      this.#state = 'handshaking'
      this.#events.transmit({ type: 'hello', sequence: this.#nextToSend++, serverName })
    }
    this.#drain()
  }

  #inOrder(segment: Ordered): void {
    if (segment.sequence >= this.#nextToReceive) this.#early.set(segment.sequence, segment)
    // The first data may overtake the SYN-ACK: it waits for it.
    if (this.#state !== 'connecting') this.#drain()
  }

  #drain(): void {
    for (let next = this.#early.get(this.#nextToReceive); next; next = this.#early.get(this.#nextToReceive)) {
      this.#early.delete(this.#nextToReceive++)
      this.#handle(next)
      if (this.#state === 'closed') return
    }
  }

  #handle(segment: Ordered): void {
    switch (segment.type) {
      case 'data':
        if (this.#state === 'ready') this.#events.onData(segment.bytes.slice())
        // A TLS server gives up on a client that speaks plainly, and the other way round.
        else this.#giveUp(notTls)
        break
      case 'fin':
        if (this.#state === 'ready') this.#end(undefined)
        else this.#end(tlsError(this.remote, 'the other side closed the connection during the handshake'))
        break
      case 'hello':
        this.#answerHello(segment.serverName)
        break
      case 'hello-done':
        if (segment.problem === undefined) this.#ready()
        else this.#end(tlsError(this.remote, segment.problem))
        break
    }
  }

  #answerHello(serverName: string): void {
    const tls = this.#role.accepted?.tls
    const known = tls?.names.includes(serverName)
    const problem = tls
      ? (tls.problem ?? (known ? undefined : `${otherName}${tls.names.join(', ')}, not for ${serverName}`))
      : notTls
    this.#events.transmit({ type: 'hello-done', sequence: this.#nextToSend++, problem })
    if (problem === undefined) this.#ready()
    else this.#giveUp(problem)
  }

  #giveUp(problem: string): void {
    this.#events.transmit({ type: 'fin', sequence: this.#nextToSend++ })
    this.#end(tlsError(this.remote, problem))
  }

  #ready(): void {
    this.#state = 'ready'
    this.#events.onReady()
  }

  #end(error: NatcheckError | undefined): void {
    const wasReady = this.#state === 'ready'
    this.#state = 'closed'
    this.#events.onGone()
    if (!wasReady) this.#events.onFailed(error ?? closedError(this.remote))
    else this.#events.soon(() => this.#events.onClose(error))
  }

  #resetError(): NatcheckError {
    if (this.#state !== 'connecting') return closedError(this.remote)
    return new NatcheckError('CONNECTION_REFUSED', `${this.remote.ip} refused TCP port ${this.remote.port}`, {
      fix: 'Check the port, and that the server is running.',
    })
  }
}

const closedError = (remote: TransportAddress): NatcheckError =>
  new NatcheckError('CONNECTION_CLOSED', `${remote.ip} closed the connection`, { fix: 'Try again.' })

/** The virtual handshake tells what is wrong in words only. */
const problemOf = (words: string): TlsProblem => {
  if (words === notTls) return 'not-tls'
  return words.startsWith(otherName) ? 'wrong-name' : 'handshake'
}

const notTls = 'the other side does not speak TLS'
const otherName = 'the certificate is for '

const tlsError = (remote: TransportAddress, problem: string): NatcheckError =>
  new TlsError(problemOf(problem), `no TLS with ${remote.ip}: ${problem}`, {
    fix: 'Check the port and the name in the certificate.',
  })
