/** The settings of `natcheck relay`: flag, else environment, else settings file, else default. Everything is checked here. */
import { randomBytes } from 'node:crypto'
import { familyOf, NatcheckError, type ServerCertificate, scopeOf, type TransportAddress } from '../../core/index.ts'
import type {
  DatapathName,
  EngineName,
  PortRange,
  RelayLifetimes,
  RelayOptions,
  RelayUser,
} from '../../relay/options.ts'
import { parseDuration } from '../duration.ts'
import { type CliIo, usage } from '../io.ts'
import { Sources } from '../sources.ts'
import * as values from '../values.ts'
import { readSettingsFile } from './file.ts'
import { checkSecret, parseUser, readCertificate, readNonceKey, readSecretFile, readUsersFile } from './secrets.ts'

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export interface RelaySettings {
  readonly options: RelayOptions
  readonly metrics: TransportAddress | undefined
  readonly drainTimeoutSeconds: number
  readonly logLevel: LogLevel
  /** The user made up for this run, whose password is printed; undefined when credentials were configured. */
  readonly generated: RelayUser | undefined
  /** What is allowed but unwise, in one line each. */
  readonly warnings: readonly string[]
}

/** Long enough for a call to end, short enough for a deployment to. */
const defaultDrainSeconds = 3600
const longestSeconds = 7 * 86_400

const defaultListener: TransportAddress = { ip: '127.0.0.1', port: 3478 }
const defaultPorts: PortRange = { min: 49_152, max: 65_535 }

const isVariable = (where: string): boolean => where.startsWith('NATCHECK_')

/** `flags` holds only what was given. Throws USAGE, BAD_FILE or BAD_ADDRESS. */
export function readRelaySettings(
  flags: Readonly<Record<string, unknown>>,
  io: Pick<CliIo, 'env' | 'cwd'>,
): RelaySettings {
  // commander has --no-auth as auth: false.
  const { auth, ...rest } = flags
  const named = flags['config'] ?? io.env['NATCHECK_RELAY_CONFIG']
  const file = readSettingsFile(typeof named === 'string' && named !== '' ? named : undefined, io.cwd)
  const from = new Sources(auth === false ? { ...rest, noAuth: true } : rest, io, file, 'NATCHECK_RELAY_')
  const warnings: string[] = []
  const stunOnly = from.get('stunOnly', values.readBoolean) ?? false
  const listeners = readListeners(from)
  const access = readAccess(from, stunOnly, warnings)
  const generated = makeUser(access, listeners, stunOnly)
  const certificate = readTls(from, listeners.tlsListen)
  const ports = from.get('ports', values.readPorts)
  const totalQuota = readCount(from, 'totalQuota')
  checkPorts(ports ?? defaultPorts, totalQuota)
  return {
    options: {
      engine: from.get('engine', (value, where) => values.readWord(value, where, engines)) ?? 'native',
      ...listeners,
      ...access,
      users: generated ? [generated] : access.users,
      certificate,
      stunOnly,
      ports,
      totalQuota,
      userQuota: readCount(from, 'userQuota'),
      maxBps: readCount(from, 'maxBps'),
      threads: from.get('threads', (value, where) => values.readInteger(value, where, 1, 256)),
      altIp: from.get('altIp', values.readIp),
      relayIps: readRelayIps(from),
      externalIps: from.list('externalIp', values.readExternalIp),
      realm: from.get('realm', readRealm),
      datapath: from.get('datapath', (value, where) => values.readWord(value, where, datapaths)),
      nonceKey: optional(from.path('nonceKeyFile'), readNonceKey),
      lifetimes: from.get('lifetimes', readLifetimes),
    },
    metrics: from.get('metrics', (value, where) => values.readListener(String(value), where, 9641)),
    drainTimeoutSeconds:
      from.get('drainTimeout', (value, where) => parseDuration(value, where, 0, longestSeconds)) ?? defaultDrainSeconds,
    logLevel: from.get('logLevel', (value, where) => values.readWord(value, where, logLevels)) ?? 'info',
    generated,
    warnings,
  }
}

const engines: readonly EngineName[] = ['native', 'node-turn', 'coturn']
const datapaths: readonly (DatapathName | 'auto')[] = ['auto', 'dgram', 'mmsg']

const optional = <T, R>(value: T | undefined, then: (value: T) => R): R | undefined =>
  value === undefined ? undefined : then(value)

const readCount = (from: Sources, name: string): number | undefined =>
  from.get(name, (value, where) => values.readInteger(value, where, 1, 1e12))

