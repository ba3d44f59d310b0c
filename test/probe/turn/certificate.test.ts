import { expect, test } from 'vitest'
import { wallTime } from '../../../src/core/index.ts'
import { noteCertificate } from '../../../src/probe/turn/certificate.ts'
import { Notes } from '../../../src/probe/turn/examination.ts'
import type { CheckObservation, TransportObservation } from '../../../src/probe/turn/index.ts'
import { attempt } from '../../report/ice-observed.ts'

const today = wallTime(Date.parse('2026-01-10T12:00:00.000Z'))

const tls = (validTo: string, over: Partial<TransportObservation> = {}): TransportObservation => ({
  ...attempt({ uri: 'turns:turn.example', transport: 'tls', address: '50.0.0.1:5349' }),
  relayed: '50.0.0.1:50000',
  causes: [],
  named: true,
  tls: { version: 'TLSv1.3', names: ['turn.example'], issuer: 'CA', validFrom: '2025-12-01T00:00:00.000Z', validTo },
  ...over,
})

function certificateOf(...transports: readonly TransportObservation[]): CheckObservation | undefined {
  const notes = new Notes(new AbortController().signal)
  noteCertificate(notes, transports, today)
  return notes.all('').find(({ id }) => id === 'certificate')
}

const expired = { code: 'certificate-expired', stage: 'tls', severity: 'error', facts: {} } as const

test.each([
  ['2026-03-01T00:00:00.000Z', 'yes', 49],
  ['2026-01-24T12:00:00.000Z', 'yes', 14],
  ['2026-01-24T11:00:00.000Z', 'warning', 13],
  ['2026-01-10T13:00:00.000Z', 'warning', 0],
])('valid to %s: %s, %i days', (validTo, result, days) => {
  expect(certificateOf(tls(validTo))).toMatchObject({ result, facts: { days } })
})

test('a failure beside a port that works is told', () => {
  const failing = tls('2026-01-01T00:00:00.000Z', { relayed: null, causes: [expired] })
  expect(certificateOf(tls('2026-03-01T00:00:00.000Z'), failing)).toMatchObject({
    result: 'no',
    detail: expect.stringContaining('it has expired: valid to 2026-01-01 (-10 days)') as string,
  })
})

test('a TURN port that nobody named is worth a warning', () => {
  const own = { relayed: null, causes: [expired] }
  expect(certificateOf(tls('2026-01-01T00:00:00.000Z', { ...own, named: false }))).toMatchObject({ result: 'warning' })
  expect(certificateOf(tls('2026-01-01T00:00:00.000Z', { ...own, named: true }))).toMatchObject({ result: 'no' })
})

test("a web server's certificate on 443 is nobody's matter, where nobody said that TURN is there", () => {
  const web = { relayed: null, causes: [expired], address: '50.0.0.1:443' }
  expect(certificateOf(tls('2026-01-01T00:00:00.000Z', { ...web, named: false }))).toMatchObject({
    result: 'not-tested',
  })
  expect(certificateOf(tls('2026-01-01T00:00:00.000Z', { ...web, named: true }))).toMatchObject({ result: 'no' })
})
