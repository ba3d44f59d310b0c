import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Candidate,
  candidateAddress,
  candidateTypes,
  extensionOf,
  isEndOfCandidates,
  parseCandidate,
  renderCandidate,
  tcpTypes,
} from '../../../src/proto/ice/index.ts'
import { bytesToIp } from '../../../src/core/index.ts'

function parsed(line: string): Candidate {
  const result = parseCandidate(line)
  if (!result.ok) throw new Error(`${result.where} ${result.why}`)
  return result.value
}

/** Lines as they stand in offers of these agents; host addresses replaced by documentation ones. */
const seen = {
  'Chrome, host':
    'candidate:1510613869 1 udp 2122260223 192.0.2.10 54421 typ host generation 0 ufrag eP5G network-id 1 network-cost 10',
  'Chrome, mDNS':
    'candidate:842163049 1 udp 2113937151 9b36eaac-bb2e-49bb-bb78-21c41c499900.local 46154 typ host generation 0 ufrag rWl3 network-cost 999',
  'Chrome, hidden base':
    'candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag rWl3 network-cost 999',
  'Chrome, TCP':
    'candidate:344579997 1 tcp 1518280447 192.0.2.10 9 typ host tcptype active generation 0 ufrag eP5G network-id 1',
  'Chrome, relay':
    'candidate:2157334355 1 udp 33562367 198.51.100.4 52219 typ relay raddr 203.0.113.7 rport 46154 generation 0 ufrag rWl3 network-cost 999',
  IPv6: 'candidate:559267639 1 udp 2122202367 2001:db8::10 49153 typ host generation 0 ufrag eP5G network-id 2',
  libjuice: 'candidate:1 1 UDP 2122317823 192.0.2.17 46573 typ host',
  Firefox: 'candidate:0 1 UDP 2122252543 192.0.2.10 54321 typ host',
  'Firefox, TCP srflx': 'candidate:5 2 TCP 1685790974 203.0.113.7 9 typ srflx raddr 192.0.2.10 rport 9 tcptype active',
} as const

describe('lines of real agents', () => {
  it.each(Object.entries(seen))('%s', (_, line) => {
    expect(renderCandidate(parsed(line))).toBe(line.replace('UDP', 'udp').replace('TCP', 'tcp'))
  })

  it('says everything that is in a line', () => {
    expect(parsed(seen['Firefox, TCP srflx'])).toEqual({
      foundation: '5',
      component: 2,
      transport: 'tcp',
      priority: 1685790974,
      host: '203.0.113.7',
      port: 9,
      type: 'srflx',
      related: { host: '192.0.2.10', port: 9 },
      tcpType: 'active',
      extensions: [],
    })
    const hidden = parsed(seen['Chrome, mDNS'])
    expect(candidateAddress(hidden)).toBeUndefined()
    expect([extensionOf(hidden, 'ufrag'), extensionOf(hidden, 'network-cost'), extensionOf(hidden, 'nothing')]).toEqual(
      ['rWl3', '999', undefined],
    )
  })

  it('takes the SDP form, line ends, other cases and other orders', () => {
    expect(parsed(`a=${seen.Firefox}\r\n`)).toEqual(parsed(seen.Firefox))
    expect(parsed(`${seen.Firefox} `)).toEqual(parsed(seen.Firefox))
    expect(parsed('candidate:a 1 Udp 1 2001:DB8:0:0::1 1 TYP HOST')).toEqual(
      parsed('candidate:a 1 udp 1 2001:db8::1 1 typ host'),
    )
    expect(parsed('candidate:a 1 tcp 1 192.0.2.1 1 typ srflx tcptype so rport 2 raddr 192.0.2.2')).toEqual(
      parsed('candidate:a 1 tcp 1 192.0.2.1 1 typ srflx raddr 192.0.2.2 rport 2 tcptype so'),
    )
  })

  it('knows the end of candidates', () => {
    for (const line of ['', 'end-of-candidates', 'a=end-of-candidates\r\n']) expect(isEndOfCandidates(line)).toBe(true)
    for (const line of [' ', 'candidate:', 'x=end-of-candidates', seen.Firefox])
      expect(isEndOfCandidates(line)).toBe(false)
  })
})

