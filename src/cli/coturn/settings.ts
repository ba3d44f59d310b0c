/** The plan of `natcheck coturn init`, from flags, answers and what the machine knows. */
import { resolve } from 'node:path'
import { familyOf, NatcheckError, parseIp, scopeOf } from '../../core/index.ts'
import { userKey } from '../../coturn/generate/key.ts'
import { certificateDirectory, type CoturnPlan, type PlannedTls, type Profile } from '../../coturn/generate/plan.ts'
import { type CoturnVersion, isBefore, isSince } from '../../coturn/version.ts'
import type { RelayUser } from '../../relay/options.ts'
import { type CliIo, usage } from '../io.ts'
import { readUsersFile } from '../relay/secrets.ts'
import { readExternalIp, readIp, readListener, readPorts, readWord } from '../values.ts'
import { textOf } from './files.ts'
import { readVersion, targetOf } from './version.ts'
import type { CoturnWorld } from './world.ts'

type Flags = Readonly<Record<string, unknown>>

export interface InitSettings {
  readonly plan: Omit<CoturnPlan, 'auth'>
  /** What clients put into their URLs. */
  readonly domain: string
  /** Absent: a shared secret. */
  readonly users: readonly RelayUser[] | undefined
}

/** Asks only what it can't find out, and only where somebody is there to answer. Throws USAGE, BAD_ADDRESS or BAD_FILE. */
export async function readInitSettings(flags: Flags, io: CliIo, world: CoturnWorld): Promise<InitSettings> {
  const version = await readTarget(flags['coturnVersion'], io, world)
  const domain = await readDomain(flags['domain'], io, world)
  if (isSince(version, '4.17.0') && isBefore(version, '4.17.2'))
    throw usage(`coturn ${version} answers UDP with a TTL of 1`, 'take 4.17.2 or newer')
  const profile = readWord(flags['profile'] ?? 'public', '--profile', ['public', 'internal', 'lab'] satisfies Profile[])
  if (flags['realm'] === undefined && parseIp(domain) !== undefined)
    throw usage(`--domain is ${domain}: an address makes no lasting realm`, 'add --realm example.org')
  const realm = readRealm(textOf(flags['realm']) ?? domain)
  const relayIps = list(flags['relayIp']).map((text) => readIp(text, '--relay-ip'))
  const externalIps =
    profile === 'public'
      ? await readExternals(flags['externalIp'], relayIps, io, world)
      : list(flags['externalIp']).map((text) => readExternalIp(text, '--external-ip'))
  if (profile === 'lab' && relayIps.length === 1)
    throw usage('--profile lab with one --relay-ip', 'give a second one of the same family, for RFC 5780')
  const at = textOf(flags['metrics'])
  const metrics = at === undefined ? undefined : readListener(at, '--metrics', 9641)
  const redis = textOf(flags['redis'])
  if (metrics && isBefore(version, '4.6.3'))
    throw usage(`coturn ${version} serves metrics on every address`, 'leave --metrics out, or take 4.6.3 or newer')
  if (metrics && !['loopback', 'private', 'shared', 'link-local'].includes(scopeOf(metrics.ip)))
    throw usage(`--metrics is ${metrics.ip}, which everybody may reach`, 'give 127.0.0.1:9641 or a private address')
  return {
    domain,
    users: readAuth(flags, io),
    plan: {
      version,
      profile,
      realm,
      tls: readTls(await tlsOf(flags['tls'], profile, domain, io, world), profile, domain),
      relayIps,
      externalIps,
      ports: readPorts(flags['ports'] ?? '49152-65535', '--ports'),
      redis: redis === undefined ? undefined : readRedis(redis),
      metrics,
      container: false,
    },
  }
}

/** `user` lines, with keys that work for this realm only. */
export const plannedUsers = (users: readonly RelayUser[], realm: string): CoturnPlan['auth'] => ({
  kind: 'users',
  users: users.map(({ username, password }) => ({ name: username, key: userKey(username, realm, password) })),
})

/** Whether somebody is there to answer. */
const canAsk = (io: CliIo, world: CoturnWorld): boolean => world.interactive && io.stdoutIsTty

/** What is installed; else, where somebody can answer, what will be. */
async function readTarget(flag: unknown, io: CliIo, world: CoturnWorld): Promise<CoturnVersion> {
  const isOpen = (textOf(flag) ?? 'auto') === 'auto'
  if (isOpen && canAsk(io, world) && !(await world.installed()))
    return readVersion(await world.ask('Version of the coturn that will run it:', usualVersion), 'the version')
  return (await targetOf(flag, '--coturn-version', world)).version
}

/** Debian's and Ubuntu's. */
const usualVersion: CoturnVersion = '4.6.1'

/** As the flag has it. A certificate of certbot is found; where there is none, somebody is asked. */
async function tlsOf(
  flag: unknown,
  profile: Profile,
  domain: string,
  io: CliIo,
  world: CoturnWorld,
): Promise<string | undefined> {
  const given = textOf(flag)
  if (given !== undefined || profile !== 'public' || !canAsk(io, world) || parseIp(domain) !== undefined) return given
  const found = world.look(`/etc/letsencrypt/live/${domain}/fullchain.pem`, io.cwd)
  // Unreadable is there all the same: only root may look into that directory.
  if (found.kind !== 'missing') return 'letsencrypt'
  return await world.ask('TLS by letsencrypt, none, or full paths CERT,KEY:', 'letsencrypt')
}

const list = (flag: unknown): string[] => (Array.isArray(flag) ? flag.map(String) : [])

