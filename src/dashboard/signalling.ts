/** The signalling WebSocket: seats a browser in a room, and passes offers, answers and candidates on to the other seat. */
import type { WebSocket } from '@fastify/websocket'
import { after, type Cancel, type Clock, elapsed, type Instant } from '../core/index.ts'
import type { PageIceServer } from './options.ts'
import type { Member, Rooms } from './rooms.ts'
import { type PeerKind, readSignal, type RoomSignal, type Signal } from './signals.ts'

/** A socket that has not named its room by then is nobody's. */
const joinMs = 5000
/** Two missed pongs: the browser has gone without a word. */
const pingMs = 20_000
/** A peer that does not read is let go before what waits for it costs memory. */
const longestBacklog = 256 * 1024
/** A negotiation with its candidates is a few dozen messages. */
const messagesPerWindow = 300
const windowMs = 10_000

export interface SignallingOptions {
  readonly rooms: Rooms<Signal>
  readonly clock: Clock
  readonly iceServers: () => readonly PageIceServer[]
}

export const refusals: Readonly<Record<Extract<RoomSignal, { type: 'refused' }>['why'], string>> = {
  'unknown-room': 'this room does not exist, or has been empty for too long: make a new one',
  full: 'two are in this room already: make a new one',
  'bad-message': 'this message is none that signalling knows',
  'too-fast': 'too many messages at once',
}

export const kindOf = ({ isHost }: Member<Signal>): PeerKind => (isHost ? 'host' : 'browser')

/** Serves one browser's WebSocket until it is closed. */
export function takeSeat(socket: WebSocket, options: SignallingOptions): void {
  new Seat(socket, options).open()
}

class Seat implements Member<Signal> {
  readonly isHost = false
  readonly #socket: WebSocket
  readonly #options: SignallingOptions
  #room: string | undefined
  #heard = true
  #timer: Cancel
  #window: { readonly since: Instant; count: number }

  constructor(socket: WebSocket, options: SignallingOptions) {
    this.#socket = socket
    this.#options = options
    const { clock } = options
    this.#window = { since: clock.now(), count: 0 }
    this.#timer = clock.schedule(after(clock.now(), joinMs), () => socket.terminate())
  }

  open(): void {
    const socket = this.#socket
    // Text arrives as one Buffer, since nobody asked for fragments.
    socket.on('message', (data: Buffer, isBinary) => this.#onMessage(isBinary ? '' : data.toString('utf8')))
    socket.on('pong', () => (this.#heard = true))
    socket.on('error', () => socket.terminate())
    socket.on('close', () => this.#leave())
  }

  send(message: Signal): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return
    if (this.#socket.bufferedAmount > longestBacklog) this.#socket.terminate()
    else this.#socket.send(JSON.stringify(message))
  }

  #onMessage(text: string): void {
    if (this.#isTooFast()) return this.#refuse('too-fast')
    const signal = readSignal(text)
    if (signal === undefined) return this.#refuse('bad-message')
    if (signal.type === 'leave') return this.#socket.close(1000)
    if (signal.type === 'join') return this.#join(signal.room)
    if (this.#room === undefined) return this.#refuse('bad-message')
    for (const other of this.#options.rooms.others(this.#room, this)) other.send(signal)
  }

  #join(code: string): void {
    if (this.#room !== undefined) return this.#refuse('bad-message')
    const { rooms, iceServers } = this.#options
    const others = rooms.join(code, this)
    if (typeof others === 'string') return this.#refuse(others)
    this.#room = code
    this.#timer()
    this.#ping()
    const [other] = others
    this.send({
      type: 'joined',
      polite: other !== undefined,
      peer: other ? kindOf(other) : null,
      iceServers: iceServers(),
    })
    other?.send({ type: 'peer-joined', peer: kindOf(this) })
  }

  #leave(): void {
    this.#timer()
    if (this.#room === undefined) return
    const others = this.#options.rooms.others(this.#room, this)
    this.#options.rooms.leave(this.#room, this)
    this.#room = undefined
    for (const other of others) other.send({ type: 'peer-left' })
  }

  #ping(): void {
    const { clock } = this.#options
    this.#timer = clock.schedule(after(clock.now(), pingMs), () => {
      if (!this.#heard) return this.#socket.terminate()
      this.#heard = false
      this.#socket.ping()
      this.#ping()
    })
  }

  #isTooFast(): boolean {
    const now = this.#options.clock.now()
    if (elapsed(this.#window.since, now) > windowMs) this.#window = { since: now, count: 0 }
    return ++this.#window.count > messagesPerWindow
  }

  #refuse(why: Extract<RoomSignal, { type: 'refused' }>['why']): void {
    this.send({ type: 'refused', why, message: refusals[why] })
    // 1008: policy violation. RFC 6455 §7.4.1
    this.#socket.close(1008, why)
  }
}
