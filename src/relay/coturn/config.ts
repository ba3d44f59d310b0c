/** turnserver.conf: what one coturn has to be told to be the relay that was asked for. */
import { join } from 'node:path'
import { formatAddress, familyOf, type IpAddress, NatcheckError, type TransportAddress } from '../../core/index.ts'
import { defaultLifetimes, defaultPorts, type RelayAddress } from '../../proto/turn-server/index.ts'
import { longTermKey } from '../../wire/index.ts'
import { settingLine } from '../../coturn/parse.ts'
import { type CoturnVersion, isBefore, isSince } from '../../coturn/version.ts'
import type { Discovery } from '../discovery.ts'
import type { RelayOptions } from '../options.ts'
import { allowedRanges, deniedRanges, peerRanges, reachesLoopback } from './peers.ts'

export interface CoturnSettings {
  readonly options: RelayOptions
  /** UDP and TCP, with ports chosen. */
  readonly plain: readonly TransportAddress[]
  readonly tls: readonly TransportAddress[]
  readonly discovery: Discovery | undefined
  readonly relays: readonly RelayAddress[]
  readonly files: CoturnFiles
  /** Users, secrets and allowed peers are in the database, where they can change while coturn runs. */
  readonly inDatabase: boolean
}

export interface CoturnFiles {
  readonly directory: string
  readonly config: string
  readonly database: string
  readonly cert: string
  readonly key: string
}

export const filesIn = (directory: string): CoturnFiles => ({
  directory,
  config: join(directory, 'turnserver.conf'),
  database: join(directory, 'turndb'),
  cert: join(directory, 'cert.pem'),
  key: join(directory, 'key.pem'),
})

export const defaultRealm = 'natcheck'

/** The key of a user as coturn stores it, so that no password lies in a file. */
export const userKey = (username: string, password: string, realm: string): string =>
  Buffer.from(longTermKey({ username, password, realm })).toString('hex')

type Line = string | readonly [key: string, value: string | number | undefined]

/**
 * The whole file. Values end with their line, and nothing in it is quoted. Throws USAGE for what no such file can say.
 */
export function renderConfig(settings: CoturnSettings, version: CoturnVersion): string {
  const lines: Line[] = [
    ...listenerLines(settings, version),
    ...relayLines(settings, version),
    ...accessLines(settings),
    ...peerLines(settings, version),
    ...limitLines(settings.options),
    ...protocolLines(settings, version),
    ...processLines(settings, version),
  ]
  return lines.flatMap(formatLine).join('')
}

/** Throws USAGE for what coturn would not read as it was meant. */
function formatLine(line: Line): string[] {
  const [name, value] = typeof line === 'string' ? [line] : line
  if (typeof line !== 'string' && value === undefined) return []
  const text = value === undefined ? '' : String(value)
  const isPlain = (value === undefined || text !== '') && !/[\p{Cc}]|^"/u.test(text)
  const written = isPlain ? settingLine({ name, value: text }) : undefined
  if (written !== undefined) return [`${written}\n`]
  throw new NatcheckError(
    'USAGE',
    `coturn's configuration can't hold this ${name}: it is too long, or has odd characters`,
    {
      fix: 'use at most 900 printable characters, no blank at either end and no quote in front',
    },
  )
}

/**
 * coturn opens one plain port and one TLS port on each of its addresses. Further plain ports are auxiliary servers;
 * other combinations it can't do.
 */
function listenerLines({ plain, tls, discovery }: CoturnSettings, version: CoturnVersion): Line[] {
  const main = discovery?.primary ?? plain[0]
  const onMainPort = plain.filter(({ port }) => port === main?.port).map(({ ip }) => ip)
  const auxiliary = plain.filter(({ port }) => port !== main?.port)
  const ips = main ? onMainPort : tls.map(({ ip }) => ip)
  const tlsPort = tls[0]?.port
  const misplaced = tls.find(({ ip, port }) => port !== tlsPort || !ips.includes(ip))
  const uncovered = tls.length > 0 ? ips.find((ip) => !tls.some((address) => address.ip === ip)) : undefined
  if (misplaced || uncovered !== undefined) {
    throw new NatcheckError(
      'USAGE',
      'coturn listens for TLS on one port of each address that it listens on, no others',
      {
        fix: 'give --listen and --tls-listen the same addresses, each with one port',
      },
    )
  }
  return [
    ...orderedIps(ips, discovery).map((ip): Line => ['listening-ip', ip]),
    ['listening-port', main?.port],
    ['alt-listening-port', discovery?.alternate.port],
    ...auxiliary.map((address): Line => ['aux-server', formatAddress(address)]),
    ...(main ? [] : ['no-udp', 'no-tcp']),
    ...(tlsPort === undefined ? ['no-tls'] : [['tls-listening-port', tlsPort] as const]),
    // From 4.17 on it is off, and saying so is reported to crash 4.17.2.
    ...(isSince(version, '4.17') ? [] : ['no-dtls']),
  ]
}

/** RFC 5780's two addresses have to be the first two of their family. */
function orderedIps(ips: readonly IpAddress[], discovery: Discovery | undefined): IpAddress[] {
  const pair = discovery ? [discovery.primary.ip, discovery.alternate.ip] : []
  return [...new Set([...pair, ...ips])]
}

