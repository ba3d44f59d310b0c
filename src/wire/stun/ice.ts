/** Attributes of ICE connectivity checks. RFC 8445 §7.1 */
import { type AttributeCodec, flagCodec, uint32Codec } from './attribute.ts'

/** PRIORITY: what a peer reflexive candidate found by this check would have. RFC 8445 §7.1.1 */
export const priority: AttributeCodec<number> = uint32Codec('PRIORITY', 0x0024)

/** USE-CANDIDATE: the controlling agent nominates this pair. RFC 8445 §7.1.2 */
export const useCandidate: AttributeCodec<true> = flagCodec('USE-CANDIDATE', 0x0025)

/** ICE-CONTROLLED: the sender's role, with its 64-bit tie-breaker. RFC 8445 §7.1.3 */
export const iceControlled: AttributeCodec<bigint> = tieBreakerCodec('ICE-CONTROLLED', 0x8029)

/** ICE-CONTROLLING: the sender's role, with its 64-bit tie-breaker. RFC 8445 §7.1.3 */
export const iceControlling: AttributeCodec<bigint> = tieBreakerCodec('ICE-CONTROLLING', 0x802a)

function tieBreakerCodec(name: string, type: number): AttributeCodec<bigint> {
  return {
    name,
    type,
    encode: (value, writer) => void writer.uint64(value),
    decode: (cursor) => cursor.expectLength(8).uint64(),
  }
}
