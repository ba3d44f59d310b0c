/** Writing of big-endian fields into a buffer that grows. */
import { NatcheckError } from '../core/index.ts'

/** Values that don't fit their field are a broken contract and throw USAGE; nothing is ever cut off silently. */
export class Writer {
  #bytes: Uint8Array
  #length = 0

  constructor(capacity: number = 256) {
    this.#bytes = new Uint8Array(capacity)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  uint8(value: number): this {
    const at = this.#reserve(1, value, 0xff)
    this.#bytes[at] = value
    return this
  }

  uint16(value: number): this {
    const at = this.#reserve(2, value, 0xffff)
    this.#put16(at, value)
    return this
  }

  uint32(value: number): this {
    const at = this.#reserve(4, value, 0xffffffff)
    this.#put16(at, value >>> 16)
    this.#put16(at + 2, value & 0xffff)
    return this
  }

  uint64(value: bigint): this {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw outOfRange(value, 8)
    return this.uint32(Number(value >> 32n)).uint32(Number(value & 0xffff_ffffn))
  }

  bytes(value: Uint8Array): this {
    const at = this.#reserve(value.length)
    this.#bytes.set(value, at)
    return this
  }

  /** `count` bytes of one value. */
  fill(count: number, byte: number): this {
    const at = this.#reserve(count)
    if (byte !== 0) this.#bytes.fill(byte, at, at + count)
    return this
  }

  /** Overwrites a field written earlier, such as a length. */
  patchUint16(at: number, value: number): void {
    if (!(value >= 0 && value <= 0xffff)) throw outOfRange(value, 2)
    this.#put16(at, value)
  }

  /** A view of what was written; valid until the next write. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #put16(at: number, value: number): void {
    this.#bytes[at] = value >>> 8
    this.#bytes[at + 1] = value
  }

  #reserve(count: number, value: number = 0, max: number = 0): number {
    if (!(Number.isInteger(value) && value >= 0 && value <= max)) throw outOfRange(value, count)
    const at = this.#length
    this.#length = at + count
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length))
      grown.set(this.#bytes)
      this.#bytes = grown
    }
    return at
  }
}

const outOfRange = (value: number | bigint, bytes: number): NatcheckError =>
  new NatcheckError('USAGE', `${value} does not fit a field of ${bytes} bytes`)
