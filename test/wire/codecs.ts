/** Every attribute codec, and arbitrary values for each. */
import fc from 'fast-check'
import { bytesToIp, type TransportAddress } from '../../src/core/index.ts'
import * as wire from '../../src/wire/index.ts'

/** Codecs by the names they are exported under. */
export const codecs: ReadonlyMap<string, wire.AttributeCodec<unknown>> = new Map(
  Object.entries(wire).flatMap(([name, value]) => (isCodec(value) ? [[name, value] as const] : [])),
)

function isCodec(value: unknown): value is wire.AttributeCodec<unknown> {
  return typeof value === 'object' && value !== null && 'type' in value && 'encode' in value && 'decode' in value
}

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
const someBytes = fc.uint8Array({ maxLength: 70 })
const text = fc.string({ unit: 'binary', maxLength: 40 })
const displayed = text.map((value) => value.replace(/\0+$/, ''))
const uint8 = fc.integer({ min: 0, max: 0xff })
const uint16 = fc.integer({ min: 0, max: 0xffff })
const uint32 = fc.integer({ min: 0, max: 0xffffffff })
const uint64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn })
const family = fc.constantFrom(4, 6)
const flag = fc.constant(true)
const errorNumber = fc.integer({ min: 300, max: 699 })
export const address: fc.Arbitrary<TransportAddress> = fc.record({
  ip: fc.oneof(bytes(4), bytes(16)).map(bytesToIp),
  port: uint16,
})
const passwordAlgorithm = fc.oneof(
  fc.record({ algorithm: uint16 }),
  fc.record({ algorithm: uint16, parameters: fc.uint8Array({ minLength: 1, maxLength: 20 }) }),
)

/** By export name; a test sees to it that none is missing. */
export const values: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  mappedAddress: address,
  xorMappedAddress: address,
  alternateServer: address,
  responseAddress: address,
  sourceAddress: address,
  changedAddress: address,
  reflectedFrom: address,
  draftXorMappedAddress: address,
  responseOrigin: address,
  otherAddress: address,
  xorPeerAddress: address,
  xorRelayedAddress: address,
  password: someBytes,
  changeRequest: fc.record({ changeIp: fc.boolean(), changePort: fc.boolean() }),
  responsePort: uint16,
  padding: someBytes,
  cacheTimeout: uint32,
  username: text,
  realm: text,
  nonce: text,
  userhash: bytes(32),
  passwordAlgorithm,
  passwordAlgorithms: fc.array(passwordAlgorithm, { maxLength: 4 }),
  errorCode: fc.record({ code: errorNumber, reason: displayed }),
  unknownAttributes: fc.array(uint16, { maxLength: 3 }).map((types) => types.flatMap((type) => [type, type])),
  messageIntegrity: bytes(20),
  messageIntegritySha256: fc.constantFrom(16, 20, 24, 28, 32).chain(bytes),
  fingerprint: uint32,
  priority: uint32,
  useCandidate: flag,
  iceControlled: uint64,
  iceControlling: uint64,
  software: displayed,
  alternateDomain: text,
  transactionTransmitCounter: fc.record({ requests: uint8, responses: uint8 }),
  ecnCheck: fc.record({ ecn: fc.integer({ min: 0, max: 3 }), valid: fc.boolean() }),
  channelNumber: fc.integer({ min: 0x4000, max: 0x4fff }),
  lifetime: uint32,
  data: someBytes,
  requestedAddressFamily: family,
  additionalAddressFamily: family,
  evenPort: fc.record({ reserveNext: fc.boolean() }),
  requestedTransport: uint8,
  dontFragment: flag,
  reservationToken: bytes(8),
  addressErrorCode: fc.record({ family, code: errorNumber, reason: displayed }),
  icmp: fc.record({ type: fc.integer({ min: 0, max: 127 }), code: fc.integer({ min: 0, max: 511 }), data: uint32 }),
  connectionId: uint32,
  mobilityTicket: someBytes,
  accessToken: someBytes,
  thirdPartyAuthorization: text,
  loggingId: displayed,
}

/** Of both framings: 12 bytes, or 16 without magic cookie. */
export const transactionId: fc.Arbitrary<Uint8Array> = fc.oneof(
  bytes(12),
  bytes(16).filter((id) => id[0] !== 0x21),
)
