/** RFC 5769's test vectors, and what they are made of. */
import { readFileSync } from 'node:fs'
import {
  attribute,
  decodeMessage,
  type EncodableAttribute,
  iceControlled,
  longTermKey,
  type MessageClass,
  nonce,
  priority,
  realm,
  shortTermKey,
  software,
  type StunMessage,
  username,
  xorMappedAddress,
} from '../../src/wire/index.ts'

export interface Vector {
  readonly section: string
  readonly bytes: Uint8Array
  readonly class: MessageClass
  readonly key: Uint8Array
  readonly attributes: readonly EncodableAttribute[]
  readonly fingerprint: boolean
  readonly paddingByte: number
}

const file = JSON.parse(readFileSync(new URL('../vectors/rfc5769-vectors.json', import.meta.url), 'utf8')) as {
  vectors: { bytes: number; hex: string }[]
}

export const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))

const password = shortTermKey('VOkJxbRl1RmTxUk/WvJxBt')
const ipv6 = '2001:db8:1234:5678:11:2233:4455:6677'

const known: readonly Omit<Vector, 'bytes'>[] = [
  {
    section: '2.1 request',
    class: 'request',
    key: password,
    attributes: [
      attribute(software, 'STUN test client'),
      attribute(priority, 0x6e0001ff),
      attribute(iceControlled, 0x932ff9b151263b36n),
      attribute(username, 'evtj:h6vY'),
    ],
    fingerprint: true,
    paddingByte: 0x20,
  },
  {
    section: '2.4 request with long-term authentication',
    class: 'request',
    key: longTermKey({ username: 'マトリックス', realm: 'example.org', password: 'TheMatrIX' }, 'md5'),
    attributes: [
      attribute(username, 'マトリックス'),
      attribute(nonce, 'f//499k954d6OL34oL9FSTvy64sA'),
      attribute(realm, 'example.org'),
    ],
    fingerprint: false,
    paddingByte: 0,
  },
  {
    section: '2.2 IPv4 response',
    class: 'success',
    key: password,
    attributes: [attribute(software, 'test vector'), attribute(xorMappedAddress, { ip: '192.0.2.1', port: 32853 })],
    fingerprint: true,
    paddingByte: 0x20,
  },
  {
    section: '2.3 IPv6 response',
    class: 'success',
    key: password,
    attributes: [attribute(software, 'test vector'), attribute(xorMappedAddress, { ip: ipv6, port: 32853 })],
    fingerprint: true,
    paddingByte: 0x20,
  },
]

export const vectors: readonly Vector[] = file.vectors.map(({ hex }, index) => {
  const facts = known[index]
  if (!facts) throw new Error(`no facts about vector ${index}`)
  return { ...facts, bytes: fromHex(hex) }
})

/** The decoded message, or a failed test. */
export function decoded(bytes: Uint8Array): StunMessage {
  const result = decodeMessage(bytes)
  if (!result.ok) throw new Error(`${result.where}: ${result.why}`)
  return result.value
}
