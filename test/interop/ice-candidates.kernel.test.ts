/**
 * What Chromium gathers behind a NAT, and what we gather there from the same servers: coturn, our relay, node-turn. Each
 * reads the other's candidate lines, and so does node-datachannel.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CandidateObservation } from '../../src/probe/ice/index.ts'
import { parseCandidate } from '../../src/proto/ice/index.ts'
import type { IceReport } from '../../src/report/index.ts'
import { launcher } from '../cli/natcheck.ts'
import { type Chromium, launchChromium } from '../support/chromium.ts'
import { type Coturn, startCoturn } from '../support/coturn.ts'
import { type NatLab, natLab, natLabRequirements, servers } from '../support/nat-lab.ts'
import { check, printed } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'
import { certificate } from '../transport/certificates.ts'

/** As the browser describes it. */
interface Gathered {
  readonly candidate: string
  readonly type: string
  readonly protocol: string
  readonly tcpType: string | null
  readonly ip: string
  readonly priority: number
}

const [coturnIp, relayIp, nodeTurnIp] = servers.ip4
const password = 'wonderland'
const turn = (...urls: readonly string[]) => ({ urls, username: 'alice', credential: password })
const iceServers: readonly { readonly urls: readonly string[] }[] = [
  { urls: [`stun:${coturnIp}`, `stun:[${servers.ip6[0]}]`] },
  turn(`turn:${coturnIp}`, `turn:${coturnIp}?transport=tcp`),
  turn(`turn:${relayIp}`, `turn:${relayIp}?transport=tcp`, `turns:${relayIp}:5349`),
  turn(`turn:${nodeTurnIp}`),
]

