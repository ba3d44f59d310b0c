/** Rooms where two peers find each other. Whoever knows a room's code may enter, so a code can't be guessed. */
import { after, type Cancel, type Clock, type Random } from '../core/index.ts'

/** 128 bits. */
const codeBytes = 16
const mostRooms = 1000
const seats = 2
/** Long enough to send somebody the link. */
const emptyMs = 900_000

/** Somebody in a room. */
export interface Member<Message> {
  readonly isHost: boolean
  send(message: Message): void
  /** It is in the room no more. */
  left?(): void
}

interface Room<Message> {
  readonly members: Set<Member<Message>>
  expiry: Cancel | undefined
}

export class Rooms<Message> {
  readonly #rooms = new Map<string, Room<Message>>()
  readonly #clock: Clock
  readonly #random: Random

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  /** The new room's code; undefined: there are too many rooms. */
  create(): string | undefined {
    if (this.#rooms.size >= mostRooms) return undefined
    const code = Buffer.from(this.#random.bytes(codeBytes)).toString('base64url')
    const room: Room<Message> = { members: new Set(), expiry: undefined }
    this.#rooms.set(code, room)
    this.#expire(code, room)
    return code
  }

  /** Who was there before; or why not. */
  join(code: string, member: Member<Message>): readonly Member<Message>[] | 'unknown-room' | 'full' {
    const room = this.#rooms.get(code)
    if (room === undefined) return 'unknown-room'
    if (room.members.size >= seats) return 'full'
    const before = [...room.members]
    room.expiry?.()
    room.members.add(member)
    return before
  }

  leave(code: string, member: Member<Message>): void {
    const room = this.#rooms.get(code)
    if (!room?.members.delete(member)) return
    member.left?.()
    if (room.members.size === 0) this.#expire(code, room)
  }

  others(code: string, member: Member<Message>): readonly Member<Message>[] {
    return [...(this.#rooms.get(code)?.members ?? [])].filter((each) => each !== member)
  }

  /** Nobody has to wait for rooms that were never entered. */
  close(): void {
    for (const { expiry, members } of this.#rooms.values()) {
      expiry?.()
      for (const member of members) member.left?.()
    }
    this.#rooms.clear()
  }

  #expire(code: string, room: Room<Message>): void {
    room.expiry = this.#clock.schedule(after(this.#clock.now(), emptyMs), () => void this.#rooms.delete(code))
  }
}
