import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Decoded } from '../../../../src/core/index.ts'
import {
  encodeHttpRequest,
  type HttpResponse,
  HttpResponseReader,
  maxResponseBytes,
} from '../../../../src/probe/nat/port-mapping/http.ts'
import { bytesOf } from './fake-network.ts'

/** Feeds `text` in pieces of `size`, then closes. */
function read(text: string | Uint8Array, size = 1 << 20): Decoded<HttpResponse> {
  const reader = new HttpResponseReader()
  const bytes = typeof text === 'string' ? bytesOf(text) : text
  for (let at = 0; at < bytes.length; at += size) {
    const decoded = reader.feed(bytes.subarray(at, at + size))
    if (decoded) return decoded
  }
  return reader.end()
}

const bodyOf = (decoded: Decoded<HttpResponse>): string =>
  decoded.ok ? new TextDecoder().decode(decoded.value.body) : `failed: ${decoded.where}: ${decoded.why}`

const chunk = (text: string): string => `${bytesOf(text).length.toString(16)}\r\n${text}\r\n`

describe('HttpResponseReader', () => {
  it('reads a body by its Content-Length, and stops there', () => {
    const decoded = read('HTTP/1.1 200 OK\r\ncontent-LENGTH:  5\r\n\r\nhello, and more')
    expect(decoded.ok && decoded.value.status).toBe(200)
    expect(bodyOf(decoded)).toBe('hello')
  })

  it('reads a body that ends with the connection', () => {
    expect(bodyOf(read('HTTP/1.0 500 Oops\r\n\r\nall of this'))).toBe('all of this')
  })

  it('reads chunks, with extensions and trailers', () => {
    const chunked =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n, chunks!!\r\n0\r\nT: 1\r\n\r\n'
    expect(bodyOf(read(chunked))).toBe('hello, chunks!!')
  })

  it('skips an interim answer', () => {
    expect(bodyOf(read('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))).toBe('ok')
  })

  it.each([
    ['no HTTP', 'SSH-2.0-OpenSSH_9\r\n\r\n', 'status line'],
    ['a head that never ends', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(20000)}`, 'response'],
    ['a cut head', 'HTTP/1.1 200 OK\r\nContent-', 'response'],
    ['a cut body', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello', 'response'],
    ['a cut chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello', 'response'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!', 'content-length'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello', 'content-length'],
    ['a promised giant', 'HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n', 'content-length'],
    ['a real giant', `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(maxResponseBytes)}`, 'response'],
    ['gzip', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx', 'transfer-encoding'],
    ['a chunk without size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n', 'chunk'],
    ['a chunk longer than its size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n', 'chunk'],
    ['an endless chunk size', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'0'.repeat(300)}`, 'chunk'],
  ])('refuses %s', (_, text, where) => {
    expect(read(text)).toMatchObject({ ok: false, where })
  })

  it('keeps no more than the limit however it comes', () => {
    const reader = new HttpResponseReader()
    let fed = 0
    let decoded = reader.feed(bytesOf('HTTP/1.1 200 OK\r\n\r\n'))
    while (decoded === undefined) {
      fed += 1000
      decoded = reader.feed(new Uint8Array(1000))
    }
    expect(decoded.ok).toBe(false)
    expect(fed).toBeLessThanOrEqual(maxResponseBytes + 1000)
  })

  it('gives the same whatever the pieces', () => {
    const responses = fc
      .array(fc.string({ minLength: 1, maxLength: 30, unit: 'grapheme' }), { maxLength: 6 })
      .chain((parts) =>
        fc
          .constantFrom(
            `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${parts.map(chunk).join('')}0\r\n\r\n`,
            `HTTP/1.1 200 OK\r\nContent-Length: ${bytesOf(parts.join('')).length}\r\n\r\n${parts.join('')}`,
            `HTTP/1.1 200 OK\r\n\r\n${parts.join('')}`,
          )
          .map((text) => ({ text, body: parts.join('') })),
      )
    fc.assert(
      fc.property(responses, fc.integer({ min: 1, max: 40 }), ({ text, body }, size) => {
        expect(bodyOf(read(text, size))).toBe(body)
      }),
      { numRuns: 1000, seed: 80 },
    )
  })

  it('never throws, and never returns more than it was given', () => {
    const heads = fc.constantFrom(
      '',
      'HTTP/1.1 200 OK\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n',
    )
    fc.assert(
      fc.property(heads, fc.uint8Array({ maxLength: 80 }), fc.integer({ min: 1, max: 9 }), (head, tail, size) => {
        const bytes = new Uint8Array([...bytesOf(head), ...tail])
        const decoded = read(bytes, size)
        expect(decoded.ok ? decoded.value.body.length <= tail.length : decoded.why.length > 0).toBe(true)
      }),
      { numRuns: 3000, seed: 81 },
    )
  })
})

describe('encodeHttpRequest', () => {
  const to = { ip: '192.168.1.1', port: 5000 }

  it('writes a GET', () => {
    expect(new TextDecoder().decode(encodeHttpRequest({ to, path: '/root.xml' }))).toBe(
      'GET /root.xml HTTP/1.1\r\nHost: 192.168.1.1:5000\r\nConnection: close\r\nUser-Agent: natcheck UPnP/1.1\r\n\r\n',
    )
  })

  it('writes a SOAP call with the length in bytes', () => {
    const text = new TextDecoder().decode(
      encodeHttpRequest({ to, path: '/c', soap: { action: 'urn:x#Get', body: '<ü/>' } }),
    )
    expect(text).toContain('POST /c HTTP/1.1\r\n')
    expect(text).toContain('SOAPAction: "urn:x#Get"\r\nContent-Length: 5\r\n\r\n<ü/>')
  })
})
