/** The same relay for another server: eturnal, or natcheck's own. */
import { formatAddress, type IpAddress, parseIp } from '../core/index.ts'
import type { Conf } from './conf.ts'
import { cidrsOf, parseRange } from './ranges.ts'

export type ConvertTarget = 'eturnal' | 'natcheck'

export interface Converted {
  /** YAML. */
  readonly text: string
  /** What could not be carried over, one sentence each. */
  readonly lost: readonly string[]
  /** The REST secrets, which natcheck reads from a file of their own. */
  readonly secrets: readonly string[]
}

type Yaml = string | number | boolean | readonly Yaml[] | { readonly [key: string]: Yaml | undefined }

export const convert = (conf: Conf, target: ConvertTarget): Converted =>
  target === 'natcheck' ? toNatcheck(conf) : toEturnal(conf)

/** What both of them have no word for. */
const carried = new Set([
  'listening-ip',
  'listening-port',
  'tls-listening-port',
  'no-udp',
  'no-tcp',
  'no-tls',
  'relay-ip',
  'external-ip',
  'min-port',
  'max-port',
  'realm',
  'lt-cred-mech',
  'use-auth-secret',
  'static-auth-secret',
  'user',
  'cert',
  'pkey',
  'denied-peer-ip',
  'allowed-peer-ip',
  'max-bps',
  'user-quota',
  'no-tcp-relay',
  'no-multicast-peers',
  'stale-nonce',
  'fingerprint',
  'no-cli',
  'no-tlsv1',
  'no-tlsv1_1',
  'no-software-attribute',
  'no-stun-backward-compatibility',
  'response-origin-only-with-rfc5780',
  'no-dtls',
  'log-file',
  'syslog',
  'simple-log',
  'pidfile',
  'proc-user',
  'proc-group',
  'verbose',
  'daemon',
  'no-rfc5780',
  'unauthorized-ratelimit',
  'prometheus',
  'prometheus-address',
  'prometheus-port',
  'no-stdout-log',
])

function lostBy(conf: Conf, further: readonly string[]): string[] {
  const names = new Set(
    conf.settings.map(({ spec }) => spec.name).filter((name) => !carried.has(name) && !further.includes(name)),
  )
  return [...names].map((name) => `${name}: no counterpart`)
}

const ips = (conf: Conf, name: string): IpAddress[] => conf.all(name).flatMap(({ value }) => parseIp(value) ?? [])

const cidrs = (conf: Conf, name: string): string[] =>
  conf.all(name).flatMap(({ value }) => {
    const range = parseRange(value)
    return range ? cidrsOf(range) : []
  })

const mappings = (conf: Conf): { external: string; internal: string | undefined }[] =>
  conf.all('external-ip').map(({ value }) => ({ external: value.split('/')[0] ?? '', internal: value.split('/')[1] }))

const users = (conf: Conf): { name: string; password: string }[] =>
  conf.usesSecret
    ? []
    : conf.all('user').flatMap(({ value }) => {
        const colon = value.indexOf(':')
        return colon < 1 ? [] : [{ name: value.slice(0, colon), password: value.slice(colon + 1).trimStart() }]
      })

const isKey = ({ password }: { password: string }): boolean => password.startsWith('0x')

const secretsOf = (conf: Conf): string[] => conf.all('static-auth-secret').map(({ value }) => value)

function metricsOf(conf: Conf): { ip: string; port: number } | undefined {
  if (!conf.isOn('prometheus')) return undefined
  return { ip: conf.value('prometheus-address') ?? '0.0.0.0', port: conf.port('prometheus-port') }
}

function toNatcheck(conf: Conf): Converted {
  const listening = ips(conf, 'listening-ip')
  const relays = ips(conf, 'relay-ip')
  const lost = lostBy(conf, [
    'total-quota',
    'stun-only',
    'no-auth',
    'max-allocate-lifetime',
    'channel-lifetime',
    'permission-lifetime',
    'rfc5780',
  ])
  const keyed = users(conf).filter(isKey)
  if (keyed.length > 0)
    lost.push(`user ${keyed.map(({ name }) => name).join(', ')}: stored as keys; natcheck needs passwords`)
  const named = users(conf).filter((user) => !isKey(user))
  if (conf.isOn('no-udp') !== conf.isOn('no-tcp')) lost.push('no-udp, no-tcp: natcheck listens on both')
  const secrets = secretsOf(conf)
  const addresses = (port: number): string[] =>
    (listening.length > 0 ? listening : ['0.0.0.0']).map((ip) => formatAddress({ ip, port }))
  const metrics = metricsOf(conf)
  const second = (list: readonly IpAddress[], family: boolean): IpAddress[] =>
    list.filter((ip) => ip.includes(':') === family).slice(1)
  if (second(relays, false).length + second(relays, true).length > 0)
    lost.push('relay-ip: one address of each family only')
  const seconds = (name: string): string | undefined => (conf.number(name) ? `${conf.number(name)}s` : undefined)
  const lifetimes = {
    maxAllocation: seconds('max-allocate-lifetime'),
    permission: seconds('permission-lifetime'),
    channel: seconds('channel-lifetime'),
    nonce: seconds('stale-nonce'),
  }
  const settings: Yaml = {
    listen: addresses(conf.port('listening-port')),
    tlsListen: conf.hasTls ? addresses(conf.port('tls-listening-port')) : undefined,
    cert: conf.hasTls ? conf.value('cert') : undefined,
    key: conf.hasTls ? conf.value('pkey') : undefined,
    relayIp: nonEmpty([
      ...relays.filter((ip) => !ip.includes(':')).slice(0, 1),
      ...relays.filter((ip) => ip.includes(':')).slice(0, 1),
    ]),
    externalIp: nonEmpty(conf.all('external-ip').map(({ value }) => value)),
    ports: `${conf.port('min-port')}-${conf.port('max-port')}`,
    realm: conf.value('realm'),
    user: nonEmpty(named.map(({ name, password }) => `${name}:${password}`)),
    authSecretFile: conf.usesSecret ? 'turn-secret' : undefined,
    noAuth: conf.isOn('no-auth') || undefined,
    stunOnly: conf.isOn('stun-only') || undefined,
    allowPeer: nonEmpty(cidrs(conf, 'allowed-peer-ip')),
    denyPeer: nonEmpty(cidrs(conf, 'denied-peer-ip')),
    userQuota: conf.number('user-quota') || undefined,
    totalQuota: conf.number('total-quota') || undefined,
    maxBps: conf.number('max-bps') || undefined,
    metrics: metrics && formatAddress(metrics),
    lifetimes: Object.values(lifetimes).some((value) => value !== undefined) ? lifetimes : undefined,
  }
  if (conf.isOn('rfc5780')) lost.push('rfc5780: give the second address as altIp')
  return { text: document('natcheck.yaml, for natcheck relay', lost, settings), lost, secrets }
}

