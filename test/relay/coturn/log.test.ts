import { expect, test } from 'vitest'
import { CoturnLog } from '../../../src/relay/coturn/log.ts'

/** What turnserver 4.6.1 printed for an allocation that relayed three packets each way. */
const session = `
8: : session 001000000000000001: realm <natcheck> user <>: incoming packet message processed, error 401: Unauthorized
8: : IPv4. Local relay addr: 127.0.0.1:50098
8: : session 001000000000000001: new, realm=<natcheck>, username=<alice>, lifetime=777
8: : session 001000000000000001: realm <natcheck> user <alice>: incoming packet ALLOCATE processed, success
8: : session 001000000000000001: peer 127.0.0.1:50036 lifetime updated: 600
8: : session 001000000000000001: realm <natcheck> user <alice>: incoming packet CHANNEL_BIND processed, success
8: : session 001000000000000001: realm <natcheck> user <alice>: incoming packet CHANNEL_BIND processed, error 403: Forbidden IP
8: : session 001000000000000001: realm <natcheck> user <alice>: incoming packet message processed, error 403: Forbidden IP`
const farewell = `
13: : session 001000000000000001: refreshed, realm=<natcheck>, username=<alice>, lifetime=0
13: : session 001000000000000001: realm <natcheck> user <alice>: incoming packet REFRESH processed, success`
const end = (reason: string): string => `
14: : session 001000000000000001: usage: realm=<natcheck>, username=<alice>, rp=11, rb=1136, sp=11, sb=812
14: : session 001000000000000001: peer usage: realm=<natcheck>, username=<alice>, rp=3, rb=300, sp=4, sb=400
14: : session 001000000000000001: closed (2nd stage), user <alice> realm <natcheck> origin <>, local 127.0.0.1:34780, remote 127.0.0.1:51914, reason: ${reason}
14: : session 001000000000000001: delete: realm=<natcheck>, username=<alice>
14: : session 001000000000000001: peer 127.0.0.1:50036 deleted`

const read = (log: CoturnLog, text: string): void => {
  for (const line of text.split('\n')) log.read(line)
}

test('an allocation is counted from its beginning to its end', () => {
  const log = new CoturnLog()
  read(log, session)
  expect(log.allocations).toBe(1)
  read(log, farewell + end('allocation timeout'))
  expect(log.stats()).toMatchObject({
    allocations: 0,
    allocationsCreated: { unknown: 1 },
    allocationsEnded: { 'refreshed-to-zero': 1 },
    responses: { 'other 401': 1, 'Allocate 0': 1, 'ChannelBind 0': 1, 'ChannelBind 403': 1, 'Refresh 0': 1 },
    toPeer: { packets: 4, bytes: 400 },
    toClient: { packets: 3, bytes: 300 },
  })
})

test.each([
  ['allocation timeout', 'expired'],
  ['TCP connection closed by client (callback)', 'client-gone'],
])('%s is %s', (reason, why) => {
  const log = new CoturnLog()
  read(log, session + end(reason))
  expect(log.stats().allocationsEnded).toEqual({ [why]: 1 })
})

test('what dies with the process has ended too', () => {
  const log = new CoturnLog()
  read(log, session)
  log.end('failed')
  expect(log.stats()).toMatchObject({ allocations: 0, allocationsEnded: { failed: 1 } })
})

test('failures are counted', () => {
  const log = new CoturnLog()
  read(log, '1: : ERROR: check_stun_auth: user alice credentials are incorrect')
  read(log, '1: : ERROR: check_stun_auth: Cannot find credentials of user <mallory>')
  expect(log.stats().authFailures).toEqual({ 'wrong-password': 1, 'unknown-user': 1 })
})

test("coturn's own troubles are warnings; what anybody can cause is not", () => {
  const log = new CoturnLog()
  expect(log.read('0: : WARNING: cannot find certificate file: x')).toEqual({
    level: 'warning',
    message: 'cannot find certificate file: x',
  })
  expect(log.read('2026-11-21T13:51:13+0000: ERROR: check_stun_auth: user a credentials are incorrect')?.level).toBe(
    'debug',
  )
  expect(log.read('0: (17): INFO: TLS supported')).toEqual({ level: 'debug', message: 'TLS supported' })
  expect(log.read('0: : ')).toBeUndefined()
})
