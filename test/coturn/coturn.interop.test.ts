/** What the rest of these tests believes of coturn, asked of the real one: options, parser, and the generated files. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeNetwork, systemClock, systemRandom } from '../../src/transport/index.ts'
import { Conf } from '../../src/coturn/conf.ts'
import { generateConf } from '../../src/coturn/generate/generate.ts'
import { userKey } from '../../src/coturn/generate/key.ts'
import type { CoturnPlan } from '../../src/coturn/generate/plan.ts'
import { referenceFiles } from '../../src/coturn/generate/reference.ts'
import { machine } from '../../src/cli/coturn/world.ts'
import { migrate } from '../../src/coturn/migrate.ts'
import { findOption } from '../../src/coturn/options/table.ts'
import { isKnownIn } from '../../src/coturn/options/spec.ts'
import { parseConf } from '../../src/coturn/parse.ts'
import { parseVersion } from '../../src/coturn/version.ts'
import { openStunConnection, type StunConnection } from '../../src/proto/stun/index.ts'
import { probeTurn } from '../../src/probe/turn/index.ts'
import { buildTurnReport } from '../../src/report/index.ts'
import { parseServerUri } from '../../src/wire/uri.ts'
import { timeLimitedCredentials } from '../../src/relay/credentials.ts'
import { attribute, Method, requestedAddressFamily, requestedTransport, xorPeerAddress } from '../../src/wire/index.ts'
import { type Daemon, printed, run, startDaemon } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'
import { certificate } from '../transport/certificates.ts'
import { helpOptions } from './help.ts'

let directory = ''
let daemon: Daemon | undefined
const connections: StunConnection[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'natcheck-coturn-'))
})
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close()
  // SIGKILL: on SIGTERM coturn 4.6.1 waits for its threads, and there is nothing to save.
  await daemon?.stop('SIGKILL')
  daemon = undefined
  rmSync(directory, { recursive: true })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Starts it with this file, on loopback; nothing of it lands outside the directory. */
function start(text: string, options: readonly string[] = []): Daemon {
  const path = join(directory, 'turnserver.conf')
  writeFileSync(path, text, { mode: 0o640 })
  const own = ['--log-file=stdout', '--simple-log', `--pidfile=${join(directory, 'pid')}`]
  daemon = startDaemon(['turnserver', '-c', path, ...own, ...options], { cwd: directory })
  return daemon
}

const onLoopback = ['--listening-ip=127.0.0.1', '--no-cli', '--no-tls', '--no-dtls']

describeIf(['turnserver'], 'the installed coturn', () => {
  test('says its version, and is known', async () => {
    const installed = await machine().installed()
    expect(parseVersion(installed?.version ?? '')).toBe(installed?.version)
  })

  test('its help and its manual have no option that the table does not have in this version', async () => {
    const version = (await machine().installed())?.version ?? ''
    const { stdout } = await run(['turnserver', '--log-file=stdout', '-h'])
    const manual = await run(['sh', '-c', 'zcat -f /usr/share/man/man1/turnserver.1* 2>/dev/null'])
    const listed = helpOptions(stdout).flatMap(({ names }) => names)
    // troff writes each dash with a backslash. The manual of 4.6.1 still names an option that was gone by then.
    const manualNames = [...manual.stdout.replaceAll('\\-', '-').matchAll(/^\\fB(?:-\w\\fP, \\fB)?--([\w-]+)/gm)].map(
      ([, name = '']) => name,
    )
    expect(listed.length).toBeGreaterThan(100)
    for (const name of [...listed, ...manualNames]) {
      const spec = findOption(name)
      expect(spec && isKnownIn(spec, version), name).toBe(true)
    }
  })
})

