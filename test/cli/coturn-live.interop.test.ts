/** `natcheck coturn run` and `check` with the real turnserver, on loopback. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { CheckDocument } from '../../src/cli/coturn/check/run.ts'
import { runCli } from '../../src/cli/program.ts'
import { generateConf } from '../../src/coturn/generate/generate.ts'
import { referenceFiles } from '../../src/coturn/generate/reference.ts'
import { describeIf } from '../support/requirements.ts'
import { certificate } from '../transport/certificates.ts'
import { FakeIo } from './fake.ts'
import { natcheck } from './natcheck.ts'

let directory = ''
let io = new FakeIo()
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'natcheck-live-'))
  io = new FakeIo()
  io.cwd = directory
})
afterEach(() => rmSync(directory, { recursive: true }))

const write = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text, { mode: 0o640 })
  return name
}

const secret = 'f3b1c9a07d5e4826b7a90c1d2e3f40516273849aab5c6d7e8f90a1b2c3d4e5f6'
const [base] = referenceFiles
const publicFile = (change: object = {}): string => {
  if (!base) throw new Error('no reference file')
  return generateConf({ ...base.plan, auth: { kind: 'rest', secret }, tls: { kind: 'none' }, ...change })
}

async function check(text: string, ...flags: string[]): Promise<{ code: number; document: CheckDocument }> {
  const code = await runCli(['coturn', 'check', write('t.conf', text), '--json', ...flags], io)
  return { code, document: JSON.parse(io.stdout) as CheckDocument }
}

const resultOf = ({ claims }: CheckDocument): Record<string, string> =>
  Object.fromEntries(claims.map(({ id, result }) => [id, result]))

describeIf(['turnserver'], 'coturn check', () => {
  test('a generated file is what its server does, certificate and all', async () => {
    const own = certificate({ commonName: 'turn.example.org', names: ['turn.example.org'] })
    const tls = { kind: 'files', cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
    write('cert.pem', own.cert)
    write('key.pem', own.key)
    const left = readdirSync(tmpdir()).filter((name) => name.startsWith('natcheck-check-'))
    const text = publicFile({
      tls,
      relayIps: ['198.51.100.7'],
      externalIps: [{ external: '203.0.113.10', internal: '198.51.100.7' }],
    })
    const { code, document } = await check(text)
    expect(document.claims.filter(({ result }) => result !== 'same').map(({ id }) => id)).toEqual(['total-quota'])
    expect(code).toBe(0)
    expect(document.claims.find(({ id }) => id === 'certificate')?.reality).toMatch(
      /^the same: turn\.example\.org, .*TLSv1\.[23]$/,
    )
    expect(document.claims.find(({ id }) => id === 'user-quota')?.reality).toBe('12, then 486')
    expect(readFileSync(join(directory, 't.conf'), 'utf8')).toBe(text)
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('natcheck-check-'))).toEqual(left)
    expect(io.stdout + io.stderr).not.toContain(secret)
  })

  test('what coturn makes of a tutorial’s file differs from what its author meant', async () => {
    const { code, document } = await check(
      [
        'realm=example.org',
        'lt-cred-mech',
        'user=alice:wonderland',
        'denied-peer-ip=10.0.0.0/8',
        'denied-peer-ip=192.168.0.0-192.168.255.255',
        'user-quota=2',
        'no-tcp-relay=0',
        'cert=/nowhere/cert.pem',
        'pkey=/nowhere/key.pem',
        '',
      ].join('\n'),
    )
    const result = resultOf(document)
    expect(code).toBe(1)
    expect(result).toMatchObject({
      'listens-udp': 'same',
      auth: 'same',
      realm: 'same',
      certificate: 'differs',
      'denied-peers': 'differs',
      'denied-peers-in-ipv6': 'differs',
      'user-quota': 'same',
      'total-quota': 'warning',
      'tcp-relay': 'same',
      loopback: 'warning',
      software: 'warning',
    })
    const text = document.claims.find(({ id }) => id === 'denied-peers')
    expect(text?.reality).toBe('lets clients reach 10.0.0.0, 10.255.255.255')
    expect(text?.fix).toMatch(/FIRST-LAST/)
  })

  test('an open relay, two addresses for RFC 5780, and STUN alone', async () => {
    const open = await check('no-auth\nlistening-ip=10.0.0.1\nlistening-ip=10.0.0.2\nmin-port=50000\nmax-port=50020\n')
    expect(resultOf(open.document)).toMatchObject({ auth: 'warning', ports: 'same', rfc5780: 'same' })
    io.stdout = ''
    const stun = await check('stun-only\nrealm=example.org\nno-auth\n')
    expect([stun.code, resultOf(stun.document)]).toEqual([
      0,
      { 'listens-udp': 'same', 'listens-tcp': 'same', 'stun-only': 'same' },
    ])
  })

  test('a table of at most 80 columns, and no colour in a pipe', async () => {
    expect(await runCli(['coturn', 'check', write('t.conf', publicFile())], io)).toBe(0)
    expect(io.stdout).toMatch(/^[✓!] turnserver \S+ does what t\.conf says/)
    expect(io.stdout).toMatch(/\n {4}What +The file says +The server does\n/)
    expect(Math.max(...io.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(io.stdout).not.toContain('\u001b')
  })

  test('what coturn refuses, and where coturn is missing: one line', async () => {
    write('bad.conf', 'lt-cred-mech\nno-auth\n')
    expect(await runCli(['coturn', 'check', 'bad.conf'], io)).toBe(3)
    expect(io.stderr).toMatch(/^natcheck: turnserver ended at once \(.*cannot be used together.* — [^\n]+\n$/)
    const none = await natcheck(['coturn', 'check', join(directory, 'bad.conf')], { env: { PATH: directory } })
    expect([none.status, none.stderr]).toEqual([3, 'natcheck: turnserver is not installed — apt-get install coturn\n'])
  })
})

describeIf(['turnserver'], 'coturn run', () => {
  const port = 34_781
  const file = `listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\nlistening-port=${port}\npidfile=/dev/null\n`
  const quiet = 'no-tls\nno-dtls\nno-cli\n'

  test('starts it with the file as it is, restarts it, answers check --running, reloads, and ends it', async () => {
    const name = write(
      't.conf',
      `${file}${quiet}realm=example.org\nlt-cred-mech\nuser=alice:wonderland\nuserdb=${directory}/db\n`,
    )
    const before = readFileSync(join(directory, name), 'utf8')
    let stage = 0
    let checked: Promise<number> = Promise.resolve(-1)
    const seen = (text: string): number[] => [...text.matchAll(/"pid":(\d+)/g)].map(([, pid]) => Number(pid))
    const outcome = await natcheck(['coturn', 'run', join(directory, name), '--log-level', 'debug'], {
      cwd: directory,
      onStderr: (text, kill) => {
        if (stage === 0 && /turnserver started/.test(text)) {
          stage = 1
          process.kill(seen(text).at(-1) ?? 0, 'SIGKILL')
        } else if (stage === 1 && /turnserver runs again/.test(text)) {
          stage = 2
          checked = runCli(['coturn', 'check', name, '--running', '--json'], io)
          void (async () => {
            await checked
            writeFileSync(join(directory, name), `${before}# changed\n`)
            kill('SIGHUP')
          })()
        } else if (stage === 2 && /has changed/.test(text)) {
          stage = 3
          kill('SIGTERM')
        }
      },
    })
    expect([stage, outcome.status]).toEqual([3, 0])
    expect(outcome.stdout).toContain(`    UDP 127.0.0.1:${port}\n`)
    expect(outcome.stderr).toMatch(/^natcheck: warning: .*t\.conf: .*\[deny-metadata\]$/m)
    expect(outcome.stderr).toMatch(/"message|"msg":"(?:Relay address|.*Listener)/)
    expect(outcome.stderr).toMatch(/has ended \(SIGKILL\); it is started again in 0\.5 s/)
    expect(outcome.stderr).toMatch(/certificates are read again/)
    expect(await checked).toBe(0)
    const { server, claims } = JSON.parse(io.stdout) as CheckDocument
    expect(server).toMatchObject({ kind: 'running', address: `127.0.0.1:${port}` })
    expect(claims.find(({ id }) => id === 'auth')?.result).toBe('same')
    expect(existsSync('/dev/null')).toBe(true)
  })

  test('--strict refuses what lint calls an error, and daemon can’t be watched', async () => {
    const bad = write('bad.conf', `${file}denied-peer-ip=10.0.0.0/8\n`)
    expect(await runCli(['coturn', 'run', bad, '--strict'], io)).toBe(2)
    expect(io.stderr).toMatch(/warning: bad\.conf:\d+: 10\.0\.0\.0\/8 is CIDR/)
    expect(io.stderr.trimEnd().split('\n').at(-1)).toMatch(/and --strict is given — npx natcheck coturn lint/)
    expect(await runCli(['coturn', 'run', write('d.conf', `${file}daemon\n`)], io)).toBe(2)
    expect(await runCli(['coturn', 'run', 'nowhere.conf'], io)).toBe(2)
  })
})
