/** The property of both tiers: the unit tier tries a few thousand packets, the sweep more than a hundred thousand. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { examine, packet, surrounded } from './mutations.ts'

export interface Tally {
  packets: number
  decoded: number
}

/**
 * Throws with fast-check's counterexample when a decoder throws, when what it found depends on the bytes around the
 * packet, or when a view reaches outside of it.
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
      for (const view of views) {
        const start = view.byteOffset - among00.byteOffset
        const inside = view.buffer === among00.buffer && start >= 0 && start + view.length <= bytes.length
        // A value of no bytes may be any empty array.
        if (view.length > 0 && !inside) throw new Error(`a view of ${view.length} bytes at ${start} leaves the packet`)
      }
      if (!isDeepStrictEqual(findings, examine(amongFf).findings)) throw new Error('the surroundings were read')
      if (!isDeepStrictEqual(Uint8Array.from(among00), before)) throw new Error('the packet was changed')
    }),
    { seed, numRuns },
  )
  return tally
}
