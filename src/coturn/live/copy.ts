/** A copy of a configuration that can run beside the real server: same rules, other addresses, ports and files. */
import { familyOf, type IpAddress } from '../../core/index.ts'
import type { Conf } from '../conf.ts'
import type { OptionGroup } from '../options/spec.ts'
import { findOption } from '../options/table.ts'
import type { Line } from '../parse.ts'
import { type NewSetting, settingLine } from '../parse.ts'
import { isBefore } from '../version.ts'
import { addressesOf } from './listening.ts'
import { permits } from './reach.ts'

/** What stands in the place of the real machine's. */
export interface StandIns {
  readonly ports: { readonly plain: number; readonly alternate: number; readonly tls: number }
  /** Loopback addresses, as many as may be listened on. */
  readonly listening: readonly IpAddress[]
  /** One address of each family that packets to peers may leave from. */
  readonly relay: readonly IpAddress[]
  readonly pidfile: string
  readonly database: string
  /** Somebody who may log in where the file names nobody whose password it tells. */
  readonly guest?: { readonly user: string } | { readonly secret: string } | undefined
}

/** Nobody but the real server may write there, or listen there. */
const groups: readonly OptionGroup[] = ['database', 'redirect', 'logging', 'metrics', 'admin']

const names: readonly string[] = [
  'listening-ip',
  'listening-device',
  'listening-port',
  'alt-listening-port',
  'tls-listening-port',
  'alt-tls-listening-port',
  'tcp-proxy-port',
  'aux-server',
  'udp-self-balance',
  'relay-ip',
  'relay-device',
  'external-ip',
  'daemon',
  'pidfile',
  'proc-user',
  'proc-group',
]

/** All lines that are not named here stay as they are, to the byte. */
function isReplaced(line: Line): boolean {
  const spec = line.kind === 'setting' ? findOption(line.name) : undefined
  return spec !== undefined && (names.includes(spec.name) || groups.includes(spec.group))
}

/** The text of the copy. Rules about peers, users, limits and the protocol are the file's own. */
export function privateCopy(conf: Conf, by: StandIns): string {
  const kept = conf.file.lines.filter((line) => !isReplaced(line)).map(({ raw }) => raw)
  const added = [...addressLines(conf, by), ...processLines(conf, by)].map((each) => `${settingLine(each) ?? ''}\n`)
  const gap = kept.length === 0 || kept.at(-1)?.endsWith('\n') ? '' : '\n'
  return kept.join('') + gap + added.join('')
}

const setting = (name: string, value?: string | number): NewSetting =>
  value === undefined ? { name } : { name, value: String(value) }

function addressLines(conf: Conf, { ports, listening, relay }: StandIns): NewSetting[] {
  const mappings = conf.all('external-ip').map(({ value }) => value.split('/'))
  const relayed = relayAddresses(conf)
  const own = relay.filter(
    (ip) => relayed.length === 0 || relayed.some((each) => familyOf(each) === familyOf(ip)) || familyOf(ip) === 4,
  )
  return [
    ...standInListeners(conf, listening).map((ip) => setting('listening-ip', ip)),
    setting('listening-port', ports.plain),
    setting('alt-listening-port', ports.alternate),
    setting('tls-listening-port', ports.tls),
    ...own.map((ip) => setting('relay-ip', ip)),
    ...own.flatMap((ip): NewSetting[] => {
      const mapping = mappings.find(([external = '']) => familyOf(external) === familyOf(ip))
      if (mapping) return [setting('external-ip', mapping.length > 1 ? `${ip}/${ip}` : ip)]
      // Where clients may reach the real relay's addresses, they may reach what stands for them.
      const real = relayed.filter((each) => familyOf(each) === familyOf(ip))
      const isOpen = real.length > 0 && real.every((each) => permits(conf, each))
      return isOpen && !permits(conf, ip) ? [setting('allowed-peer-ip', ip)] : []
    }),
  ]
}

/** That the file names; none: all of the machine. */
const relayAddresses = (conf: Conf): IpAddress[] =>
  addressesOf(conf, conf.has('relay-ip') ? 'relay-ip' : 'listening-ip')

/** As many of each family as the file has: NAT behaviour tests need two. */
function standInListeners(conf: Conf, listening: readonly IpAddress[]): IpAddress[] {
  const named = addressesOf(conf, 'listening-ip')
  const count = (family: number): number => named.filter((ip) => familyOf(ip) === family).length
  const of = (family: number, most: number): IpAddress[] =>
    listening.filter((ip) => familyOf(ip) === family).slice(0, most)
  return [...of(4, Math.max(1, count(4))), ...of(6, count(6))]
}

function processLines(conf: Conf, { pidfile, database, guest }: StandIns): NewSetting[] {
  return [
    setting('log-file', 'stdout'),
    setting('simple-log'),
    setting('pidfile', pidfile),
    setting('userdb', database),
    ...(isBefore(conf.version, '4.10.0') ? [setting('no-cli')] : []),
    ...(guest === undefined
      ? []
      : ['user' in guest ? setting('user', guest.user) : setting('static-auth-secret', guest.secret)]),
  ]
}