describeIf(['turnserver'], 'its parser', () => {
  const lines = [
    'realm=example.org',
    'realm example.org',
    ' \t realm \t==  example.org   ',
    'realm=example.org # ours',
    'realm="example.org"',
    'realm="example.org',
    'realm="example.org" # ours',
    'realm=example.org"',
    "realm='example.org'",
    'realm=example.org;',
    'realm=example.org\\',
    'realm=a=b c',
    'realm=a\r',
    'realm=a\rrealm=b',
    'realm=a\nrealm=b',
    'realm=a\n--realm=b\nr=c\nRealm=d\n\ufeffrealm=e\nrealm: f',
    `# ${'x'.repeat(1021)}realm=cut`,
    `verbose ${'1'.repeat(1015)}realm=cut`,
    'realm=a\0b',
  ]
  test.each(lines)('%j', async (text) => {
    const conf = new Conf(parseConf(`${text}\n`), '4.6.1')
    const match = await printed(start(`${text}\n`, onLoopback), /Default realm: ([^\n]*)\n/)
    expect(match[1]).toBe(conf.value('realm') ?? '')
  })

  test.each([
    ['an unknown key is logged', 'stalenonce=1\n', /Bad configuration format: stalenonce/],
    [
      'CIDR is logged, and it goes on',
      'denied-peer-ip=10.0.0.0/8\n',
      /Wrong address format: 10\.0\.0\.0\/8[^]*Default realm/,
    ],
    ['a secret with users', 'static-auth-secret=x\nlt-cred-mech\n', /Shared secret overrides/],
    ['users without lt-cred-mech', 'user=a:b\n', /turning --lt-cred-mech ON/],
    ['PRIV is allowed', 'external-ip=203.0.113.10/127.0.0.1\n', /Whitelisting external-ip private part: 127\.0\.0\.1/],
    ['external-ip twice', 'external-ip=203.0.113.10\nexternal-ip=203.0.113.11\n', /more than once/],
    ['use-auth-secret=0 is on', 'use-auth-secret=0\nlt-cred-mech\n', /Shared secret overrides/],
    ['a line that is too long is two', `cipher-list=${'x'.repeat(1100)}\n`, /Bad configuration format: x+\n/],
  ])('%s', async (_, text, pattern) => {
    await printed(start(text, onLoopback), pattern)
  })

  test.each([
    ['a word that is no boolean', 'fingerprint # yes\n', /Unknown boolean value: # yes/],
    ['bps-capacity without max-bps', 'bps-capacity=1000\n', /CONFIG ERROR/],
    ['lt-cred-mech and no-auth', 'lt-cred-mech\nno-auth\n', /cannot be used together/],
    ['no-udp-relay and no-tcp-relay', 'no-udp-relay\nno-tcp-relay\n', /cannot be used together/],
    ['version', 'version\n', /Usage: turnserver/],
  ])('%s ends it', async (_, text, pattern) => {
    const started = start(text, onLoopback)
    await printed(started, pattern)
    await new Promise((resolve) => started.child.once('close', resolve))
    expect(started.child.exitCode).not.toBe(0)
  })
})

const secret = 'f3b1c9a07d5e4826b7a90c1d2e3f40516273849aab5c6d7e8f90a1b2c3d4e5f6'
const realm = 'turn.example.org'

/** The plan of a reference file with loopback in the place of its addresses, and with somebody who may log in. */
function onThisMachine(plan: CoturnPlan): CoturnPlan {
  const relayIps = ['127.0.0.1', '127.0.0.2'].slice(0, Math.max(1, plan.relayIps.length))
  return {
    ...plan,
    relayIps,
    externalIps: plan.externalIps.map(({ external }) => ({ external, internal: '127.0.0.1' })),
    auth:
      plan.auth.kind === 'rest'
        ? { kind: 'rest', secret }
        : { kind: 'users', users: [{ name: 'alice', key: userKey('alice', realm, 'wonderland') }] },
  }
}

const credentialsFor = ({ auth }: CoturnPlan): { username: string; credential: string } =>
  auth.kind === 'rest'
    ? timeLimitedCredentials({ secret, user: 'alice', ttlSeconds: 600, now: systemClock.wallTime() })
    : { username: 'alice', credential: 'wonderland' }

describeIf(['turnserver'], 'the reference files of the 4.6 era', () => {
  const files = referenceFiles.filter(({ plan }) => plan.version === '4.6.1')
  const { cert, key } = certificate({ commonName: realm, names: [realm] })

  test.each(files.map(({ path, plan }) => [path, plan] as const))(
    '%s starts without a complaint, lets in, and refuses peers',
    async (_, plan) => {
      const port = await freePort()
      writeFileSync(join(directory, 'cert.pem'), cert)
      writeFileSync(join(directory, 'key.pem'), key)
      const text = generateConf(onThisMachine(plan))
      const own = [
        `--listening-port=${port}`,
        `--alt-listening-port=${await freePort()}`,
        `--tls-listening-port=${await freePort()}`,
      ]
      const files =
        plan.tls.kind === 'none'
          ? []
          : [`--cert=${join(directory, 'cert.pem')}`, `--pkey=${join(directory, 'key.pem')}`]
      const database = plan.redis === undefined ? [`--userdb=${join(directory, 'turndb')}`] : []
      const started = start(text, [...own, ...files, ...database])
      await printed(started, /Total auth threads|IO method \(auth thread\)/)
      // No Redis runs here, and coturn goes on without it.
      expect(started.output().replace(/.*Redis.*\n/g, '')).not.toMatch(
        /Bad configuration|Wrong address|CONFIG ERROR|cannot find|Unknown|ERROR/,
      )

      const credentials = credentialsFor(plan)
      const code = await probe(port, { username: credentials.username, password: credentials.credential })
      expect(await code('8.8.8.8')).toBe('success')
      const isInternal = plan.profile !== 'public'
      for (const peer of [
        '127.0.0.1',
        '127.1.2.3',
        '0.0.0.1',
        '169.254.169.254',
        '224.0.0.1',
        '255.255.255.255',
        '192.0.2.1',
      ]) {
        expect([peer, await code(peer)]).toEqual([peer, 403])
      }
      for (const peer of ['10.0.0.1', '172.16.0.1', '192.168.1.1', '100.64.0.1'])
        expect([peer, await code(peer)]).toEqual([peer, isInternal ? 'success' : 403])
      await passesTurn(`turn:127.0.0.1:${port}`, credentials, isInternal)
    },
  )

  test.each(
    referenceFiles.filter(({ plan }) => plan.version === '4.17.2').map(({ path, plan }) => [path, plan] as const),
  )('%s, migrated from the 4.17 era, starts without a complaint too', async (_, plan) => {
    const there = generateConf({ ...onThisMachine(plan), tls: { kind: 'none' } })
    const { text } = migrate(there, '4.17.2', '4.6.1')
    const port = await freePort()
    const database = plan.redis === undefined ? [`--userdb=${join(directory, 'turndb')}`] : []
    const started = start(text, [`--listening-port=${port}`, `--alt-listening-port=${await freePort()}`, ...database])
    await printed(started, /IO method \(auth thread\)/)
    expect(started.output().replace(/.*Redis.*\n/g, '')).not.toMatch(
      /Bad configuration|Wrong address|CONFIG ERROR|Unknown/,
    )
    await passesTurn(`turn:127.0.0.1:${port}`, credentialsFor(plan), plan.profile !== 'public')
  })

  test('no form of IPv6 leads past the ranges of IPv4', async () => {
    const port = await freePort()
    const [file] = files
    if (!file) throw new Error('no file')
    const plan = { ...onThisMachine(file.plan), tls: { kind: 'none' }, relayIps: ['127.0.0.1', '::1'] } as const
    const started = start(generateConf(plan), [`--listening-port=${port}`, `--userdb=${join(directory, 'turndb')}`])
    await printed(started, /IO method \(auth thread\)/)
    const { username, credential } = timeLimitedCredentials({
      secret,
      user: 'alice',
      ttlSeconds: 600,
      now: systemClock.wallTime(),
    })
    const code = await probe(port, { username, password: credential }, 6)
    expect(await code('2606:4700::1111')).toBe('success')
    for (const peer of [
      '::1',
      '::a00:1',
      '::a00:0',
      '::ffff:0:a00:1',
      '::ffff:10.0.0.1',
      '::ffff:169.254.169.254',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b:1::a00:1',
      '2002:a00:1::1',
      '2001:0:a00:1::1',
      'fd00::1',
      'fe80::1',
      'ff02::1',
      '2001:db8::1',
      '100::1',
    ])
      expect([peer, await code(peer)]).toEqual([peer, 403])
  })

  test('without credentials nobody gets in', async () => {
    const port = await freePort()
    const [file] = files
    if (!file) throw new Error('no file')
    const started = start(generateConf({ ...onThisMachine(file.plan), tls: { kind: 'none' } }), [
      `--listening-port=${port}`,
    ])
    await printed(started, /IO method \(auth thread\)/)
    await expect(probe(port, { username: 'mallory', password: 'x' })).rejects.toThrow(/401/)
  })
})

/**
 * What `natcheck turn` asks, over UDP and TCP: nothing that it calls an error. The relay is on loopback, where packets between
 * clients stay out, and a relay for private networks lets them be reached.
 */
async function passesTurn(
  uri: string,
  { username, credential }: { readonly username: string; readonly credential: string },
  isInternal: boolean,
): Promise<void> {
  const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
  const candidates = ['udp', 'tcp'].map((transport) => {
    const server = { uri: parseServerUri(`${uri}?transport=${transport}`), username, credential }
    return { server, named: true }
  })
  const observations = await probeTurn(ports, { uri, candidates, families: [4], timeoutMs: 10_000 })
  const { findings, transports, checks } = buildTurnReport({ startedAt: '2026-01-01T00:00:00Z', observations })
  expect(transports.map(({ ok }) => ok)).toEqual([true, true])
  const errors = findings.filter(({ severity }) => severity === 'error').map(({ code }) => code)
  expect(errors).toEqual(isInternal ? ['forbidden-peers'] : [])
  const right = checks.flatMap(({ id, result }) => (result === 'yes' ? [id] : []))
  for (const id of ['authentication', 'amplification', 'software', 'stale-nonce', 'idempotence', 'lifetime', 'release'])
    expect(right).toContain(id)
}

/** Allocates, and tells what CreatePermission says to a peer. Waits for the server: it logs that it listens before it does. */
async function probe(
  port: number,
  { username, password }: { username: string; password: string },
  family: 4 | 6 = 4,
): Promise<(peer: string) => Promise<number | string>> {
  const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
  const connection = await openStunConnection(ports, {
    to: { ip: '127.0.0.1', port },
    protocol: 'tcp',
    credentials: { kind: 'long-term', username, password },
    connectTimeoutMs: 5000,
  })
  connections.push(connection)
  const ask = async (
    method: number,
    attributes: Parameters<typeof connection.client.request>[0]['attributes'],
  ): Promise<number | string> => {
    const outcome = await connection.client.request({ method, attributes, timeoutMs: 5000 })
    return outcome.kind === 'error-response' ? outcome.error.code : outcome.kind
  }
  const allocated = await ask(Method.allocate, [
    attribute(requestedTransport, 17),
    attribute(requestedAddressFamily, family),
  ])
  if (allocated !== 'success') throw new Error(`Allocate: ${allocated}`)
  return (peer) => ask(Method.createPermission, [attribute(xorPeerAddress, { ip: peer, port: 9 })])
}
