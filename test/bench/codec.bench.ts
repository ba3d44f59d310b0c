/**
 * What the codec costs per message. `npm run bench` prints vitest's table, and before it the µs per message of each operation.
 * The message is a Binding success response as a server sends it: SOFTWARE, XOR-MAPPED-ADDRESS, RESPONSE-ORIGIN and
 * OTHER-ADDRESS; with integrity it carries USERNAME as well.
 */
import { type BenchOptions, bench, describe } from 'vitest'
import * as wire from '../../src/wire/index.ts'

const transactionId = Uint8Array.from({ length: 12 }, (_, index) => index)
const key = wire.longTermKey({ username: 'user', realm: 'example.org', password: 'secret' }, 'sha-256')
const attributes = [
  wire.attribute(wire.software, 'natcheck'),
  wire.attribute(wire.xorMappedAddress, { ip: '192.0.2.1', port: 32853 }),
  wire.attribute(wire.responseOrigin, { ip: '198.51.100.1', port: 3478 }),
  wire.attribute(wire.otherAddress, { ip: '198.51.100.2', port: 3479 }),
]
const response = { class: 'success', method: wire.Method.binding, transactionId, attributes } as const
const authenticated = { ...response, attributes: [...attributes, wire.attribute(wire.username, 'user')] }
const channelData = { channel: wire.toChannelNumber(0x4000), data: new Uint8Array(160) }

const bytes = wire.encodeMessage(response)
const message = decoded(bytes)
const withSha1 = decoded(wire.encodeMessage({ ...authenticated, integrity: { key } }))
const withSha256 = decoded(wire.encodeMessage({ ...authenticated, integrity: { key, algorithm: 'sha256' } }))
const withFingerprint = decoded(wire.encodeMessage({ ...response, fingerprint: true }))
const channelDataBytes = wire.encodeChannelData(channelData)
const stream = Uint8Array.from([...bytes, ...bytes, ...bytes, ...bytes])

describe('encode', () => {
  measure('encode a response', () => wire.encodeMessage(response))
  measure('encode a response with FINGERPRINT', () => wire.encodeMessage({ ...response, fingerprint: true }))
  measure('encode a response with MESSAGE-INTEGRITY', () =>
    wire.encodeMessage({ ...authenticated, integrity: { key } }),
  )
  measure('encode a response with MESSAGE-INTEGRITY-SHA256', () =>
    wire.encodeMessage({ ...authenticated, integrity: { key, algorithm: 'sha256' } }),
  )
  measure('encode ChannelData of 160 bytes', () => wire.encodeChannelData(channelData))
})

describe('decode', () => {
  measure('decode a response, no attribute looked at', () => wire.decodeMessage(bytes))
  measure('decode a response and its XOR-MAPPED-ADDRESS', () => wire.get(decoded(bytes), wire.xorMappedAddress))
  measure('decode XOR-MAPPED-ADDRESS alone', () => wire.get(message, wire.xorMappedAddress))
  measure('decode ChannelData of 160 bytes', () => wire.decodeChannelData(channelDataBytes))
  measure('decode four responses in a stream', () => new wire.StreamDecoder().push(stream), 4)
})

describe('verify', () => {
  measure('verify FINGERPRINT', () => wire.verifyFingerprint(withFingerprint))
  measure('verify MESSAGE-INTEGRITY (HMAC-SHA1)', () => wire.verifyIntegrity(withSha1, key))
  measure('verify MESSAGE-INTEGRITY-SHA256 (HMAC-SHA256)', () => wire.verifyIntegritySha256(withSha256, key))
})

function measure(name: string, operation: () => unknown, messages: number = 1): void {
  const options: BenchOptions = {
    time: 300,
    setup(task, mode) {
      if (mode !== 'run') return
      task?.addEventListener('complete', () => {
        const microseconds = ((task.result?.mean ?? 0) * 1000) / messages
        // Vitest runs no afterAll while it benchmarks, so each one speaks for itself.
        console.log(`${microseconds.toFixed(2)} µs per message: ${name}`)
      })
    },
  }
  bench(name, () => void operation(), options)
}

function decoded(bytes: Uint8Array): wire.StunMessage {
  const result = wire.decodeMessage(bytes)
  if (!result.ok) throw new Error(`${result.where}: ${result.why}`)
  return result.value
}
