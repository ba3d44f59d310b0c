/** The settings of `natcheck nat`: flag, else environment, else settings file, else default. Everything is checked here. */
import { type AddressFamily, familyOf, type IpAddress, NatcheckError, parseIp, scopeOf } from '../../core/index.ts'
import { isCondition } from '../../report/checkup-expectations.ts'
import { expectations } from '../../report/expectations.ts'
import { formatServerUri, parseServerUri, type ServerUri, uriProtocol } from '../../wire/uri.ts'
import { checkSources } from '../check-file.ts'
import { type CliIo, usage } from '../io.ts'
import type { Sources } from '../sources.ts'
import * as values from '../values.ts'
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

/** `flags` holds only what was given. Throws USAGE, BAD_URI, BAD_FILE or BAD_ADDRESS. */
export function readSettings(flags: Readonly<Record<string, unknown>>, io: Pick<CliIo, 'env' | 'cwd'>): NatSettings {
  const from = checkSources(flags, io)
  const servers = readServers(from)
  return {
    ...readNatOptions(from, servers === undefined),
    servers: servers ?? publicServers.map((text) => parseServerUri(text)),
    serversFrom: servers === undefined ? 'public' : from.isFlag('server') ? 'flag' : 'setting',
    failOn: readFailOn(from),
  }
}

/** All but the servers and what is expected of them. */
export function readNatOptions(
  from: Sources,
  isPublic: boolean,
): Omit<NatSettings, 'servers' | 'serversFrom' | 'failOn'> {
  const localIp = from.get('local', readLocalAddress)
  const families = from.get('family', values.readFamilies)
  if (localIp !== undefined) checkLocalAddress(localIp, families, isPublic)
  return {
    families: families ?? (localIp === undefined ? [4, 6] : [familyOf(localIp)]),
    timeoutMs:
      from.get('timeout', (value, where) => values.readInteger(value, where, 1, longestTimeoutMs)) ?? defaultTimeoutMs,
    localIp,
    port: from.get('port', (value, where) => values.readInteger(value, where, 1, 65_535)),
    hairpin: from.get('hairpin', values.readBoolean) ?? false,
    lifetime: from.get('lifetime', values.readBoolean) ?? false,
    fragments: from.get('fragments', values.readBoolean) ?? false,
    ports: from.get('ports', values.readBoolean) ?? false,
    router: from.get('router', values.readBoolean) ?? true,
  }
}

/** The environment and the file serve the check-up as well: what it alone understands is passed over there. */
function readFailOn(from: Sources): readonly string[] {
  const own = Object.keys(expectations)
  const words = from.list('failOn', (item, where) =>
    !from.isFlag('failOn') && isCondition(item) ? item : values.readWord(item, where, own),
  )
  return words?.filter((word) => own.includes(word)) ?? []
}

function readServers(from: Sources): readonly ServerUri[] | undefined {
  const uris = from.get('server', values.readList)?.map((text) => parseServerUri(text))
  const askable = uris?.filter((uri) => uriProtocol(uri) === 'udp')
  if (!uris || !askable) return undefined
  return askable.length > 0 && !from.isFlag('server') ? askable : uris.map(overUdp)
}

/** Another transport than UDP would be another path through the NAT; measuring UDP instead would be a guess. */
function overUdp(uri: ServerUri): ServerUri {
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

function readLocalAddress(value: unknown, where: string): IpAddress {
  const ip = parseIp(String(value))
  if (ip !== undefined) return ip
  throw new NatcheckError('BAD_ADDRESS', `${where} is "${String(value)}", which is no IP address`, {
    fix: 'give an address of this machine, such as ip address shows them',
  })
}
