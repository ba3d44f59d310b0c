/** What createRelay refuses before anything is opened. */
import { expect, test } from 'vitest'
import { createRelay, type RelayOptions } from '../../src/index.ts'

const listen = [{ ip: '127.0.0.1', port: 0 }]
const users = [{ username: 'alice', password: 'a' }]

test.each([
  [{ engine: 'coturm' }, 'no engine "coturm"'],
  [{ datapath: 'udp' }, 'no datapath "udp"'],
  [{ threads: 0 }, 'threads is 0'],
  [{ threads: 1.5 }, 'threads is 1.5'],
  [{ userQuota: Number.NaN }, 'userQuota is NaN'],
  [{ totalQuota: -1 }, 'totalQuota is -1'],
  [{ totalQuota: 16_385 }, 'too few ports'],
  [{ maxBps: 0 }, 'maxBps is 0'],
  [{ lifetimes: { allocation: 0 } }, 'lifetime allocation is 0'],
  [{ lifetimes: { permission: Number.NaN } }, 'lifetime permission is NaN'],
  [{ lifetimes: { alocation: 20 } }, 'no lifetime "alocation"'],
  [{ users: [{ username: '', password: 'a' }] }, 'a user needs'],
  [{ users: [{ username: 'alice', password: '' }] }, 'a user needs'],
  [{ users: [...users, ...users] }, 'two users are named alice'],
  [{ noAuth: true }, 'noAuth contradicts'],
  [{ listen: [{ ip: 'localhost', port: 0 }] }, 'localhost is no IP address'],
  [{ listen: [{ ip: '127.0.0.1', port: 65_536 }] }, 'port 65536'],
  [{ externalIps: [{ external: 'example.org' }] }, 'example.org is no IP address'],
  [{ externalIps: [{ external: '8.8.8.8', internal: 'eth0' }] }, 'eth0 is no IP address'],
])('%o: %s', async (options, message) => {
  const refusal = createRelay({ listen, users, datapath: 'dgram', ...(options as unknown as RelayOptions) })
  await expect(refusal).rejects.toMatchObject({ message: expect.stringContaining(message), fix: expect.any(String) })
})