async function readDomain(flag: unknown, io: CliIo, world: CoturnWorld): Promise<string> {
  const isAsked = flag === undefined && canAsk(io, world)
  const text = isAsked
    ? await world.ask('Name that clients will use, such as turn.example.org:', '')
    : (textOf(flag) ?? '')
  if (text === '') throw usage('--domain is missing', 'write --domain turn.example.org')
  if (parseIp(text) !== undefined || /^(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*$/.test(text)) return text
  throw usage(`--domain is "${text}", which is no name`, 'write a name such as turn.example.org')
}

function readRealm(text: string): string {
  // RFC 8489 §14.9; what a line of the file can hold is narrower still.
  if (/^[^\s"'#;\\\p{Cc}]{1,127}$/u.test(text)) return text
  throw usage('--realm is no realm', 'write your domain, such as example.org')
}

type Mapping = CoturnPlan['externalIps'][number]

/** What was given; else, where somebody can confirm it, what the internet sees of a machine without public address. */
async function readExternals(
  flag: unknown,
  relayIps: readonly string[],
  io: CliIo,
  world: CoturnWorld,
): Promise<Mapping[]> {
  const given = list(flag)
  const local = relayIps.length > 0 ? relayIps.filter((ip) => !ip.includes(':')) : world.addresses()
  const inside = local.length === 1 ? local[0] : undefined
  if (given.length > 0) {
    const mappings = await Promise.all(
      given.map(async (text) =>
        text === 'auto' ? { external: await world.publicIp() } : readExternalIp(text, '--external-ip'),
      ),
    )
    return mappings.flatMap((mapping) => within(mapping, local, inside))
  }
  const isBehindNat = local.length > 0 && local.every((ip) => scopeOf(ip) !== 'global')
  if (!isBehindNat || !canAsk(io, world)) return []
  const seen = await world.publicIp().catch(() => '')
  const answer = await world.ask('Public address of this machine (- for none):', seen || '-')
  if (answer === '-') return []
  const mapping = readExternalIp(answer, 'the public address')
  if (mapping.internal !== undefined || local.length < 2) return within(mapping, local, inside)
  const own = await world.ask(`Which of its addresses is behind that (${local.join(', ')}):`, local[0] ?? '')
  return within(mapping, local, readIp(own, 'the address behind it'))
}

/** With the address inside, where there is only one it could be; nothing where the machine has the public one itself. */
function within({ external, internal }: Mapping, local: readonly string[], inside: string | undefined): Mapping[] {
  if (internal === undefined && local.includes(external)) return []
  const own = internal ?? (inside !== undefined && familyOf(inside) === familyOf(external) ? inside : undefined)
  // Without it coturn denies what two clients of this relay send each other.
  if (own === undefined && familyOf(external) === 4)
    throw usage(
      `--external-ip ${external} does not say which address of the relay is behind it`,
      `write ${external}/PRIVATE, or give one --relay-ip`,
    )
  return [own === undefined || own === external ? { external } : { external, internal: own }]
}

function readAuth(flags: Flags, io: CliIo): readonly RelayUser[] | undefined {
  const file = flags['usersFile']
  const auth = readWord(flags['auth'] ?? (file === undefined ? 'rest' : 'users'), '--auth', ['rest', 'users'])
  if (auth === 'rest') {
    if (file !== undefined) throw usage('--users-file contradicts --auth rest', 'leave one of them out')
    return undefined
  }
  if (typeof file !== 'string')
    throw usage('--auth users needs --users-file', 'give a file with one NAME:PASSWORD a line')
  const users = readUsersFile(resolve(io.cwd, file))
  if (users.length === 0)
    throw new NatcheckError('BAD_FILE', `the users file ${file} names nobody`, {
      fix: 'write one NAME:PASSWORD a line',
    })
  const odd = users.find(({ username }) => /[\s#"']/.test(username))
  if (odd)
    throw new NatcheckError('BAD_FILE', `the users file ${file} has a name with a space, quote or #`, {
      fix: 'rename that user',
    })
  return users
}

function readTls(given: string | undefined, profile: Profile, domain: string): PlannedTls {
  const text = given ?? (profile === 'public' && parseIp(domain) === undefined ? 'letsencrypt' : 'none')
  if (text === 'none') return { kind: 'none' }
  if (text === 'letsencrypt') {
    return {
      kind: 'letsencrypt',
      cert: `${certificateDirectory}/fullchain.pem`,
      key: `${certificateDirectory}/privkey.pem`,
    }
  }
  const [cert = '', key = '', ...rest] = text.split(',')
  if (!cert.startsWith('/') || !key.startsWith('/') || rest.length > 0)
    throw usage(`--tls is "${text}"`, 'write letsencrypt, none, or two full paths CERT,KEY')
  return { kind: 'files', cert, key }
}

/** `redis://:password@host:6379/0` as coturn's connection string. */
function readRedis(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const database = url?.pathname.replace(/^\//, '') ?? ''
  if (url?.protocol !== 'redis:' || url.hostname === '' || !/^\d*$/.test(database))
    throw usage('--redis is no redis: URL', 'write redis://:PASSWORD@127.0.0.1:6379/0')
  const password = decodeURIComponent(url.password)
  if (/\s/.test(password))
    throw usage('the password of --redis holds a space', 'coturn parts its settings by spaces: change the password')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const words = [
    `${parseIp(host) === undefined ? 'host' : 'ip'}=${host}`,
    `dbname=${database || '0'}`,
    ...(password === '' ? [] : [`password=${password}`]),
    `port=${url.port || '6379'}`,
    'connect_timeout=30',
  ]
  return words.join(' ')
}
