/** What the commands need of the machine, or whatever a test puts in its place. */
import { execFile } from 'node:child_process'
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { isatty } from 'node:tty'
import { promisify } from 'node:util'
import { type IpAddress, type WallTime, wallTime } from '../../core/index.ts'
import type { RelayPorts } from '../../relay/relay.ts'
import { nodeNetwork, nodeProcesses, systemClock, systemRandom } from '../../transport/index.ts'
import type { ObservedCertificate, ObservedFile } from '../../coturn/lint/observations.ts'
import { codeOf } from './files.ts'

export interface InstalledCoturn {
  /** As it prints it. */
  readonly version: string
  readonly lacks: readonly ('prometheus' | 'mongo')[]
}

export interface CoturnWorld {
  /** Whether somebody can answer questions. */
  readonly interactive: boolean
  /** What a turnserver is started and asked with. */
  ports(): RelayPorts
  now(): WallTime
  random(bytes: number): Uint8Array
  /** The turnserver of this machine; undefined where there is none, or it does not say. */
  installed(): Promise<InstalledCoturn | undefined>
  /** IPv4 addresses of the interfaces that are up, without loopback. */
  addresses(): readonly IpAddress[]
  /** The address that the internet sees, from a STUN server. Throws what the probe throws. */
  publicIp(): Promise<IpAddress>
  /** A file that the configuration names; relative ones are relative to the working directory. */
  look(path: string, cwd: string): ObservedFile
  certificate(cert: string, key: string | undefined, cwd: string): ObservedCertificate | undefined
  /** Asks the person at the terminal; the default is what they get for Enter. */
  ask(question: string, preset: string): Promise<string>
}

export function machine(): CoturnWorld {
  return {
    interactive: isatty(0) && isatty(2),
    ports: () => ({ network: nodeNetwork(), clock: systemClock, random: systemRandom, processes: nodeProcesses() }),
    now: () => wallTime(Date.now()),
    random: (bytes) => randomBytes(bytes),
    installed,
    addresses: () =>
      nodeNetwork()
        .interfaces()
        .flatMap(({ ip, internal }) => (internal || ip.includes(':') ? [] : [ip])),
    publicIp: async () => (await import('./public-ip.ts')).publicIp(),
    look,
    certificate,
    ask,
  }
}

const run = promisify(execFile)
/** It answers at once, or something is wrong with it. */
const patienceMs = 5000

/** It logs before it reads what it is asked; with stdout as its log it opens no file for that. */
const quiet = ['--log-file=stdout', '--simple-log']

async function installed(): Promise<InstalledCoturn | undefined> {
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/bin` }
  try {
    const { stdout } = await run('turnserver', [...quiet, '--version'], { timeout: patienceMs, env })
    const help = await run('turnserver', [...quiet, '-h'], { timeout: patienceMs, env }).catch(() => undefined)
    const version = stdout.trim().split('\n').at(-1) ?? ''
    const lacks = help === undefined || help.stdout.includes('--prometheus') ? [] : (['prometheus'] as const)
    return { version, lacks }
  } catch {
    return undefined
  }
}

function look(path: string, cwd: string): ObservedFile {
  const full = resolve(cwd, path)
  try {
    const { mode } = statSync(full)
    accessSync(full, constants.R_OK)
    return { kind: 'readable', mode: mode & 0o7777 }
  } catch (error) {
    const code = codeOf(error)
    return code === 'ENOENT' || code === 'ENOTDIR' ? { kind: 'missing' } : { kind: 'unreadable', why: code }
  }
}

function certificate(cert: string, key: string | undefined, cwd: string): ObservedCertificate | undefined {
  let pem: Buffer
  try {
    pem = readFileSync(resolve(cwd, cert))
  } catch {
    return undefined
  }
  try {
    const x509 = new X509Certificate(pem)
    const keyMatches = key === undefined ? undefined : matches(x509, resolve(cwd, key))
    return {
      notBefore: new Date(x509.validFrom),
      notAfter: new Date(x509.validTo),
      names: (x509.subjectAltName ?? '')
        .split(', ')
        .flatMap((entry) => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1] ?? []),
      ...(keyMatches === undefined ? {} : { keyMatches }),
    }
  } catch {
    return { notBefore: new Date(0), notAfter: new Date(0), names: [], malformed: true }
  }
}

/** undefined: the key can't be read, or needs a password. */
function matches(x509: X509Certificate, key: string): boolean | undefined {
  try {
    return x509.checkPrivateKey(createPrivateKey(readFileSync(key)))
  } catch {
    return undefined
  }
}

async function ask(question: string, preset: string): Promise<string> {
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await terminal.question(`${question}${preset === '' ? '' : ` [${preset}]`} `)).trim() || preset
  } finally {
    terminal.close()
  }
}
