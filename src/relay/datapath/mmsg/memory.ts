/** Memory that the kernel and we share. It is allocated once and never moves. */
import type { System } from './system.ts'

export class Memory {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Where offset 0 is. */
  readonly base: number

  constructor(system: System, size: number) {
    // Far above 64 bytes, so V8 keeps it outside its heap, where the collector moves nothing.
    const buffer = new ArrayBuffer(Math.max(size, 4096))
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
    this.base = system.addressOf(this.bytes)
  }

  /** Writes the address of `target` at `at`. */
  pointer(at: number, target: number): void {
    this.view.setUint32(at, target >>> 0, true)
    this.view.setUint32(at + 4, target / 0x1_0000_0000, true)
  }
}
