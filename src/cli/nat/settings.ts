/** The settings of `natcheck nat`: flag, else environment, else settings file, else default. Everything is checked here. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type AddressFamily, familyOf, type IpAddress, NatcheckError, parseIp, scopeOf } from '../../core/index.ts'
import { expectations } from '../../report/expectations.ts'
import { formatServerUri, parseServerUri, type ServerUri, uriProtocol } from '../../wire/uri.ts'
import { type CliIo, usage } from '../io.ts'
import { nearest } from '../../core/suggest.ts'
import { publicServers } from './public-servers.ts'

/** What to measure and against what. */
export interface NatSettings {
  readonly servers: readonly ServerUri[]
  /**
   * Who named the servers. `public`: nobody, so as many of the public list are asked as are needed; other lists are
   * asked whole, and none besides. Unless a flag named them, the self-test runs when none of them can be reached.
   */
  readonly serversFrom: 'flag' | 'setting' | 'public'
  readonly families: readonly AddressFamily[]
  /** Bound on the tests of the verdict in milliseconds. */
  readonly timeoutMs: number
  readonly localIp: IpAddress | undefined
  readonly port: number | undefined
  readonly hairpin: boolean
  readonly lifetime: boolean
  readonly fragments: boolean
  readonly ports: boolean
  readonly router: boolean
  readonly failOn: readonly string[]
}

/** Ample: the run ends by itself as soon as the verdict stands, and this bounds only the lossiest networks. */
const defaultTimeoutMs = 10_000
const longestTimeoutMs = 600_000

type Raw = Readonly<Record<string, unknown>>

/** A setting's name in the file and among the flags, and in the environment. */
const names: Readonly<Record<string, string>> = {
  server: 'NATCHECK_SERVER',
  family: 'NATCHECK_FAMILY',
  timeout: 'NATCHECK_TIMEOUT',
  local: 'NATCHECK_LOCAL',
  port: 'NATCHECK_PORT',
  hairpin: 'NATCHECK_HAIRPIN',
  lifetime: 'NATCHECK_LIFETIME',
  fragments: 'NATCHECK_FRAGMENTS',
  ports: 'NATCHECK_PORTS',
  router: 'NATCHECK_ROUTER',
  failOn: 'NATCHECK_FAIL_ON',
}

/** `flags` holds only what was given. Throws USAGE, BAD_URI, BAD_FILE or BAD_ADDRESS. */
export function readSettings(flags: Raw, io: Pick<CliIo, 'env' | 'cwd'>): NatSettings {
  const file = readSettingsFile(flags['config'], io.cwd)
  const get = <T>(name: string, read: (value: unknown, where: string) => T): T | undefined => {
    if (flags[name] !== undefined) return read(flags[name], flagName(name))
    const variable = names[name] ?? ''
    if (io.env[variable]) return read(io.env[variable], variable)
    return file?.values[name] === undefined ? undefined : read(file.values[name], `"${name}" in ${file.path}`)
  }
  const servers = get('server', readList)
  if (servers?.length === 0) throw usage('the list of servers is empty', 'name a server, or leave the setting out')
  const localIp = get('local', readLocalAddress)
  const families = get('family', readFamilies)
  if (localIp !== undefined) checkLocalAddress(localIp, families, servers === undefined)
  return {
    servers: (servers ?? publicServers).map(readServer),
    serversFrom: servers === undefined ? 'public' : flags['server'] === undefined ? 'setting' : 'flag',
    families: families ?? (localIp === undefined ? [4, 6] : [familyOf(localIp)]),
    timeoutMs: get('timeout', (value, where) => readInteger(value, where, 1, longestTimeoutMs)) ?? defaultTimeoutMs,
    localIp,
    port: get('port', (value, where) => readInteger(value, where, 1, 65_535)),
    hairpin: get('hairpin', readBoolean) ?? false,
    lifetime: get('lifetime', readBoolean) ?? false,
    fragments: get('fragments', readBoolean) ?? false,
    ports: get('ports', readBoolean) ?? false,
    router: get('router', readBoolean) ?? true,
    failOn: get('failOn', readExpectations) ?? [],
  }
}

const flagName = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

interface SettingsFile {
  readonly path: string
  readonly values: Raw
}

