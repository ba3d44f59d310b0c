/** The check-ups of this host, the newest hundred: files in a directory, or in memory until the end. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NatcheckError } from '../core/index.ts'
import type { CheckedHost } from './options.ts'

const mostChecks = 100
/** Times in order are names in order. */
const namePattern = /^\d{13}-[0-9a-f]{8}$/

export interface HistoryEntry {
  readonly id: string
  /** Milliseconds since the Unix epoch. */
  readonly at: number
  readonly kind: string
  readonly summary: string
}

export class History {
  readonly #directory: string | undefined
  readonly #onLog: (message: string) => void
  readonly #kept = new Map<string, CheckedHost>()

  /** Throws BAD_FILE when the directory can't be made or read. Files that are none of ours are passed over. */
  constructor(directory: string | undefined, onLog: (message: string) => void) {
    this.#directory = directory
    this.#onLog = onLog
    if (directory !== undefined) this.#load(directory)
  }

  /** Newest first. */
  list(): readonly HistoryEntry[] {
    return [...this.#kept]
      .map(([id, { report }]) => ({ id, at: Number(id.slice(0, 13)), ...verdictOf(report) }))
      .toReversed()
  }

  get(id: string): CheckedHost | undefined {
    return this.#kept.get(id)
  }

  add(at: number, random: Uint8Array, checked: CheckedHost): void {
    const id = `${String(at).padStart(13, '0')}-${Buffer.from(random).toString('hex')}`
    this.#kept.set(id, checked)
    this.#write(id, checked)
    for (const old of [...this.#kept.keys()].slice(0, -mostChecks)) this.remove(old)
  }

  /** false: there is none of this name. */
  remove(id: string): boolean {
    const had = this.#kept.delete(id)
    if (had && this.#directory !== undefined) rmSync(join(this.#directory, `${id}.json`), { force: true })
    return had
  }

  #load(directory: string): void {
    let names: readonly string[]
    try {
      // Reports tell addresses: they are their owner's.
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      names = readdirSync(directory)
    } catch (cause) {
      throw new NatcheckError('BAD_FILE', `${directory} can't be used`, { cause, fix: 'check --data' })
    }
    const ids = names.flatMap((name) => (name.endsWith('.json') ? name.slice(0, -'.json'.length) : []))
    for (const id of ids
      .filter((name) => namePattern.test(name))
      .toSorted()
      .slice(-mostChecks)) {
      const checked = this.#read(join(directory, `${id}.json`))
      if (checked) this.#kept.set(id, checked)
    }
  }

  #read(path: string): CheckedHost | undefined {
    try {
      const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
      if (isChecked(value)) return value
    } catch {
      // Said below.
    }
    this.#onLog(`${path} is no saved check-up: it is passed over`)
    return undefined
  }

  #write(id: string, checked: CheckedHost): void {
    if (this.#directory === undefined) return
    const path = join(this.#directory, `${id}.json`)
    try {
      // A crash in between leaves no half of a report.
      writeFileSync(`${path}.tmp`, JSON.stringify(checked), { mode: 0o600 })
      renameSync(`${path}.tmp`, path)
    } catch (error) {
      this.#onLog(`the check-up can't be kept: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

const isChecked = (value: unknown): value is CheckedHost =>
  isObject(value) && isObject(value['report']) && isObject(value['redacted']) && isObject(value['report']['verdict'])

function verdictOf(report: object): Pick<HistoryEntry, 'kind' | 'summary'> {
  const { verdict } = report as { readonly verdict?: { readonly kind?: unknown; readonly summary?: unknown } }
  const word = (value: unknown): string => (typeof value === 'string' ? value : '')
  return { kind: word(verdict?.kind), summary: word(verdict?.summary) }
}
