/** Arbitrary and mutated packets, and what has to hold for whatever a decoder is given. */
import fc from 'fast-check'
import * as wire from '../../src/wire/index.ts'
import { codecs, transactionId, values } from './codecs.ts'
import { vectors } from './vectors.ts'

const key = wire.shortTermKey('secret')

/** A well-formed message of one to five attributes. */
const wellFormed = fc
  .record({
    class: fc.constantFrom<wire.MessageClass[]>('request', 'indication', 'success', 'error'),
    method: fc.integer({ min: 0, max: 0xfff }),
    transactionId,
    attributes: fc.array(
      fc.oneof(
        ...[...codecs].map(([name, codec]) =>
          (values[name] ?? fc.constant(undefined)).map((value) => wire.attribute(codec, value)),
        ),
      ),
      { minLength: 1, maxLength: 5 },
    ),
    integrity: fc.constantFrom(undefined, { key }, { key, algorithm: 'both' as const }),
    fingerprint: fc.boolean(),
  })
  .map(wire.encodeMessage)

type Mutation = (bytes: Uint8Array, at: number, value: number) => Uint8Array

const changed = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  const copy = Uint8Array.from(bytes)
  copy[at] = value
  return copy
}

/** Attribute types, attribute lengths and the message length are hit on purpose; chance alone hardly finds them. */
const mutations: readonly Mutation[] = [
  (bytes, at, value) => changed(bytes, at % bytes.length, value),
  (bytes, at, value) => changed(bytes, at % bytes.length, (bytes[at % bytes.length] ?? 0) ^ (1 << (value & 7))),
  (bytes, at) => bytes.slice(0, at % (bytes.length + 1)),
  (bytes, at, value) => changed(bytes, 2 + (at & 1), value),
  (bytes, at, value) => changed(bytes, attributeOffset(bytes, at) + 3, value),
  (bytes, at, value) => changed(bytes, attributeOffset(bytes, at) + 2, value & 1),
  (bytes, at, value) => changed(bytes, attributeOffset(bytes, at) + 1, value),
  (bytes, at) => {
    const offset = attributeOffset(bytes, at)
    return withLength(Uint8Array.from([...bytes, ...bytes.slice(offset)]))
  },
  (bytes, at) => withLength(bytes.slice(0, Math.max(20, at % (bytes.length + 1)) & ~3)),
]

function attributeOffset(bytes: Uint8Array, index: number): number {
  const result = wire.decodeMessage(bytes)
  const raw = result.ok ? result.value.attributes[index % Math.max(1, result.value.attributes.length)] : undefined
  return raw?.offset ?? 20
}

/** The message length made to fit. */
function withLength(bytes: Uint8Array): Uint8Array {
  return changed(changed(bytes, 2, (bytes.length - 20) >> 8), 3, (bytes.length - 20) & 0xff)
}

const mutation = fc.tuple(
  fc.constantFrom(...mutations),
  fc.integer({ min: 0, max: 4095 }),
  fc.integer({ min: 0, max: 255 }),
)

/** Well-framed attributes of known types with random values: nothing but the codecs stands between them and the caller. */
const randomValues = fc
  .record({
    class: fc.constant<wire.MessageClass>('request'),
    method: fc.constant(wire.Method.binding),
    transactionId,
    attributes: fc.array(
      fc
        .tuple(fc.constantFrom(...[...codecs.values()].map(({ type }) => type)), fc.uint8Array({ maxLength: 40 }))
        .map(([type, value]) => wire.rawAttribute(type, value)),
      { maxLength: 6 },
    ),
  })
  .map(wire.encodeMessage)

/** Random bytes, random values in good frames, and good messages with up to four things wrong. */
export const packet: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 120 }) },
  { weight: 3, arbitrary: randomValues },
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.oneof(wellFormed, fc.constantFrom(...vectors.map(({ bytes }) => bytes))),
        fc.array(mutation, { maxLength: 4 }),
      )
      .map(([bytes, changes]) =>
        changes.reduce(
          (mutated, [mutate, at, value]) => (mutated.length < 24 ? mutated : mutate(mutated, at, value)),
          bytes,
        ),
      ),
  },
)

/** Everything that can be learned from a packet, as one comparable value. `views` are all views it handed out. */
export function examine(bytes: Uint8Array): { findings: unknown; views: Uint8Array[]; decoded: boolean } {
  const result = wire.decodeMessage(bytes)
  const channelData = wire.decodeChannelData(bytes)
  const demultiplexed = [wire.looksLikeStun(bytes), wire.looksLikeChannelData(bytes)]
  const views: Uint8Array[] = channelData.ok ? [channelData.value.data] : []
  if (!result.ok) return { findings: { result, channelData, demultiplexed }, views, decoded: false }
  const message = result.value
  views.push(message.bytes, message.transactionId, ...message.attributes.map((raw) => raw.value))
  const findings = {
    header: [message.class, message.method, message.transactionId],
    attributes: message.attributes.map((raw) => [raw.type, raw.offset, raw.length, raw.value]),
    values: [...codecs.values()].map((codec) => {
      const value = wire.read(message, codec)
      if (value?.ok && value.value instanceof Uint8Array) views.push(value.value)
      return [value, wire.getAll(message, codec)]
    }),
    checks: [
      wire.verifyFingerprint(message),
      wire.verifyIntegrity(message, key),
      wire.verifyIntegritySha256(message, key),
      wire.unknownComprehensionRequired(message),
      wire.effectiveAttributes(message).map((raw) => raw.offset),
    ],
    channelData,
    demultiplexed,
  }
  return { findings, views, decoded: true }
}

/** The packet in the middle of a larger buffer, its surroundings filled with one byte. */
export function surrounded(bytes: Uint8Array, poison: number): Uint8Array {
  const buffer = new Uint8Array(bytes.length + 2 * margin).fill(poison)
  buffer.set(bytes, margin)
  return buffer.subarray(margin, margin + bytes.length)
}

/** A message with other bytes behind it in the same datagram. */
export const followed = (message: Uint8Array, poison: number): Uint8Array =>
  Uint8Array.from([...message, ...new Uint8Array(margin).fill(poison)])

const margin = 96
