/** Bounded reading of bytes that somebody else wrote. */

const nothing = new Uint8Array(0)

/**
 * Reads big-endian fields from `bytes[start, end)` and nothing else. It never throws: the first read that does not
 * fit is remembered in `failure`, and from then on reads return zeros, so a decoder can be written straight down and
 * asked once at the end.
 */
export class Cursor {
  readonly #bytes: Uint8Array
  readonly #end: number
  #position: number
  #failure: string | undefined

  constructor(bytes: Uint8Array, start: number = 0, end: number = bytes.length) {
    this.#bytes = bytes
    this.#end = Math.min(end, bytes.length)
    this.#position = start
  }

  /** The first rule that was broken; undefined while all is well. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#end - this.#position
  }

  /** Records why these bytes are bad. The first reason stays. */
  fail(why: string): void {
    this.#failure ??= why
  }

  /** Fails unless exactly `length` bytes remain. */
  expectLength(length: number): this {
    if (this.remaining !== length) this.fail(`has ${this.remaining} bytes, not ${length}`)
    return this
  }

  /** Steps over reserved bytes: RFC 8489 wants them ignored. */
  skip(length: number): this {
    this.#take(length)
    return this
  }

  uint8(): number {
    const at = this.#take(1)
    return at < 0 ? 0 : (this.#bytes[at] ?? 0)
  }

  uint16(): number {
    const at = this.#take(2)
    return at < 0 ? 0 : readUint16(this.#bytes, at)
  }

  uint32(): number {
    const at = this.#take(4)
    return at < 0 ? 0 : readUint32(this.#bytes, at)
  }

  uint64(): bigint {
    const high = this.uint32()
    return (BigInt(high) << 32n) | BigInt(this.uint32())
  }

  /** A view, not a copy; empty when they don't fit. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length)
    return at < 0 ? nothing : viewOf(this.#bytes, at, at + length)
  }

  /** A view of everything not read yet. */
  rest(): Uint8Array {
    return this.bytes(this.remaining)
  }

  /** The position of `length` bytes that fit, or -1. */
  #take(length: number): number {
    if (this.#failure !== undefined) return -1
    const at = this.#position
    if (length > this.#end - at) {
      this.fail(`ends after ${this.#end - at} of ${length} bytes`)
      return -1
    }
    this.#position = at + length
    return at
  }
}

export const readUint16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

export const readUint32 = (bytes: Uint8Array, at: number): number =>
  ((readUint16(bytes, at) << 16) | readUint16(bytes, at + 2)) >>> 0

/** A plain Uint8Array over the same memory, also when `bytes` is a Buffer. */
export const viewOf = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start)