describeIf([...natLabRequirements('kernel', 'coturn'), 'chromium'], 'candidates beside those of Chromium', () => {
  const { cert, key } = certificate({ commonName: 'relay', names: [relayIp] })
  let directory = ''
  let lab: NatLab
  let coturn: Coturn
  let chromium: Chromium
  let ours: readonly CandidateObservation[] = []
  let theirs: readonly Gathered[] = []

  const file = (name: string, text: string): string => {
    const path = join(directory, name)
    writeFileSync(path, text)
    return path
  }
  const relay = async (ip: string, ...options: readonly string[]): Promise<void> => {
    const users = file('users.txt', `alice:${password}\n`)
    const argv = [
      process.execPath,
      launcher,
      'relay',
      '--listen',
      `${ip}:3478`,
      '--users-file',
      users,
      '--allow-peer',
      '203.0.113.0/24',
    ]
    await printed(lab.server.namespace.start([...argv, ...options]), /is up/)
  }

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'natcheck-candidates-'))
    lab = await natLab({ nat: { kind: 'masquerade' }, server: 'none' })
    coturn = await startCoturn(lab.server.namespace, {
      ips: [coturnIp, servers.ip4[3], servers.ip6[0], servers.ip6[1]],
      turn: { user: 'alice', password, realm: 'example.org' },
      options: [`--relay-ip=${coturnIp}`],
    })
    await relay(
      relayIp,
      '--tls-listen',
      `${relayIp}:5349`,
      '--cert',
      file('cert.pem', cert),
      '--key',
      file('key.pem', key),
    )
    await relay(nodeTurnIp, '--engine', 'node-turn')
    chromium = await launchChromium({
      namespace: lab.client.namespace.name,
      trust: [cert],
      args: [
        '--disable-features=WebRtcHideLocalIpsWithMdns',
        // The servers' addresses may be used; names lead nowhere in this namespace anyway.
        '--host-resolver-rules=',
        '--use-fake-ui-for-media-stream',
        '--use-fake-device-for-media-stream',
      ],
    })
    const listed = file('servers.json', JSON.stringify(iceServers))
    const { stdout, stderr } = await lab.client.natcheck([
      'ice',
      '--ice-servers',
      listed,
      '--ca',
      join(directory, 'cert.pem'),
      '--json',
    ])
    expect(stderr).toBe('')
    const report = JSON.parse(stdout) as IceReport
    expect(report.findings).toEqual([])
    expect(report.reachability.every(({ result }) => result === 'proven')).toBe(true)
    ours = report.candidates
    theirs = (await inPage(chromium, 'gatherCandidates', iceServers)) as readonly Gathered[]
  })
  afterAll(async () => {
    await chromium?.close()
    await coturn?.stop()
    await lab?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const words = (parts: readonly (string | null)[]): string => parts.filter((part) => part !== null).join(' ')
  const ourKind = ({ type, protocol, tcpType, ip, relayProtocol }: CandidateObservation): string =>
    words([type, protocol, tcpType, ip, relayProtocol])
  /** Chromium says how it reaches a relay by the type preference. */
  const relayProtocols = ['tls', 'tcp', 'udp', 'udp']
  const theirKind = ({ type, protocol, tcpType, ip, priority }: Gathered): string =>
    words([type, protocol, tcpType, ip, type === 'relay' ? (relayProtocols[priority >>> 24] ?? 'other') : null])

  test('each of its candidates is among ours: type, protocol and address; each other one says why it is not among its', () => {
    const itsOwn = new Set(theirs.map(theirKind))
    // All that there is to gather: both families, and each server over each transport.
    expect([...itsOwn].toSorted()).toEqual(
      [
        'host udp 192.168.77.2',
        'host udp fd00:77::2',
        'host tcp active 192.168.77.2',
        'host tcp active fd00:77::2',
        'srflx udp 203.0.113.2',
        'srflx udp 2001:db8:203::2',
        `relay udp ${coturnIp} udp`,
        `relay udp ${coturnIp} tcp`,
        `relay udp ${relayIp} udp`,
        `relay udp ${relayIp} tcp`,
        `relay udp ${relayIp} tls`,
        `relay udp ${nodeTurnIp} udp`,
      ].toSorted(),
    )
    const known = new Set(ours.map(ourKind))
    expect([...itsOwn].filter((kind) => !known.has(kind))).toEqual([])
    for (const each of ours) {
      expect([ourKind(each), each.browserOmits === null]).toEqual([ourKind(each), itsOwn.has(ourKind(each))])
    }
  })

  test('what it says of a candidate in fields is what its line says to us', () => {
    for (const { candidate, type, protocol: transport, ip: host } of theirs) {
      expect(parseCandidate(candidate)).toMatchObject({ ok: true, value: { type, transport, host } })
    }
  })

  test('it takes our lines, and says of them what we do', async () => {
    const read = await inPage(
      chromium,
      'readCandidates',
      ours.map(({ line }) => line),
    )
    expect(read).toEqual(
      ours.map(({ type, protocol, ip, port, priority, foundation, related, tcpType }) => ({
        type,
        protocol,
        ip,
        port,
        priority,
        foundation,
        related,
        tcpType,
      })),
    )
  })

  test('node-datachannel takes our lines, and we take its', async () => {
    const program = `
      import { readFileSync } from 'node:fs'
      import datachannel from 'node-datachannel'
      const offerer = new datachannel.PeerConnection('offerer', { iceServers: [] })
      const answerer = new datachannel.PeerConnection('answerer', { iceServers: [] })
      const lines = []
      offerer.onLocalCandidate((line) => lines.push(line))
      offerer.onLocalDescription((sdp, type) => answerer.setRemoteDescription(sdp, type))
      offerer.onGatheringStateChange((state) => {
        if (state !== 'complete') return
        for (const line of JSON.parse(readFileSync(0, 'utf8'))) answerer.addRemoteCandidate(line, '0')
        process.stdout.write(JSON.stringify({ lines, remote: answerer.remoteDescription().sdp }), () => process.exit())
      })
      offerer.createDataChannel('x')`
    const udp = ours.filter(({ protocol }) => protocol === 'udp').map(({ line }) => line)
    const argv = [
      'ip',
      'netns',
      'exec',
      lab.client.namespace.name,
      process.execPath,
      '--input-type=module',
      '-e',
      program,
    ]
    const input = JSON.stringify(ours.map(({ line }) => line))
    const { lines, remote } = JSON.parse(await check(argv, { input })) as { lines: string[]; remote: string }
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) expect(parseCandidate(line)).toMatchObject({ ok: true })
    // What it took stands in the description of its peer; libjuice has no TCP.
    for (const line of udp) expect(remote).toContain(line)
  })
})

const script = readFileSync(new URL('../support/browser-candidates.js', import.meta.url), 'utf8')

/** Calls a function of browser-candidates.js in a page of its own. */
async function inPage(
  chromium: Chromium,
  name: 'gatherCandidates' | 'readCandidates',
  argument: unknown,
): Promise<unknown> {
  const page = await chromium.newPage()
  await page.addScriptTag({ content: script })
  return await page.evaluate(`natcheck.${name}(${JSON.stringify(argument)})`)
}
