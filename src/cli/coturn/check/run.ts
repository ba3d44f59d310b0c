/** `natcheck coturn check`: what a turnserver.conf says, and what its server does, side by side. */
import { formatAddress, NatcheckError, type TransportAddress } from '../../../core/index.ts'
import { Conf } from '../../../coturn/conf.ts'
import { listeningOf } from '../../../coturn/live/listening.ts'
import { parseConf } from '../../../coturn/parse.ts'
import type { CoturnVersion } from '../../../coturn/version.ts'
import { resolveServer } from '../../../probe/resolve.ts'
import { parseServerUri } from '../../../wire/uri.ts'
import { bounded } from '../../bounded.ts'
import { colorLevel } from '../../color.ts'
import { type CliIo, type ExitCode, exitCodes, usage } from '../../io.ts'
import { readInteger } from '../../values.ts'
import { readNamed, textOf } from '../files.ts'
import { installedTarget, readVersion, targetOf } from '../version.ts'
import { type CoturnWorld, machine } from '../world.ts'
import { accessTo, type Credentials } from './access.ts'
import { askServer } from './ask.ts'
import { certificateClaim, certificateIn, nameIn } from './certificate.ts'
import type { Claim } from './claim.ts'
import { claimsOf, mostAllocations } from './claims.ts'
import { startCopy } from './copy.ts'
import { peersToAsk } from './peers.ts'
import { renderCheck } from './table.ts'

type Flags = Readonly<Record<string, unknown>>

/** Counted apart from the other documents'. */
export const checkSchemaVersion = 1

/** What --json prints. */
export interface CheckDocument {
  readonly schemaVersion: typeof checkSchemaVersion
  readonly kind: 'coturn-check'
  readonly file: string
  readonly coturnVersion: CoturnVersion
  readonly server: {
    readonly kind: 'started' | 'running'
    readonly address: string
    /** One sentence. */
    readonly how: string
  }
  readonly claims: readonly Claim[]
  readonly summary: {
    readonly same: number
    readonly differs: number
    readonly warnings: number
    readonly notShown: number
  }
  /** Errors and warnings of its log; empty for a server that was running. */
  readonly log: readonly string[]
  readonly error: null
}

/** A check takes four to eight seconds; quotas of many allocations take longer. */
const defaultTimeoutMs = 30_000
const longestTimeoutMs = 300_000
const resolveMs = 3000

/** Throws USAGE, BAD_FILE, UNSUPPORTED where there is no turnserver, TIMEOUT where nothing answers. */
export async function checkCommand(
  named: string | undefined,
  flags: Flags,
  io: CliIo,
  world: CoturnWorld = machine(),
): Promise<ExitCode> {
  const conf = readNamed(named, io.cwd)
  const timeoutMs = flags['timeout'] === undefined ? defaultTimeoutMs : readTimeout(flags['timeout'])
  const abort = new AbortController()
  let isInterrupted = false
  const stopListening = io.onInterrupt(() => {
    isInterrupted = true
    abort.abort()
  })
  const job = { file: conf.file, text: conf.text, given: readCredentials(flags, io), signal: abort.signal }
  const work =
    flags['running'] === undefined
      ? checkCopy(job, textOf(flags['coturnVersion']), world)
      : checkRunning(job, flags['running'], flags['coturnVersion'], world)
  try {
    const document = await bounded(work, abort, timeoutMs).catch((error: unknown) => {
      throw abort.signal.aborted ? endedEarly(isInterrupted) : error
    })
    if (abort.signal.aborted) throw endedEarly(isInterrupted)
    await io.out(flags['json'] === true ? `${JSON.stringify(document, null, 2)}\n` : inWords(document, flags, io))
    return document.summary.differs > 0 ? exitCodes.failed : exitCodes.ok
  } finally {
    // Whatever ended it, the server that was started ends, and its files go.
    await Promise.allSettled([work])
    stopListening()
  }
}

/** Whatever went wrong after that went wrong because of it. */
const endedEarly = (isInterrupted: boolean): NatcheckError =>
  isInterrupted
    ? new NatcheckError('CANCELLED', 'interrupted: the check was not done')
    : new NatcheckError('TIMEOUT', 'the check did not end in time', { fix: 'give it more time with --timeout' })

const readTimeout = (value: unknown): number => readInteger(value, '--timeout', 1, longestTimeoutMs)

function inWords(document: CheckDocument, flags: Flags, io: CliIo): string {
  const level = colorLevel(flags['color'] as boolean | undefined, io)
  return renderCheck(document, { level, width: Math.max(60, Math.min(80, io.columns ?? 80)) })
}

/** The password never stands on the command line. */
function readCredentials(flags: Flags, io: CliIo): Credentials | undefined {
  const [username, variable] = [textOf(flags['username']), textOf(flags['credentialEnv'])]
  if (username === undefined && variable === undefined) return undefined
  if (username === undefined || variable === undefined)
    throw usage('--username and --credential-env belong together', 'give both')
  const password = io.env[variable]
  if (password === undefined || password === '')
    throw usage(`the environment variable ${variable} is not set`, 'set it to the password')
  return { username, password }
}

