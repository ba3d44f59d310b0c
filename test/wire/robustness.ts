/** The property of both tiers: the unit tier tries a few thousand packets, the sweep more than a hundred thousand. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { readUint16 } from '../../src/wire/cursor.ts'
import { examine, followed, packet, surrounded } from './mutations.ts'

export interface Tally {
  packets: number
  decoded: number
}

/**
 * Throws with fast-check's counterexample when a decoder throws, when what it found depends on the bytes around the
 * packet, or when a view reaches outside of its message.
 */
export function tryPackets(seed: number, numRuns: number): Tally {
  const tally = { packets: 0, decoded: 0 }
  fc.assert(
    fc.property(packet, (bytes) => {
      const among00 = surrounded(bytes, 0x00)
      const amongFf = surrounded(bytes, 0xff)
      const before = Uint8Array.from(bytes)
      const { findings, views, decoded } = examine(among00)
      tally.packets++
      if (decoded) tally.decoded++
      // A datagram may be longer than its message: then the message's end is the limit.
      const end = decoded ? 20 + readUint16(bytes, 2) : bytes.length
      for (const view of views) {
        const start = view.byteOffset - among00.byteOffset
        const inside = view.buffer === among00.buffer && start >= 0 && start + view.length <= end
        // A value of no bytes may be any empty array.
        if (view.length > 0 && !inside) throw new Error(`a view of ${view.length} bytes at ${start} leaves the packet`)
      }
      if (!isDeepStrictEqual(findings, examine(amongFf).findings)) throw new Error('the surroundings were read')
      if (decoded) {
        const longer = [0x00, 0xff].map((poison) => examine(followed(bytes.subarray(0, end), poison)).findings)
        if (!isDeepStrictEqual(longer[0], longer[1])) throw new Error('what comes after the message was read')
      }
      if (!isDeepStrictEqual(Uint8Array.from(among00), before)) throw new Error('the packet was changed')
    }),
    { seed, numRuns },
  )
  return tally
}
