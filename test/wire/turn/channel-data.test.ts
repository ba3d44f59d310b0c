import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  decodeChannelData,
  encodeChannelData,
  isChannelNumber,
  looksLikeChannelData,
  toChannelNumber,
} from '../../../src/wire/index.ts'
import { fromHex } from '../vectors.ts'

test('has the bytes of RFC 8656 §12.4, padded on streams only', () => {
  const channelData = { channel: toChannelNumber(0x4001), data: fromHex('0102030405') }
  expect(encodeChannelData(channelData)).toEqual(fromHex('400100050102030405'))
  expect(encodeChannelData(channelData, { pad: true })).toEqual(fromHex('400100050102030405000000'))
})

test('is read as it was written, whatever comes after it', () => {
  const channel = fc.integer({ min: 0x4000, max: 0x4fff }).map(toChannelNumber)
  fc.assert(
    fc.property(channel, fc.uint8Array(), fc.uint8Array(), fc.boolean(), (channel, data, after, pad) => {
      const bytes = encodeChannelData({ channel, data }, { pad })
      expect(decodeChannelData(Uint8Array.from([...bytes, ...after]))).toEqual({ ok: true, value: { channel, data } })
    }),
    { seed: 8656, numRuns: 300 },
  )
})

test.each([
  ['', 'ChannelData header', '0 bytes'],
  ['400100', 'ChannelData header', '3 bytes'],
  ['3fff0000', 'channel number', '0x3fff'],
  ['50000000', 'channel number', '0x5000'],
  ['40010002ff', 'ChannelData length', 'says 6 bytes, but only 5'],
])('%j is bad in its %s', (hex, where, why) => {
  expect(decodeChannelData(fromHex(hex))).toEqual({ ok: false, where, why: expect.stringContaining(why) as string })
})

test('is told from STUN by its first byte', () => {
  expect(['3f000000', '40000000', '4f000000', '50000000'].map((hex) => looksLikeChannelData(fromHex(hex)))).toEqual([
    false,
    true,
    true,
    false,
  ])
  expect(looksLikeChannelData(fromHex('400000'))).toBe(false)
})

test('channel numbers are 0x4000 to 0x4FFF', () => {
  expect([0x3fff, 0x4000, 0x4fff, 0x5000, 0x4000 + 0.5].map(isChannelNumber)).toEqual([false, true, true, false, false])
  const usage = expect.objectContaining({ code: 'USAGE' }) as Error
  expect(() => toChannelNumber(0x5000)).toThrow(usage)
  const tooLong = { channel: toChannelNumber(0x4000), data: new Uint8Array(65536) }
  expect(() => encodeChannelData(tooLong)).toThrow(usage)
})
