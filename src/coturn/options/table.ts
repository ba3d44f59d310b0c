/** Every option of turnserver, in one table. */
import { accessOptions } from './access.ts'
import { networkOptions } from './network.ts'
import { serviceOptions } from './service.ts'
import type { OptionSpec } from './spec.ts'

export const optionTable: readonly OptionSpec[] = [...networkOptions, ...accessOptions, ...serviceOptions]

const byName: ReadonlyMap<string, OptionSpec> = new Map(
  optionTable.flatMap((spec) => [spec.name, ...spec.aliases].map((name) => [name, spec] as const)),
)
const byShort: ReadonlyMap<string, OptionSpec> = new Map(
  optionTable.flatMap((spec) => (spec.short === undefined ? [] : [[spec.short, spec] as const])),
)

/** By its long name or an alias, whichever release knows it. Case counts: `verbose` and `Verbose` are two. */
export const findOption = (name: string): OptionSpec | undefined => byName.get(name)
/** By its letter on the command line. */
export const findShort = (letter: string): OptionSpec | undefined => byShort.get(letter)
/** All long names, aliases too. */
export const optionNames: readonly string[] = [...byName.keys()]
