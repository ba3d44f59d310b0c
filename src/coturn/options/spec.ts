/** What the table says of an option. */
import { type CoturnVersion, isBefore, isSince } from '../version.ts'

/**
 * How coturn reads the value.
 * `flag`: on without a value; 0, n…, f… and off turn it off, words that are no boolean end coturn.
 * `switch`: on, whatever the value says.
 * `range`: `IP` or `IP-IP`, no CIDR. `mapping`: `PUBLIC` or `PUBLIC/PRIVATE`.
 */
export type OptionType =
  | 'flag'
  | 'switch'
  | 'number'
  | 'port'
  | 'ip'
  | 'ip-port'
  | 'range'
  | 'mapping'
  | 'device'
  | 'file'
  | 'text'
  | 'word'
  | 'character'
  | 'connection'
  | 'user'
  | 'url'

export type OptionGroup =
  | 'listeners'
  | 'relay'
  | 'auth'
  | 'database'
  | 'tls'
  | 'limits'
  | 'peers'
  | 'protocol'
  | 'abuse'
  | 'redirect'
  | 'logging'
  | 'metrics'
  | 'admin'
  | 'process'

export interface OptionSpec {
  /** The long name that a file uses. */
  readonly name: string
  readonly group: OptionGroup
  readonly type: OptionType
  /** Other long names of the same option. */
  readonly aliases: readonly string[]
  /** The letter on the command line. */
  readonly short?: string
  /** Each occurrence counts; of other options the last one wins. */
  readonly list?: boolean
  /** A number that has a default when the value is left out. */
  readonly optional?: boolean
  /** What coturn does without it; absent: nothing. */
  readonly default?: string
  /** What a `word` may be. */
  readonly words?: readonly string[]
  /** The value is for nobody's eyes. */
  readonly secret?: boolean
  /** The first release that knows it; absent: all do. */
  readonly since?: CoturnVersion
  /** The first release that does not know it any more. */
  readonly removed?: CoturnVersion
  /** Known still, but without effect or on its way out. */
  readonly obsolete?: Obsolete
  /** Not in every build: `prometheus` is not in Debian's. */
  readonly build?: 'prometheus' | 'mongo' | 'linux'
  readonly doc: string
}

export interface Obsolete {
  readonly since: CoturnVersion
  /** `inert`: the line does nothing. `deprecated`: it works and will go. */
  readonly how: 'inert' | 'deprecated'
  readonly instead: string
}

type Rest = Partial<Omit<OptionSpec, 'name' | 'group' | 'type' | 'doc'>>

/** One row of the table. */
export type Row = (name: string, type: OptionType, doc: string, rest?: Rest) => OptionSpec

export const rowsOf =
  (group: OptionGroup): Row =>
  (name, type, doc, rest = {}) => ({ name, group, type, aliases: [], doc, ...rest })

export const isKnownIn = ({ since, removed }: OptionSpec, version: CoturnVersion): boolean =>
  (since === undefined || isSince(version, since)) && (removed === undefined || isBefore(version, removed))

export const isFlag = ({ type }: OptionSpec): boolean => type === 'flag' || type === 'switch'