function relayLines({ options, relays, files, tls }: CoturnSettings, version: CoturnVersion): Line[] {
  const { min, max } = options.ports ?? defaultPorts
  const onlyIpv6 = relays.length > 0 && relays.every(({ ip }) => familyOf(ip) === 6)
  return [
    ...(tls.length > 0
      ? ([
          ['cert', files.cert],
          ['pkey', files.key],
        ] as const)
      : []),
    ...(tls.length > 0 && isBefore(version, '4.7') ? ['no-tlsv1', 'no-tlsv1_1'] : []),
    ...relays.map(({ ip }): Line => ['relay-ip', ip]),
    ...relays.map(({ ip, externalIp }): Line => ['external-ip', externalIp && `${externalIp}/${ip}`]),
    ['min-port', min],
    ['max-port', max],
    'no-tcp-relay',
    ...(onlyIpv6 && isSince(version, '4.6') ? [['allocation-default-address-family', 'ipv6'] as const] : []),
  ]
}

function accessLines({ options, inDatabase }: CoturnSettings): Line[] {
  const { users = [], authSecrets = [], realm = defaultRealm, noAuth, stunOnly } = options
  if (stunOnly) return ['stun-only', ['realm', realm]]
  if (noAuth) return ['no-auth', ['realm', realm]]
  if (users.length > 0 && authSecrets.length > 0) {
    throw new NatcheckError('USAGE', 'coturn knows either users or shared secrets, not both', {
      fix: 'leave one of them out, or use the engine native',
    })
  }
  const mechanism = authSecrets.length > 0 ? 'use-auth-secret' : 'lt-cred-mech'
  const inFile = inDatabase ? { users: [], secrets: [] } : { users, secrets: authSecrets }
  for (const { username } of users) checkName(username)
  if (!isTaken(realm)) {
    throw new NatcheckError('USAGE', `coturn answers nobody in a realm with spaces or quotes, such as "${realm}"`, {
      fix: 'write your domain, or use the engine native',
    })
  }
  return [
    mechanism,
    ['realm', realm],
    ...inFile.users.map(({ username, password }): Line => {
      return ['user', `${username}:0x${userKey(username, password, realm)}`]
    }),
    ...inFile.secrets.map((secret): Line => ['static-auth-secret', secret]),
  ]
}

/** coturn takes some characters for SQL, and answers every request that holds them with 400 (`is_secure_string`). */
const isTaken = (text: string): boolean => !/[ \t\r\n'"\\]/.test(text)

/** Throws USAGE. */
export function checkName(username: string): void {
  if (/^[^:\p{Cc}]{1,500}$/u.test(username) && isTaken(username)) return
  throw new NatcheckError('USAGE', `coturn takes no user with ":", spaces, quotes or the like in the name`, {
    fix: 'rename the user, or use the engine native',
  })
}

function peerLines({ options, inDatabase }: CoturnSettings, version: CoturnVersion): Line[] {
  const { allowPeers = [], denyPeers = [] } = options
  const allowed = allowedRanges(allowPeers, denyPeers)
  return [
    'no-multicast-peers',
    ...(reachesLoopback(allowed) ? ['allow-loopback-peers'] : []),
    ...deniedRanges(version, denyPeers)
      .flatMap(peerRanges)
      .map((range): Line => ['denied-peer-ip', range]),
    ...(inDatabase ? [] : allowed.flatMap(peerRanges).map((range): Line => ['allowed-peer-ip', range])),
  ]
}

function limitLines({ userQuota, totalQuota, maxBps, threads, lifetimes = {} }: RelayOptions): Line[] {
  return [
    ['user-quota', userQuota],
    ['total-quota', totalQuota],
    ['max-bps', maxBps],
    ['relay-threads', threads],
    ['max-allocate-lifetime', lifetimes.maxAllocation ?? defaultLifetimes.maxAllocation],
    ['permission-lifetime', lifetimes.permission ?? defaultLifetimes.permission],
    ['channel-lifetime', lifetimes.channel ?? defaultLifetimes.channel],
    ['stale-nonce', lifetimes.nonce ?? 3600],
  ]
}

/** What tells attackers least and keeps answers short. 4.7 turned the defaults of these options round. */
function protocolLines({ discovery }: CoturnSettings, version: CoturnVersion): Line[] {
  if (isSince(version, '4.7')) {
    return [
      ...(discovery ? ['rfc5780', 'stun-backward-compatibility'] : []),
      ...(isSince(version, '4.14') ? ['unauthorized-ratelimit'] : []),
    ]
  }
  return [
    'no-software-attribute',
    'response-origin-only-with-rfc5780',
    ...(discovery ? [] : ['no-rfc5780', 'no-stun-backward-compatibility']),
  ]
}

/** Everything it writes lies in our directory; its log is its stdout, which we read. */
function processLines({ files }: CoturnSettings, version: CoturnVersion): Line[] {
  return [
    ['userdb', files.database],
    ['pidfile', join(files.directory, 'pid')],
    ['log-file', 'stdout'],
    'simple-log',
    'verbose',
    // 4.10 turned it off, and calls this an error.
    ...(isSince(version, '4.10') ? [] : ['no-cli']),
  ]
}
