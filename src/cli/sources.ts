/** Where a command's settings come from: the flag, else the environment, else the settings file, else a default. */
import { resolve } from 'node:path'
import type { CliIo } from './io.ts'
import * as values from './values.ts'

/** A settings file that was read. */
export interface SettingsFile {
  /** As it was named. */
  readonly path: string
  /** File names in it are relative to its own folder. */
  readonly directory: string
  readonly values: Readonly<Record<string, unknown>>
}

/** Turns what somebody wrote into what it means; `where` is what an error calls the place. */
type Read<T> = (value: unknown, where: string) => T

export type Origin = 'flag' | 'environment' | 'file' | 'default'

interface Found {
  readonly value: unknown
  readonly origin: Origin
  readonly where: string
}

/** `--tls-listen` for tlsListen. */
export const flagOf = (name: string): string => `--${dashed(name, '-').toLowerCase()}`

const dashed = (name: string, dash: string): string => name.replace(/[A-Z]/g, (letter) => `${dash}${letter}`)

export class Sources {
  readonly #flags: Readonly<Record<string, unknown>>
  readonly #io: Pick<CliIo, 'env' | 'cwd'>
  readonly #file: SettingsFile | undefined
  readonly #prefix: string

  /** `flags` holds only what was given; variables begin with `prefix`. */
  constructor(
    flags: Readonly<Record<string, unknown>>,
    io: Pick<CliIo, 'env' | 'cwd'>,
    file: SettingsFile | undefined,
    prefix: 'NATCHECK_' | 'NATCHECK_RELAY_' | 'NATCHECK_DASHBOARD_',
  ) {
    this.#flags = flags
    this.#io = io
    this.#file = file
    this.#prefix = prefix
  }

  /** The setting as `read` has it; undefined when nobody set it. */
  get<T>(name: string, read: Read<T>): T | undefined {
    const found = this.find(name)
    return found.origin === 'default' ? undefined : read(found.value, found.where)
  }

  list<T>(name: string, read: (item: string, where: string) => T): T[] | undefined {
    return this.get(name, (value, where) => values.readList(value, where).map((item) => read(item, where)))
  }

  /** A file's full path: relative to the settings file when that is what names it. */
  path(name: string): string | undefined {
    const base = this.find(name).origin === 'file' ? (this.#file?.directory ?? this.#io.cwd) : this.#io.cwd
    return this.get(name, (value) => resolve(base, String(value)))
  }

  /** Who set it, and as what. An empty variable is as good as none. */
  find(name: string): Found {
    if (this.#flags[name] !== undefined) return { value: this.#flags[name], origin: 'flag', where: flagOf(name) }
    const variable = this.variable(name)
    if (this.#io.env[variable]) return { value: this.#io.env[variable], origin: 'environment', where: variable }
    const value = this.#file?.values[name]
    if (value === undefined) return { value: undefined, origin: 'default', where: '' }
    return { value, origin: 'file', where: `"${name}" in ${this.#file?.path ?? ''}` }
  }

  isFlag = (name: string): boolean => this.#flags[name] !== undefined

  /** NATCHECK_RELAY_TLS_LISTEN for tlsListen. */
  variable = (name: string): string => `${this.#prefix}${dashed(name, '_').toUpperCase()}`

  /** The settings file as it was named; null: there is none. */
  get fileName(): string | null {
    return this.#file?.path ?? null
  }

  /** The environment's only, for what must not stand in a file or on a command line by accident. */
  env = (variable: string): string | undefined => this.#io.env[variable] || undefined
}
