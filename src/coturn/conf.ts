/** What coturn makes of a file and a command line together: the view that rules ask. */
import type { CommandLine } from './command.ts'
import { findOption } from './options/table.ts'
import { isFlag, isKnownIn, type OptionSpec } from './options/spec.ts'
import type { ConfFile, SettingLine } from './parse.ts'
import type { CoturnVersion } from './version.ts'

/** An option that this version knows, where it is set. */
export interface Setting {
  readonly spec: OptionSpec
  readonly value: string
  /** The line of the file; absent: the command line. */
  readonly line?: SettingLine
  /** As it was written on the command line. */
  readonly written?: string
}

export class Conf {
  readonly version: CoturnVersion
  readonly file: ConfFile
  readonly command: CommandLine | undefined
  /** In the order in which coturn reads them: the command line last. */
  readonly settings: readonly Setting[]
  /** What is set, as far as it counts: every item of a list, the last of anything else. */
  readonly #byName = new Map<string, Setting[]>()

  constructor(file: ConfFile, version: CoturnVersion, command?: CommandLine) {
    this.version = version
    this.file = file
    this.command = command
    const lines = command?.noFile === true ? [] : file.lines
    const inFile = lines.flatMap((line): Setting[] => {
      const spec = line.kind === 'setting' ? findOption(line.name) : undefined
      return line.kind === 'setting' && spec && isKnownIn(spec, version) ? [{ spec, value: line.value, line }] : []
    })
    const onCommand = (command?.settings ?? []).flatMap(({ spec, value, written }): Setting[] =>
      spec && isKnownIn(spec, version) ? [{ spec, value, written }] : [],
    )
    this.settings = [...inFile, ...onCommand]
    for (const setting of this.settings) {
      const { name } = setting.spec
      const known = this.#byName.get(name)
      if (known) known.push(setting)
      else this.#byName.set(name, [setting])
    }
  }

  /** Every time it is set, whether it counts or not. */
  all(name: string): readonly Setting[] {
    return this.#byName.get(name) ?? []
  }

  /** The one that counts. */
  last(name: string): Setting | undefined {
    return this.all(name).at(-1)
  }

  /** The first of these that is set. */
  first(...names: readonly string[]): Setting | undefined {
    return names.map((name) => this.last(name)).find((setting) => setting !== undefined)
  }

  has(name: string): boolean {
    return this.last(name) !== undefined
  }

  /** Whether a flag is on, as coturn reads it. */
  isOn(name: string): boolean {
    const setting = this.last(name)
    return (
      setting !== undefined &&
      isFlag(setting.spec) &&
      (setting.spec.type === 'switch' || boolean(setting.value) !== false)
    )
  }

  value(name: string): string | undefined {
    return this.last(name)?.value
  }

  /** As atoi reads it: the digits it begins with, else 0; undefined when it is not set. */
  number(name: string): number | undefined {
    const value = this.value(name)
    return value === undefined ? undefined : Number(/^\s*[+-]?\d+/.exec(value)?.[0] ?? 0)
  }

  /** A port, or its default. */
  port(name: string): number {
    return this.number(name) || Number(findOption(name)?.default ?? 0)
  }

  /** The REST secret rules, and users don't count. A secret turns it on by itself. */
  get usesSecret(): boolean {
    return this.isOn('use-auth-secret') || this.has('static-auth-secret')
  }

  get relays(): boolean {
    return !this.isOn('stun-only')
  }

  /** Certificate and key are set, and TLS is not switched off. */
  get hasTls(): boolean {
    return !this.isOn('no-tls') && Boolean(this.value('cert')) && Boolean(this.value('pkey'))
  }
}

/** As coturn reads a boolean; undefined: it is none, and coturn ends. */
export function boolean(value: string): boolean | undefined {
  if (value === '') return true
  if (/^[0nNfF]/.test(value)) return false
  if (/^[yYtT1-9]/.test(value)) return true
  if (/^(?:off|OFF|Off)$/.test(value)) return false
  return /^(?:on|ON|On)$/.test(value) ? true : undefined
}