describe('lines that are none', () => {
  it.each([
    ['', 'candidate'],
    ['candidate', 'candidate'],
    ['candidate:', 'foundation'],
    ['candidate:1', 'component'],
    ['candidate:*', 'foundation'],
    [`candidate:${'1'.repeat(33)} 1 udp 1 192.0.2.1 1 typ host`, 'foundation'],
    ['candidate:1 0 udp 1 192.0.2.1 1 typ host', 'component'],
    ['candidate:1 257 udp 1 192.0.2.1 1 typ host', 'component'],
    ['candidate:1 1 ssltcp 1 192.0.2.1 1 typ host', 'transport'],
    ['candidate:1 1 udp 0 192.0.2.1 1 typ host', 'priority'],
    ['candidate:1 1 udp 2147483648 192.0.2.1 1 typ host', 'priority'],
    ['candidate:1 1 udp 1e3 192.0.2.1 1 typ host', 'priority'],
    ['candidate:1 1 udp 1 192.0.2.256 1 typ host', 'host'],
    ['candidate:1 1 udp 1 2001:db8:::1 1 typ host', 'host'],
    ['candidate:1 1 udp 1 192.0.2.1 65536 typ host', 'port'],
    ['candidate:1 1 udp 1 192.0.2.1 1 type host', 'typ'],
    ['candidate:1 1 udp 1 192.0.2.1 1 typ nat', 'type'],
    ['candidate:1 1 udp 1 192.0.2.1 1 typ', 'type'],
    ['candidate:1  1 udp 1 192.0.2.1 1 typ host', 'component'],
    ['candidate:1 1 udp 1 192.0.2.1 1 typ srflx raddr 192.0.2.2', 'rport'],
    ['candidate:1 1 udp 1 192.0.2.1 1 typ srflx rport 1', 'raddr'],
    ['candidate:1 1 udp 1 192.0.2.1 1 typ srflx raddr 192.0.2 rport 1', 'raddr'],
    ['candidate:1 1 udp 1 192.0.2.1 1 typ srflx raddr 192.0.2.2 rport x', 'rport'],
    ['candidate:1 1 tcp 1 192.0.2.1 1 typ host', 'tcptype'],
    ['candidate:1 1 tcp 1 192.0.2.1 1 typ host tcptype both', 'tcptype'],
    ['candidate:1 1 udp 1 192.0.2.1 1 typ host tcptype active', 'tcptype'],
    ['candidate:1 1 udp 1 192.0.2.1 1 typ host generation', 'generation'],
    ['candidate:1 1 udp 1 192.0.2.1 1 typ host ufrag é', 'ufrag'],
    ['candidate:1 1 udp 1 192.0.2.1 1 typ host  x y', 'extension'],
    [`candidate:1 1 udp 1 192.0.2.1 1 typ host x ${'y'.repeat(5000)}`, 'candidate'],
  ])('%s', (line, where) => {
    expect(parseCandidate(line)).toMatchObject({ ok: false, where })
  })
})

const ip = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map(bytesToIp)
const host = fc.oneof(
  ip,
  fc.uuid().map((id) => `${id}.local`),
  fc.domain(),
)
const port = fc.integer({ min: 0, max: 65535 })
const visible = (minLength: number): fc.Arbitrary<string> =>
  fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength,
    maxLength: 12,
  })
const foundation = fc.stringMatching(/^[A-Za-z0-9+/]{1,32}$/)
const extension = fc.record({ name: visible(1), value: visible(0) })

const candidate: fc.Arbitrary<Candidate> = fc
  .record({
    foundation,
    component: fc.integer({ min: 1, max: 256 }),
    priority: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    host,
    port,
    type: fc.constantFrom(...candidateTypes),
    related: fc.option(fc.record({ host, port }), { nil: undefined }),
    tcpType: fc.option(fc.constantFrom(...tcpTypes), { nil: undefined }),
    extensions: fc.array(
      extension.filter(({ name }) => !['raddr', 'rport', 'tcptype'].includes(name)),
      { maxLength: 4 },
    ),
  })
  .map((fields) => ({ ...fields, transport: fields.tcpType ? 'tcp' : 'udp' }))

describe('properties', () => {
  it('parse(render(c)) = c', () => {
    fc.assert(
      fc.property(candidate, (value) => {
        expect(parsed(renderCandidate(value))).toEqual(value)
      }),
    )
  })

  it('arbitrary text never throws, and neither do damaged lines', () => {
    const damaged = fc
      .tuple(candidate, fc.nat(200), fc.string({ unit: 'binary', maxLength: 3 }))
      .map(([value, at, noise]) => {
        const line = renderCandidate(value)
        return line.slice(0, at) + noise + line.slice(at + 1)
      })
    const text = fc.oneof(
      damaged,
      fc.string({ unit: 'binary' }),
      fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('latin1')),
    )
    fc.assert(
      fc.property(text, (line) => {
        const result = parseCandidate(line)
        isEndOfCandidates(line)
        if (result.ok) expect(parsed(renderCandidate(result.value))).toEqual(result.value)
        else expect(`${result.where} ${result.why}`).toMatch(/^[ -~]{1,4200}$/)
      }),
      { numRuns: 300 },
    )
  })
})
