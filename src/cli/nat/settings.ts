/** The settings of `natcheck nat`: flag, else environment, else settings file, else default. Everything is checked here. */
import { type AddressFamily, familyOf, type IpAddress, NatcheckError, parseIp, scopeOf } from '../../core/index.ts'
import { expectations } from '../../report/expectations.ts'
import { formatServerUri, parseServerUri, type ServerUri, uriProtocol } from '../../wire/uri.ts'
import { readCheckFile } from '../check-file.ts'
import { type CliIo, usage } from '../io.ts'
import { Sources } from '../sources.ts'
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
  const from = new Sources(flags, io, readCheckFile(flags['config'], io.cwd), 'NATCHECK_')
  const servers = from.get('server', values.readList)
  const localIp = from.get('local', readLocalAddress)
  const families = from.get('family', values.readFamilies)
  if (localIp !== undefined) checkLocalAddress(localIp, families, servers === undefined)
  return {
    servers: (servers ?? publicServers).map(readServer),
    serversFrom: servers === undefined ? 'public' : flags['server'] === undefined ? 'setting' : 'flag',
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
    failOn: from.list('failOn', (item, where) => values.readWord(item, where, Object.keys(expectations))) ?? [],
  }
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

function readLocalAddress(value: unknown, where: string): IpAddress {
  const ip = parseIp(String(value))
  if (ip !== undefined) return ip
  throw new NatcheckError('BAD_ADDRESS', `${where} is "${String(value)}", which is no IP address`, {
    fix: 'give an address of this machine, such as ip address shows them',
  })
}
