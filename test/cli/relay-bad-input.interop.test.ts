/** What an operator gets wrong, as the process answers it: one line on stderr, nothing on stdout, exit code 2. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { requires } from '../support/requirements.ts'
import { certificate } from '../transport/certificates.ts'
import { natcheck } from './natcheck.ts'

const ip = '127.0.0.1'
let directory = ''
/** Taken for UDP only, and for TCP only. */
const udp = createSocket('udp4')
const tcp = createServer()
const taken = { udp: 0, tcp: 0 }
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'natcheck-bad-input-'))
  const own = certificate({ commonName: 'own' })
  const other = certificate({ commonName: 'other' })
  const expired = certificate({ commonName: 'old', notAfter: new Date('2020-02-01') })
  const early = certificate({ commonName: 'new', notBefore: new Date('2048-02-01') })
  for (const [name, text] of Object.entries({
    'own.pem': own.cert,
    'own.key': own.key,
    'other.key': other.key,
    'expired.pem': expired.cert,
    'expired.key': expired.key,
    'early.pem': early.cert,
    'early.key': early.key,
    'cut.pem': own.cert.slice(0, 200),
    empty: '',
    short: 'fifteen bytes..\n',
    users: 'alice\n',
  })) {
    writeFileSync(join(directory, name), text)
  }
  mkdirSync(join(directory, 'folder'))
  await once(udp.bind(0, ip), 'listening')
  await once(tcp.listen(0, ip), 'listening')
  taken.udp = udp.address().port
  const bound = tcp.address()
  taken.tcp = typeof bound === 'object' && bound !== null ? bound.port : 0
})
afterAll(() => {
  udp.close()
  tcp.close()
  rmSync(directory, { recursive: true })
})

async function refused(args: readonly string[], message: RegExp): Promise<void> {
  const filled = args.map((arg) => arg.replace('UDP', `${taken.udp}`).replace('TCP', `${taken.tcp}`))
  const { status, stdout, stderr } = await natcheck(['relay', ...filled], { cwd: directory })
  expect({ status, stdout, stderr }).toEqual({ status: 2, stdout: '', stderr: expect.stringMatching(message) })
  expect(stderr).toMatch(/^natcheck: [^\n]+ — [^\n]+\n$/)
  expect(stderr).not.toMatch(/fifteen bytes|PRIVATE KEY| at \w+ \(/)
}

const tls = (cert: string, key: string): string[] => ['--tls-listen', `${ip}:0`, '--cert', cert, '--key', key]
const here = ['--listen', `${ip}:0`]

describe.each(requires('koffi') === undefined ? ['dgram', 'mmsg'] : ['dgram'])('with the %s datapath', (datapath) => {
  test.each([
    ['a port in use by UDP', ['--listen', `${ip}:UDP`], /is already in use/],
    ['a port in use by TCP', ['--listen', `${ip}:TCP`], /is already in use/],
    ['a port in use for TLS', ['--tls-listen', `${ip}:TCP`, '--cert', 'own.pem', '--key', 'own.key'], /already in use/],
    ['no such address', ['--listen', '198.51.100.9:3478', '--no-auth'], /is not an address of this machine/],
    ['no such relay address', [...here, '--relay-ip', '198.51.100.9'], /is not an address of this machine/],
  ])('%s', async (_, args, message) => await refused([...args, '--datapath', datapath], message))
})

test.each([
  ['a port in use for metrics', [...here, '--metrics', `${ip}:TCP`], /is already in use/],
  ['a range too small', ['--ports', '50000-50009', '--total-quota', '11'], /holds 10 ports, too few .* widen/],
  ['a range that ends before it begins', ['--ports', '6-5'], /write 5-6/],
  ['a range from 0', ['--ports', '0-100'], /write MIN-MAX/],
  ['a certificate that is not there', tls('no.pem', 'own.key'), /the certificate .*no\.pem can't be read/],
  ['a certificate that is a folder', tls('folder', 'own.key'), /the certificate .*folder can't be read/],
  ['a certificate cut short', tls('cut.pem', 'own.key'), /the certificate can't be read/],
  ['an empty certificate', tls('empty', 'own.key'), /the certificate can't be read/],
  ['an expired certificate', tls('expired.pem', 'expired.key'), /expired on 2020-02-01 — renew it/],
  ['a certificate of the future', tls('early.pem', 'early.key'), /is not valid before 2048-02-01/],
  ["another's key", tls('own.pem', 'other.key'), /the key is not the one of the certificate/],
  ['a key that is not there', tls('own.pem', 'no.key'), /the key .*no\.key can't be read/],
  ['a key that is none', tls('own.pem', 'own.pem'), /the certificate's key can't be read/],
  ['an external address that is none', [...here, '--external-ip', 'example.org'], /write PUBLIC or PUBLIC\/PRIVATE/],
  ['one with half a second', [...here, '--external-ip', '192.0.2.1/5'], /write PUBLIC or PUBLIC\/PRIVATE/],
  ['one of two families', [...here, '--external-ip', '192.0.2.1/::1'], /of one family/],
  ['one of an address that is not used', [...here, '--external-ip', '192.0.2.1/10.0.0.9'], /which is not used/],
  ['one that is any', [...here, '--external-ip', '0.0.0.0'], /stands for any address/],
  ['a relay address that is any', [...here, '--relay-ip', '0.0.0.0'], /stands for any address/],
  ['a relay address of many hosts', [...here, '--relay-ip', '224.0.0.1'], /multicast/],
  ['a listener of many hosts', ['--listen', '224.0.0.1:3478', '--stun-only'], /multicast/],
  ['nobody to authenticate', ['--listen', '0.0.0.0:3478'], /would serve everybody .* --no-auth/],
  ['nobody to authenticate over TLS', ['--tls-listen', '[::]:0', '--cert', 'own.pem', '--key', 'own.key'], /everybody/],
  ['a short secret', ['--auth-secret-file', 'short'], /has 15 bytes; it needs 16/],
  ['no secret', ['--auth-secret-file', 'empty'], /holds no secret/],
  ['users that are none', ['--users-file', 'users'], /line 1 of the users file .* is not NAME:PASSWORD/],
])('%s', async (_, args, message) => await refused(args, message))
