import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  attribute,
  encodeChannelData,
  encodeMessage,
  Method,
  software,
  StreamDecoder,
  type StreamFrame,
  toChannelNumber,
} from '../../../src/wire/index.ts'
import { fromHex, vectors } from '../vectors.ts'

const transactionId = fromHex('000102030405060708090a0b')
const binding = (text: string): Uint8Array =>
  encodeMessage({ class: 'request', method: Method.binding, transactionId, attributes: [attribute(software, text)] })
const channel = toChannelNumber(0x4001)

const concat = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]))

/** What came out, with the bytes that went in. */
function summary(frame: StreamFrame): unknown {
  if (frame.kind === 'message') return frame.message.bytes
  if (frame.kind === 'channel-data') return frame.channelData
  return frame
}

function pushInPieces(decoder: StreamDecoder, bytes: Uint8Array, sizes: readonly number[]): StreamFrame[] {
  const frames: StreamFrame[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length] ?? 1)
    frames.push(...decoder.push(bytes.slice(at, at + size)))
    at += size
  }
  return frames
}

const frame = fc.oneof(
  fc.constantFrom(...vectors.map(({ bytes }) => ({ bytes, expected: bytes as unknown }))),
  fc.string({ maxLength: 900 }).map((text) => ({ bytes: binding(text), expected: binding(text) as unknown })),
  fc.uint8Array({ maxLength: 1500 }).map((data) => ({
    bytes: encodeChannelData({ channel, data }, { pad: true }),
    expected: { channel, data } as unknown,
  })),
)

test('however a stream is cut into chunks, the same frames come out of it', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 })
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), sizes, (sent, sizes) => {
      const decoder = new StreamDecoder()
      const frames = pushInPieces(decoder, concat(sent.map(({ bytes }) => bytes)), sizes)
      expect(frames.map(summary)).toEqual(sent.map(({ expected }) => expected))
      expect(decoder.buffered).toBe(0)
    }),
    { seed: 4571, numRuns: 300 },
  )
})

test('byte by byte, each frame comes out with its last byte and not before', () => {
  const parts = [binding('x'), encodeChannelData({ channel, data: fromHex('01') }, { pad: true }), binding('')]
  const ends = new Set([parts[0]?.length, 28 + 8, 28 + 8 + 24])
  const decoder = new StreamDecoder()
  concat(parts).forEach((byte, index) => {
    const frames = decoder.push(Uint8Array.of(byte))
    expect(frames, `byte ${index + 1}`).toHaveLength(ends.has(index + 1) ? 1 : 0)
  })
})

test('frames keep their bytes when later ones arrive', () => {
  const decoder = new StreamDecoder()
  const [frame] = pushInPieces(decoder, binding('first'), [3])
  expect(pushInPieces(decoder, binding('later'), [3])).toHaveLength(1)
  expect(frame && summary(frame)).toEqual(binding('first'))
})

describe('what is wrong is said', () => {
  test.each([
    ['HTTP/1.1 400 Bad Request', { channelData: false }, 'first byte', '"HTTP/1.1" is not STUN'],
    ['SSH-2.0-OpenSSH', {}, 'first byte', '"SSH-2.0-" is not STUN'],
    ['\x15\x03\x03\x00\x02\x02\x46', {}, undefined, undefined],
    ['\x15\x03\x03\x00\x02\x02\x46\x00', {}, 'magic cookie', '1503030002024600 is not STUN'],
    ['\x00\x01\x00\x03\x21\x12\xa4\x42', {}, 'message length', '3 is not a multiple of 4'],
    ['\x00\x01\x10\x00\x21\x12\xa4\x42', { maxFrameLength: 2048 }, 'length', '4116 bytes, more than the 2048'],
    ['\x40\x00\xff\xff', { maxFrameLength: 2048 }, 'length', '65540 bytes, more than the 2048'],
    ['\x50\x00\x00\x00', {}, 'first byte', '50000000 is not STUN'],
  ])('%j', (text, options, where, why) => {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0))
    const expected = where ? [{ kind: 'broken', where, why: expect.stringContaining(why) as string }] : []
    expect(new StreamDecoder(options).push(bytes)).toEqual(expected)
    expect(pushInPieces(new StreamDecoder(options), bytes, [8])).toEqual(expected)
  })

  test('a message that is bad inside does not stop the stream', () => {
    const bad = fromHex('000100042112a442000102030405060708090a0b80220001')
    const frames = new StreamDecoder().push(concat([binding('a'), bad, binding('b')]))
    expect(frames.map((frame) => frame.kind)).toEqual(['message', 'malformed', 'message'])
  })

  test('a broken stream says so once and takes no more', () => {
    const decoder = new StreamDecoder()
    expect(decoder.push(concat([binding('a'), fromHex('ff'), binding('b')])).map(({ kind }) => kind)).toEqual([
      'message',
      'broken',
    ])
    expect(decoder.push(binding('c'))).toEqual([])
    expect(decoder.buffered).toBe(0)
  })

  test('a stream that ends in the middle shows by what is buffered', () => {
    const decoder = new StreamDecoder()
    decoder.push(binding('x').subarray(0, 27))
    expect(decoder.buffered).toBe(27)
  })
})

test('arbitrary bytes never throw, and no more is held than was sent', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 12 }), fc.boolean(), (chunks, framed) => {
      const decoder = new StreamDecoder()
      if (framed) decoder.push(fromHex('000110002112a442'))
      let sent = framed ? 8 : 0
      for (const chunk of chunks) {
        decoder.push(chunk)
        sent += chunk.length
        expect(decoder.buffered).toBeLessThanOrEqual(sent)
      }
    }),
    { seed: 6062, numRuns: 2000 },
  )
})

test("channels of RFC 5766 are taken where that is asked for, and are not STUN where it isn't", () => {
  const legacy = Uint8Array.of(0x7f, 0xfe, 0, 1, 9, 0, 0, 0)
  const taken = new StreamDecoder({ legacyChannels: true }).push(concat([legacy, binding('x')]))
  expect(taken.map(summary)).toEqual([{ channel: 0x7ffe, data: Uint8Array.of(9) }, binding('x')])
  expect(new StreamDecoder().push(legacy)).toMatchObject([{ kind: 'broken', where: 'first byte' }])
  const reserved = Uint8Array.of(0x7f, 0xff, 0, 0)
  expect(new StreamDecoder({ legacyChannels: true }).push(reserved)).toMatchObject([{ kind: 'malformed' }])
  const tls = Uint8Array.of(0x80, 0, 0, 0)
  expect(new StreamDecoder({ legacyChannels: true }).push(tls)).toMatchObject([{ kind: 'broken' }])
  const both = { channelData: false, legacyChannels: true }
  expect(new StreamDecoder(both).push(legacy)).toMatchObject([{ kind: 'broken' }])
})

test('ChannelData may be expected from the middle of a stream on', () => {
  const decoder = new StreamDecoder({ channelData: false })
  const message = binding('before')
  expect(decoder.push(message.slice(0, 10))).toEqual([])
  decoder.expectChannelData()
  const data = Uint8Array.of(1, 2, 3)
  const rest = concat([message.slice(10), encodeChannelData({ channel, data }, { pad: true })])
  expect(decoder.push(rest).map(summary)).toEqual([message, { channel, data }])
})
