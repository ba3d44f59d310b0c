import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeSearchResponse,
  deviceUrl,
  encodeSearch,
  ssdpGroup,
} from '../../../../src/probe/nat/port-mapping/ssdp.ts'
import { bytesOf, searchAnswer } from './fake-network.ts'

describe('M-SEARCH', () => {
  it('is written as UPnP Device Architecture 1.1 §1.3.2 says', () => {
    expect(new TextDecoder().decode(encodeSearch('urn:x', ssdpGroup))).toBe(
      'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: urn:x\r\n\r\n',
    )
  })

  it('has an answer with a place and a name', () => {
    expect(decodeSearchResponse(searchAnswer('http://192.168.1.1:5000/root.xml'))).toEqual({
      location: 'http://192.168.1.1:5000/root.xml',
      server: 'Test/1 UPnP/1.1',
    })
  })

  it.each([
    [
      'an announcement',
      'NOTIFY * HTTP/1.1\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: http://x/\r\n\r\n',
    ],
    [
      'a television',
      'HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:MediaRenderer:1\r\nLOCATION: http://x/\r\n\r\n',
    ],
    ['no place', 'HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n'],
    [
      'an error',
      'HTTP/1.1 412 No\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: http://x/\r\n\r\n',
    ],
  ])('is not answered by %s', (_, text) => {
    expect(decodeSearchResponse(bytesOf(text))).toBeUndefined()
  })

  it('is not answered by a giant', () => {
    expect(decodeSearchResponse(searchAnswer(`http://192.168.1.1:5000/${'x'.repeat(2000)}`))).toBeUndefined()
  })

  it('may be answered by any bytes without an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
        const bytes = new Uint8Array([...searchAnswer('http://192.168.1.1/').slice(0, 120), ...tail])
        const response = decodeSearchResponse(bytes)
        expect(response === undefined || response.location.length <= bytes.length).toBe(true)
      }),
      { numRuns: 2000, seed: 1900 },
    )
  })
})

describe('deviceUrl: where an answer may lead (server-side request forgery)', () => {
  const responder = '192.168.1.1'

  it.each([
    ['http://192.168.1.1:5000/rootDesc.xml', 5000, '/rootDesc.xml'],
    ['http://192.168.1.1/a?b=c', 80, '/a?b=c'],
    ['HTTP://192.168.1.1:49152', 49152, '/'],
    ['http://3232235777:5000/', 5000, '/'],
  ])('allows %s', (text, port, path) => {
    expect(deviceUrl(text, responder)).toEqual({ address: { ip: responder, port }, path })
  })

  it.each([
    ['http://192.168.1.2:5000/', 'on another host'],
    ['http://127.0.0.1:5000/', 'on another host'],
    ['http://169.254.169.254/latest/meta-data/', 'on another host'],
    ['http://router.example:5000/', 'on another host'],
    ['http://[::1]:5000/', 'on another host'],
    ['http://192.168.1.1.evil.example/', 'on another host'],
    ['http://192.168.1.1@evil.example/', 'with credentials in it'],
    ['http://user:pass@192.168.1.1:5000/', 'with credentials in it'],
    ['https://192.168.1.1/', 'not plain http'],
    ['file:///etc/passwd', 'not plain http'],
    ['gopher://192.168.1.1:5000/', 'not plain http'],
    ['http://192.168.1.1:22/', 'on port 22'],
    ['http://192.168.1.1:0/', 'on port 0'],
    ['http://192.168.1.1:99999/', 'not a URL'],
    ['/relative', 'not a URL'],
    [`http://192.168.1.1:5000/${'x'.repeat(1100)}`, 'not a URL'],
  ])('refuses %s', (text, refused) => {
    expect(deviceUrl(text, responder)).toEqual({ refused })
  })

  it('refuses a public responder, whatever it says', () => {
    expect(deviceUrl('http://8.8.8.8:5000/', '8.8.8.8')).toEqual({ refused: 'on a public host' })
    expect(deviceUrl('http://127.0.0.1:5000/', '127.0.0.1')).toEqual({ refused: 'on a public host' })
    expect('refused' in deviceUrl('http://169.254.7.7:5000/', '169.254.7.7')).toBe(false)
  })

  it('never lets a request line be split, and never leads elsewhere', () => {
    const hosts = fc.constantFrom('http://192.168.1.1:5000/', 'http://192.168.1.1:5000', '//', '/', '\\\\', 'http:', '')
    fc.assert(
      fc.property(hosts, fc.string({ unit: 'binary', maxLength: 30 }), (head, tail) => {
        const url = deviceUrl(`${head}${tail}`, responder, 'http://192.168.1.1:5000/root.xml')
        if ('refused' in url) return
        expect(url.address.ip).toBe(responder)
        expect(url.path).toMatch(/^\/[\x21-\x7e]*$/)
      }),
      { numRuns: 5000, seed: 3 },
    )
  })
})