interface Job {
  readonly file: string
  readonly text: string
  readonly given: Credentials | undefined
  readonly signal: AbortSignal
}

async function checkCopy(job: Job, asked: string | undefined, world: CoturnWorld): Promise<CheckDocument> {
  const ports = world.ports()
  // What is installed runs, whatever the file was written for.
  const { version } = await installedTarget(world)
  if (asked !== undefined && asked !== 'auto' && readVersion(asked, '--coturn-version') !== version)
    throw usage(`coturn ${version} is installed, and no ${asked}`, 'leave --coturn-version out, or give --running')
  const conf = new Conf(parseConf(job.text), version)
  const access = accessTo(conf, { given: undefined, isCopy: true, now: world.now(), random: ports.random })
  const copy = await startCopy(ports, conf, access.guest, job.signal)
  try {
    const at = copy.listeners[0]
    const how = `Started on loopback with a private copy: its own addresses, ports, log and files, no databases, no redirection.`
    return await compare(job, world, {
      conf,
      running: copy.conf,
      access,
      listeners: copy.listeners,
      isCopy: true,
      server: { kind: 'started', address: at ? formatAddress(at.to) : '', how },
      log: copy.complaints,
    })
  } finally {
    await copy.close()
  }
}

async function checkRunning(job: Job, where: unknown, asked: unknown, world: CoturnWorld): Promise<CheckDocument> {
  const { version } = await targetOf(asked, '--coturn-version', world)
  const ports = world.ports()
  const conf = new Conf(parseConf(job.text), version)
  const access = accessTo(conf, { given: job.given, isCopy: false, now: world.now(), random: ports.random })
  const all = listeningOf(conf)
  const main = await serverAt(textOf(where), all[0], world)
  const seen = new Set<string>()
  const listeners = all.flatMap(({ protocol, port }) => {
    const first = !seen.has(protocol)
    seen.add(protocol)
    return first ? [{ protocol, to: { ip: main.ip, port: protocol === 'tls' ? port : main.port } }] : []
  })
  const address = formatAddress(main)
  return await compare(job, world, {
    conf,
    running: conf,
    access,
    listeners,
    isCopy: false,
    server: { kind: 'running', address, how: `Asked the server that runs at ${address}.` },
    log: [],
  })
}

/** `HOST[:PORT]`, else where the file makes it listen. */
async function serverAt(
  text: string | undefined,
  first: ReturnType<typeof listeningOf>[number] | undefined,
  world: CoturnWorld,
): Promise<TransportAddress> {
  const port = first?.port ?? 3478
  if (text === undefined) return { ip: first?.ip ?? '127.0.0.1', port }
  const uri = parseServerUri(`turn:${text}`)
  const { candidates } = await resolveServer(
    world.ports().network,
    { ...uri, port: uri.port ?? port },
    {
      family: 'both',
      timeoutMs: resolveMs,
    },
  )
  const [candidate] = candidates
  if (candidate) return candidate.address
  throw usage(`--running is "${text}", which leads nowhere`, 'write HOST:PORT')
}

interface Subject {
  readonly conf: Conf
  readonly running: Conf
  readonly access: ReturnType<typeof accessTo>
  readonly listeners: Parameters<typeof askServer>[1]['listeners']
  readonly isCopy: boolean
  readonly server: CheckDocument['server']
  readonly log: readonly string[]
}

async function compare(job: Job, world: CoturnWorld, subject: Subject): Promise<CheckDocument> {
  const { conf, running, access, isCopy } = subject
  const file = certificateIn(conf, '/')
  const few = (name: string): number | undefined => {
    const limit = running.number(name)
    return limit !== undefined && limit > 0 && limit <= mostAllocations ? limit : undefined
  }
  const answers = await askServer(world.ports(), {
    listeners: subject.listeners,
    access,
    tlsName: nameIn(file) ?? 'localhost',
    tlsCa: file?.toString(),
    peers: running.relays ? peersToAsk(running) : [],
    userQuota: few('user-quota'),
    // A server at work has other users, who would be refused meanwhile.
    totalQuota: isCopy && access.manyUsers ? few('total-quota') : undefined,
    signal: job.signal,
  })
  if (!isCopy && answers.reached.every(({ ok, tls }) => !ok && !tls) && running.relays) {
    const [first] = answers.reached
    throw new NatcheckError(
      'TIMEOUT',
      `the server at ${subject.server.address} gives no allocation: ${first?.why ?? ''}`,
      {
        fix: 'check the address and the credentials: --running HOST:PORT, --username with --credential-env',
      },
    )
  }
  const certificate = certificateClaim(conf, file, answers, world.now())
  const claims = claimsOf({ conf, running, access, certificate, answers })
  const count = (result: Claim['result']): number => claims.filter((each) => each.result === result).length
  return {
    schemaVersion: checkSchemaVersion,
    kind: 'coturn-check',
    file: job.file,
    coturnVersion: conf.version,
    server: subject.server,
    claims,
    summary: {
      same: count('same'),
      differs: count('differs'),
      warnings: count('warning'),
      notShown: count('not-shown'),
    },
    log: subject.log,
    error: null,
  }
}
