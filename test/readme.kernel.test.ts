/**
 * README's examples are real: each is run in the network that it speaks of, and has to print what README shows.
 * README_UPDATE=1 writes what they print into README instead.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launcher } from './cli/natcheck.ts'
import { type NatLab, type NatSpec, natLab, natLabRequirements } from './support/nat-lab.ts'
import { type Namespace, Namespaces } from './support/netns.ts'
import { printed } from './support/process.ts'
import { describeIf, environment } from './support/requirements.ts'

const readme = fileURLToPath(new URL('../README.md', import.meta.url))

interface Example {
  readonly network: string
  readonly commands: readonly string[]
  readonly block: string
}

const examples: readonly Example[] = [
  ...readFileSync(readme, 'utf8').matchAll(/<!-- example: (\w+) -->\n```console\n(.*?)```/gs),
].map(([, network = '', block = '']) => ({
  network,
  block,
  commands: block.split('\n').flatMap((line) => (line.startsWith('$ ') ? [line.slice(2)] : [])),
}))

/** The networks that README's examples name. */
const nats: Record<string, NatSpec> = {
  home: { kind: 'tun', mapping: 'endpoint-independent', filtering: 'address-and-port-dependent', seed: 1 },
  symmetric: {
    kind: 'tun',
    mapping: 'address-and-port-dependent',
    filtering: 'address-and-port-dependent',
    portAssignment: 'random',
    seed: 1,
  },
  blocked: { kind: 'udp-blocked' },
}

const turnPassword = 'wonderland'

/** `servers.json`. Nothing listens on the port of the last one. */
const iceServers = [
  { urls: 'stun:198.51.100.10' },
  {
    urls: ['turn:198.51.100.12', 'turn:198.51.100.12?transport=tcp', 'turns:198.51.100.12?transport=tcp'],
    username: 'alice',
    credential: turnPassword,
  },
]

/** Ports, dates, times and line breaks differ from run to run; everything else has to agree. */
const steady = (text: string): string =>
  text
    .replace(/\b\d{5}\b/g, 'PORT')
    .replace(/\|[.\w]+\|/g, '|TIME|')
    .replace(/\b\d{4}-\d\d-\d\d\b/g, 'DATE')
    .replace(/\d+\.\d+ (m?s)\b/g, 'N $1')
    .replace(/\s+/g, ' ')
    .trim()

describeIf(natLabRequirements('tun', 'ours'), "README's examples", () => {
  let lab: NatLab
  let alone: Namespaces
  let directory = ''
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'natcheck-readme-'))
    alone = await Namespaces.create('alone')
    lab = await natLab({ nat: { kind: 'routed' }, server: 'ours' })
    // What tells blocked UDP from a dead server: TCP gets through.
    const listener = `require('net').createServer().listen(443, '198.51.100.10', () => console.log('ready'))`
    await printed(lab.server.namespace.start([process.execPath, '-e', listener]), /ready/)
    writeFileSync(join(directory, 'servers.json'), `${JSON.stringify(iceServers, null, 2)}\n`)
    // The TURN server of the examples. The network behind the NAT is of documentation's addresses, which relays deny.
    const users = join(directory, 'users.txt')
    writeFileSync(users, `alice:${turnPassword}\n`)
    const peers = '--allow-peer 203.0.113.0/24 --allow-peer 198.51.100.12'
    const relay = `relay --listen 198.51.100.12:3478 --users-file ${users} --realm example.org ${peers}`
    await printed(lab.server.namespace.start([process.execPath, launcher, ...relay.split(' ')]), /is up/)
  })
  afterAll(async () => {
    await lab.close()
    await alone.remove()
    rmSync(directory, { recursive: true })
  })

  /** `npx natcheck` without npm in between, which would look for updates. Both streams, as a terminal shows them. */
  async function shell(namespace: Namespace, command: string): Promise<string> {
    const npx = `npx() { shift; '${process.execPath}' '${launcher}' "$@"; }`
    const env = Object.fromEntries(
      Object.entries(environment()).filter(
        ([name]) => !/^(NATCHECK_|CI$|FORCE_COLOR|NO_COLOR|NODE_OPTIONS|VITEST)/.test(name),
      ),
    )
    const path = `${join(process.execPath, '..')}:${env['PATH'] ?? ''}`
    const { stdout } = await namespace.run(['sh', '-c', `${npx}; exec 2>&1; ${command}`], {
      cwd: directory,
      env: { ...env, PATH: path, TURN_PASSWORD: turnPassword },
    })
    return stdout
  }

  test('there are some', () => {
    expect(examples.length).toBeGreaterThan(4)
    for (const { commands } of examples) expect(commands).not.toEqual([])
  })

  test.each(examples)('$network: $commands.0', async ({ network, commands, block }) => {
    const nat = nats[network]
    if (nat) await lab.setNat(nat)
    const namespace = nat ? lab.client.namespace : alone.get('alone')
    let transcript = ''
    for (const command of commands) transcript += `$ ${command}\n${await shell(namespace, command)}`
    if (process.env['README_UPDATE']) {
      const text = readFileSync(readme, 'utf8')
      writeFileSync(
        readme,
        text.replace(`\`\`\`console\n${block}\`\`\``, () => `\`\`\`console\n${transcript}\`\`\``),
      )
      return
    }
    expect(steady(transcript)).toBe(steady(block))
  })
})