function readSettingsFile(named: unknown, cwd: string): SettingsFile | undefined {
  const path = typeof named === 'string' ? named : 'natcheck.json'
  let text: string
  try {
    text = readFileSync(typeof named === 'string' ? resolve(cwd, path) : join(cwd, path), 'utf8')
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    if (named === undefined && isMissing) return undefined
    throw new NatcheckError('BAD_FILE', `the settings file ${path} can't be read`, { cause, fix: 'check --config' })
  }
  const values = parseObject(text)
  if (!values) {
    throw new NatcheckError('BAD_FILE', `the settings file ${path} is not a JSON object`, {
      fix: 'write {"server": ["stun:stun.example.org"]}',
    })
  }
  for (const key of Object.keys(values)) {
    if (Object.hasOwn(names, key)) continue
    const meant = nearest(key, Object.keys(names))
    const fix = meant ? `did you mean "${meant}"?` : `it takes ${Object.keys(names).join(', ')}`
    throw new NatcheckError('BAD_FILE', `the settings file ${path} has an unknown setting "${key}"`, { fix })
  }
  return { path, values }
}

function parseObject(text: string): Raw | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : undefined
  } catch {
    return undefined
  }
}

/** A list from a file or repeated flags, or words parted by commas or spaces. */
function readList(value: unknown, where: string): string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
  if (typeof value === 'string') return value.split(/[\s,]+/).filter((word) => word !== '')
  throw usage(`${where} is not a list of texts`)
}

/** Another transport than UDP would be another path through the NAT; measuring UDP instead would be a guess. */
function readServer(text: string): ServerUri {
  const uri = parseServerUri(text)
  const protocol = uriProtocol(uri)
  if (protocol === 'udp') return uri
  const { transport: _, ...rest } = uri
  // The default port of TLS is no port of the UDP side.
  const fix =
    protocol === 'tcp'
      ? formatServerUri(rest)
      : formatServerUri({ scheme: 'stun', host: uri.host, hostKind: uri.hostKind })
  throw usage(
    `${formatServerUri(uri)} is reached by ${protocol.toUpperCase()}, but a NAT's behaviour is measured over UDP`,
    `give ${fix}, if the server listens on UDP too`,
  )
}

function checkLocalAddress(ip: IpAddress, families: readonly AddressFamily[] | undefined, isPublic: boolean): void {
  const own = familyOf(ip)
  if (families && !families.includes(own)) {
    const only = families.join(' and ')
    throw usage(
      `the local address ${ip} is an IPv${own} address, but only IPv${only} was asked for`,
      `use --family ${own}, or a local IPv${only} address`,
    )
  }
  if (isPublic && scopeOf(ip) === 'loopback') {
    throw usage(
      `from the local address ${ip} nothing but this machine can be reached`,
      'leave --local out, or give an address of the interface that leads to the internet',
    )
  }
}

function readFamilies(value: unknown, where: string): AddressFamily[] {
  const word = String(value)
  if (word === 'both') return [4, 6]
  if (word === '4' || word === '6') return [word === '4' ? 4 : 6]
  throw usage(`${where} is "${word}"`, 'write 4, 6 or both')
}

function readInteger(value: unknown, where: string, min: number, max: number): number {
  const text = String(value)
  const number = Number(text)
  if (/^\d{1,15}$/.test(text) && number >= min && number <= max) return number
  throw usage(`${where} is "${text}"`, `write a whole number from ${min} to ${max}`)
}

function readBoolean(value: unknown, where: string): boolean {
  const word = String(value).toLowerCase()
  if (['true', '1', 'yes', 'on'].includes(word)) return true
  if (['false', '0', 'no', 'off'].includes(word)) return false
  throw usage(`${where} is "${word}"`, 'write true or false')
}

function readLocalAddress(value: unknown, where: string): IpAddress {
  const ip = parseIp(String(value))
  if (ip !== undefined) return ip
  throw new NatcheckError('BAD_ADDRESS', `${where} is "${String(value)}", which is no IP address`, {
    fix: 'give an address of this machine, such as ip address shows them',
  })
}

function readExpectations(value: unknown, where: string): string[] {
  const words = readList(value, where)
  const known = Object.keys(expectations)
  if (words.length === 0) throw usage(`${where} is empty`, `write one or more of ${known.join(', ')}`)
  for (const word of words) {
    if (Object.hasOwn(expectations, word)) continue
    const meant = nearest(word, known)
    throw usage(
      `${where}: there is no "${word}"`,
      `${meant ? `did you mean ${meant}? ` : ''}It takes ${known.join(', ')}`,
    )
  }
  return words
}