function toEturnal(conf: Conf): Converted {
  const secrets = secretsOf(conf)
  const lost = lostBy(conf, ['total-quota'])
  if (secrets.length > 1) lost.push('static-auth-secret: eturnal knows one secret, the first is kept')
  if (conf.has('total-quota')) lost.push('total-quota: eturnal limits allocations of a user only')
  const keyed = users(conf).filter(isKey)
  if (keyed.length > 0)
    lost.push(`user ${keyed.map(({ name }) => name).join(', ')}: stored as keys; eturnal needs passwords`)
  const named = users(conf).filter((user) => !isKey(user))
  const listening = ips(conf, 'listening-ip')
  const listener = (transport: string, port: number): Yaml[] =>
    (listening.length > 0 ? listening : ['::']).map((ip) => ({ ip, port, transport }))
  const port = conf.port('listening-port')
  const publicIps = mappings(conf).map(({ external }) => external)
  const relayed = publicIps.length > 0 ? publicIps : ips(conf, 'relay-ip')
  const metrics = metricsOf(conf)
  const settings: Yaml = {
    eturnal: {
      listen: [
        ...(conf.isOn('no-udp') ? [] : listener('udp', port)),
        ...(conf.isOn('no-tcp') ? [] : listener('tcp', port)),
        ...(conf.hasTls ? listener('tls', conf.port('tls-listening-port')) : []),
      ],
      realm: conf.value('realm'),
      secret: secrets[0],
      credentials:
        named.length > 0 ? Object.fromEntries(named.map(({ name, password }) => [name, password])) : undefined,
      relay_ipv4_addr: relayed.find((ip) => !ip.includes(':')),
      relay_ipv6_addr: relayed.find((ip) => ip.includes(':')),
      relay_min_port: conf.port('min-port'),
      relay_max_port: conf.port('max-port'),
      tls_crt_file: conf.hasTls ? conf.value('cert') : undefined,
      tls_key_file: conf.hasTls ? conf.value('pkey') : undefined,
      max_bps: conf.number('max-bps') || undefined,
      max_allocations: conf.number('user-quota') || undefined,
      blacklist_peers: nonEmpty(cidrs(conf, 'denied-peer-ip')),
      whitelist_peers: nonEmpty(cidrs(conf, 'allowed-peer-ip')),
      modules: metrics ? { mod_stats_prometheus: { ip: metrics.ip, port: metrics.port } } : undefined,
    },
  }
  return { text: document('eturnal.yml', lost, settings), lost, secrets }
}

const nonEmpty = (list: readonly string[]): readonly string[] | undefined => (list.length > 0 ? list : undefined)

function document(title: string, lost: readonly string[], settings: Yaml): string {
  const notes = lost.length === 0 ? [] : ['Not carried over:', ...lost.map((each) => `  ${each}`)]
  return (
    [`${title}: converted from turnserver.conf by natcheck.`, ...notes].map((line) => `# ${line}\n`).join('') +
    yaml(settings, '')
  )
}

/** Block style; strings in double quotes, which YAML reads as JSON does. */
function yaml(value: Yaml, indent: string): string {
  if (typeof value !== 'object') return `${indent}${JSON.stringify(value)}\n`
  if (isList(value)) {
    return value.map((item) => `${indent}-${yaml(item, `${indent}  `).slice(indent.length + 1)}`).join('')
  }
  return Object.entries(value)
    .map(([key, item]) => {
      if (item === undefined) return ''
      const name = /^[A-Za-z]\w*$/.test(key) ? key : JSON.stringify(key)
      return typeof item === 'object'
        ? `${indent}${name}:\n${yaml(item, `${indent}  `)}`
        : `${indent}${name}: ${JSON.stringify(item)}\n`
    })
    .join('')
}

const isList = (value: Yaml): value is readonly Yaml[] => Array.isArray(value)
