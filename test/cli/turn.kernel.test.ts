/** `natcheck turn` as a process, against the real coturn and our own relay, in a namespace of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Errors } from 'typebox/value'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { TurnCheckId } from '../../src/probe/turn/index.ts'
import { turnReportSchema } from '../../src/report/ice-schema.ts'
import type { TurnCheck, TurnReport } from '../../src/report/index.ts'
import { startCoturn } from '../support/coturn.ts'
import { type Namespace, Namespaces } from '../support/netns.ts'
import { printed } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'
import { certificate } from '../transport/certificates.ts'
import { launcher } from './natcheck.ts'

const ip = '198.51.100.7'
const ip6 = '2001:db8::7'
const password = 'correct horse battery staple'

interface Outcome {
  readonly status: number | null
  readonly report: TurnReport
}

describeIf(['netns', 'turnserver'], 'natcheck turn', () => {
  let namespaces: Namespaces
  let net: Namespace
  let directory = ''
  let stops: (() => Promise<void>)[] = []

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'natcheck-turn-'))
    namespaces = await Namespaces.create('net')
    net = namespaces.get('net')
    await net.ip(`addr add ${ip}/32 dev lo`, `addr add ${ip6}/128 dev lo nodad`)
    for (const [name, notAfter] of [
      ['good', new Date('2049-01-01')],
      ['expired', new Date('2021-01-01')],
    ] as const) {
      const { cert, key } = certificate({ commonName: 'turn.example', names: [ip, ip6], notAfter })
      write(`${name}.pem`, cert)
      write(`${name}.key`, key)
    }
    write('users', `alice:${password}\n`)
  })
  afterEach(async () => {
    for (const stop of stops) await stop()
    stops = []
  })
  afterAll(async () => {
    await namespaces.remove()
    rmSync(directory, { recursive: true })
  })

  function write(name: string, text: string): void {
    writeFileSync(join(directory, name), text)
  }
  const file = (name: string): string => join(directory, name)

  async function coturn(tls: 'good' | 'expired', ...options: readonly string[]): Promise<void> {
    const turn = { user: 'alice', password, realm: 'example.org' }
    const files = { cert: file(`${tls}.pem`), key: file(`${tls}.key`) }
    const started = await startCoturn(net, { ips: [ip], turn, tls: files, options })
    stops.push(() => started.stop())
  }

  async function ours(...options: readonly string[]): Promise<void> {
    const listeners = [ip, `[${ip6}]`].flatMap((each) => [`--listen=${each}:3478`, `--tls-listen=${each}:5349`])
    const daemon = net.start([
      process.execPath,
      launcher,
      'relay',
      '--json',
      '--log-level=silent',
      ...listeners,
      `--cert=${file('good.pem')}`,
      `--key=${file('good.key')}`,
      `--users-file=${file('users')}`,
      // The namespace's addresses are for documentation, which are denied as a rule, and they are the relay's own.
      `--allow-peer=${ip}`,
      `--allow-peer=${ip6}`,
      ...options,
    ])
    stops.push(() => daemon.stop('SIGKILL'))
    await printed(daemon, /^\{$[^]*^\}$/m)
  }

  async function turn(uri: string, ...options: readonly string[]): Promise<Outcome> {
    const credentials = ['--username=alice', '--credential-env=TURN_PASSWORD', `--ca=${file('good.pem')}`]
    const { status, stdout, stderr } = await net.run(
      [process.execPath, launcher, 'turn', uri, ...credentials, '--json', ...options],
      { cwd: directory, env: { PATH: process.env['PATH'], TURN_PASSWORD: password } },
    )
    expect(stdout).not.toContain(password)
    // Not even a warning of Node's.
    expect(stderr).toBe('')
    const report = JSON.parse(stdout) as TurnReport
    expect(Errors(turnReportSchema, report)).toEqual([])
    return { status, report }
  }

  const check = ({ report }: Outcome, id: TurnCheckId): TurnCheck | undefined =>
    report.checks.find((each) => each.id === id)
  const wrong = ({ report }: Outcome): string[] =>
    report.checks.flatMap(({ id, severity, detail }) => (severity === null ? [] : [`${id}: ${detail}`]))
  const working = ({ report }: Outcome): string[] =>
    report.transports.flatMap(({ ok, transport, family }) => (ok ? [`${transport}${family ?? ''}`] : [])).toSorted()

  test('coturn as it comes: usable over UDP, TCP and TLS, and open to its own network', async () => {
    await coturn('good')
    const outcome = await turn(`turn:${ip}`)
    expect(working(outcome)).toEqual(['tcp4', 'tls4', 'udp4'])
    expect(wrong(outcome)).toEqual([
      expect.stringMatching(/^software: .*Coturn-4\.\d/),
      expect.stringMatching(/^forbidden-peers: it relays to 10\.0\.0\.1, .*169\.254\.169\.254$/),
    ])
    expect(outcome.status).toBe(1)
    expect(check(outcome, 'data')).toMatchObject({ result: 'yes', facts: { sent: 20, arrived: 20, arrivedBack: 20 } })
    expect(check(outcome, 'hairpin')).toMatchObject({ result: 'yes' })
    expect(check(outcome, 'reservation')).toMatchObject({ result: 'yes' })
    expect(check(outcome, 'certificate')).toMatchObject({ result: 'yes', facts: { names: [ip, ip6] } })
    expect(check(outcome, 'mobility')).toMatchObject({ result: 'no', facts: { code: 405 } })
  })

  test('coturn with its network shut, and mobility: nothing is wrong', async () => {
    const denied = ['0.0.0.0-0.255.255.255', '10.0.0.0-10.255.255.255', '100.64.0.0-100.127.255.255']
    denied.push('169.254.0.0-169.254.255.255', '172.16.0.0-172.31.255.255', '192.168.0.0-192.168.255.255')
    await coturn('good', '--mobility', '--no-software-attribute', ...denied.map((range) => `--denied-peer-ip=${range}`))
    const outcome = await turn(`turn:${ip}`, '--rate=5')
    expect(wrong(outcome)).toEqual([])
    expect(outcome).toMatchObject({ status: 0, report: { verdict: { kind: 'good' }, findings: [] } })
    expect(check(outcome, 'mobility')).toMatchObject({ result: 'yes' })
    expect(check(outcome, 'throughput')).toMatchObject({ result: 'yes', facts: { askedMbit: 5 } })
  })

  test.each([
    ['udp', `turn:${ip}?transport=udp`, 1432],
    ['tcp', `turn:${ip}?transport=tcp`, 1472],
    ['tls', `turns:${ip}?transport=tcp`, 1472],
  ])('coturn over %s alone', async (transport, uri, bytes) => {
    await coturn('good')
    const outcome = await turn(uri)
    expect(working(outcome)).toEqual([`${transport}4`])
    expect(outcome.report.transports).toHaveLength(1)
    expect(check(outcome, 'data')).toMatchObject({ result: 'yes' })
    expect(check(outcome, 'mtu')).toMatchObject({ result: 'yes', facts: { bytes } })
    expect(check(outcome, 'idempotence')).toMatchObject({ result: 'yes' })
    expect(check(outcome, 'stale-nonce')).toMatchObject({ result: 'yes' })
  })

  test('--redact leaves no address, name or realm', async () => {
    await coturn('good')
    const { status, report } = await turn(`turn:${ip}`, '--redact')
    expect({ status, redacted: report.redacted }).toEqual({ status: 1, redacted: true })
    expect(JSON.stringify(report)).not.toMatch(/198\.51\.100\.7\b|2001:db8::7\b|example\.org|turn\.example/)
  })

  test('an expired certificate', async () => {
    await coturn('expired')
    const outcome = await turn(`turns:${ip}`)
    expect(outcome.status).toBe(1)
    expect(check(outcome, 'certificate')).toMatchObject({
      result: 'no',
      severity: 'error',
      detail: expect.stringMatching(/expired: valid to 2021-01-01/) as string,
    })
    expect(outcome.report.findings[0]).toMatchObject({ severity: 'error', code: 'certificate' })
  })

  test('a server that is configured to relay from a private address', async () => {
    await coturn('good', `--external-ip=10.9.8.7/${ip}`)
    const outcome = await turn(`turn:${ip}?transport=udp`)
    expect(outcome).toMatchObject({ status: 1, report: { verdict: { kind: 'unusable' } } })
    expect(check(outcome, 'relayed-address')).toMatchObject({ result: 'no', facts: { scope: 'private' } })
  })

  test.each(['dgram', 'mmsg'])('our relay on %s: nothing is wrong over any transport and family', async (datapath) => {
    await ours(`--datapath=${datapath}`)
    for (const [uri, family] of [
      [`turn:${ip}`, 4],
      [`turn:[${ip6}]`, 6],
    ] as const) {
      const outcome = await turn(uri)
      expect(wrong(outcome)).toEqual([])
      expect(outcome).toMatchObject({ status: 0, report: { findings: [] } })
      expect(working(outcome)).toEqual([`tcp${family}`, `tls${family}`, `udp${family}`])
      expect(check(outcome, 'forbidden-peers')).toMatchObject({ result: 'yes' })
      expect(check(outcome, 'forbidden-peers-ipv6')).toMatchObject({ result: 'yes' })
      expect(check(outcome, 'dual-family')).toMatchObject({ result: 'yes' })
      expect(check(outcome, 'sha-256')).toMatchObject({ result: 'yes' })
      expect(check(outcome, 'dont-fragment')).toMatchObject({ result: datapath === 'mmsg' ? 'yes' : 'no' })
    }
  })

  test('a wrong password: exit 1, one finding', async () => {
    await coturn('good')
    const { status, stdout } = await net.run(
      [process.execPath, launcher, 'turn', `turn:${ip}`, '--username=alice', '--credential-env=P'],
      { cwd: directory, env: { PATH: process.env['PATH'], P: 'a guess' } },
    )
    expect(status).toBe(1)
    expect(stdout).toContain('401 again')
    expect(stdout).not.toContain('a guess')
  })
})