function readListeners(from: Sources): { listen: TransportAddress[]; tlsListen: TransportAddress[] } {
  const tlsListen = from.list('tlsListen', (item, where) => values.readListener(item, where, 5349)) ?? []
  const listen = from.list('listen', (item, where) => values.readListener(item, where, 3478))
  return { listen: listen ?? (tlsListen.length > 0 ? [] : [defaultListener]), tlsListen }
}

type Access = Pick<RelayOptions, 'noAuth' | 'allowPeers' | 'denyPeers'> &
  Required<{ readonly users: readonly RelayUser[]; readonly authSecrets: readonly string[] }>

/** Who may use the relay, and towards whom. */
function readAccess(from: Sources, stunOnly: boolean, warnings: string[]): Access {
  const named = from.get('user', (value, where) =>
    // A password may hold commas and spaces: only the environment, which has no lists, is cut at them.
    (Array.isArray(value) ? value : isVariable(where) ? values.readList(value, where) : [value]).map((item) =>
      parseUser(String(item), where),
    ),
  )
  if (from.isFlag('user')) {
    warnings.push('passwords on the command line can be read by everybody on this machine: use --users-file')
  }
  const file = optional(from.path('usersFile'), readUsersFile)
  // Named ones last: they replace the file's.
  const users = new Map([...(file ?? []), ...(named ?? [])].map((user) => [user.username, user]))
  const secret = from.env('NATCHECK_RELAY_AUTH_SECRET')
  if (secret !== undefined) checkSecret(secret, 'NATCHECK_RELAY_AUTH_SECRET')
  const secrets = optional(from.path('authSecretFile'), readSecretFile) ?? []
  const noAuth = from.get('noAuth', values.readBoolean) ?? false
  const authSecrets = secret === undefined ? secrets : [secret, ...secrets]
  if (noAuth && (users.size > 0 || authSecrets.length > 0)) {
    throw usage('--no-auth contradicts the users or secrets that are given too', 'leave one of them out')
  }
  if (noAuth && !stunOnly) warnings.push('without authentication everybody who reaches this relay can use it')
  return {
    users: [...users.values()],
    authSecrets,
    noAuth,
    allowPeers: from.list('allowPeer', values.readCidr),
    denyPeers: from.list('denyPeer', values.readCidr),
  }
}

/** Random credentials, where nobody beyond this machine can use the relay anyway; elsewhere somebody has to decide. */
function makeUser(
  { users, authSecrets, noAuth }: Access,
  { listen, tlsListen }: { listen: readonly TransportAddress[]; tlsListen: readonly TransportAddress[] },
  stunOnly: boolean,
): RelayUser | undefined {
  if (stunOnly || noAuth || users.length > 0 || authSecrets.length > 0) return undefined
  const exposed = [...listen, ...tlsListen].find(({ ip }) => scopeOf(ip) !== 'loopback')
  if (exposed) {
    throw usage(
      `a relay on ${exposed.ip} without users would serve everybody who reaches it`,
      'give --users-file or --auth-secret-file, or spell out --no-auth',
    )
  }
  return { username: `natcheck-${randomBytes(3).toString('hex')}`, password: randomBytes(15).toString('base64url') }
}

function readTls(from: Sources, tlsListen: readonly TransportAddress[]): ServerCertificate | undefined {
  const cert = from.path('cert')
  const key = from.path('key')
  if (tlsListen.length === 0) {
    if (cert ?? key) throw usage('--cert and --key are for TLS', 'add --tls-listen ADDR:5349')
    return undefined
  }
  if (cert === undefined || key === undefined) throw usage('--tls-listen needs --cert and --key', 'give both')
  return readCertificate(cert, key)
}

function checkPorts({ min, max }: PortRange, totalQuota: number | undefined): void {
  const count = max - min + 1
  if (totalQuota !== undefined && totalQuota > count) {
    throw usage(`--ports holds ${count} ports, too few for --total-quota ${totalQuota}`, 'widen the range')
  }
}

function readRelayIps(from: Sources): string[] | undefined {
  const ips = from.list('relayIp', values.readIp)
  const families = ips?.map(familyOf) ?? []
  if (new Set(families).size < families.length) {
    throw usage('--relay-ip names two addresses of one family', 'give one IPv4 and one IPv6 address at most')
  }
  return ips
}

function readRealm(value: unknown, where: string): string {
  const text = String(value)
  // RFC 8489 §14.9: fewer than 128 characters; a quote can't stand in a quoted-string.
  if (/^[^"\\\p{Cc}]{1,127}$/u.test(text)) return text
  throw usage(`${where} is no realm`, 'write your domain, such as example.org')
}

function readLifetimes(value: unknown, where: string): RelayLifetimes {
  if (typeof value !== 'object' || value === null)
    throw new NatcheckError('USAGE', `${where} can only be set in a file`)
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, parseDuration(each, `${where}: ${name}`, 1, longestSeconds)]),
  )
}
