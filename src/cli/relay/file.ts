/** The settings file of `natcheck relay`: YAML, checked against its schema. Every mistake is one line with a line number. */
import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Check, Errors } from 'typebox/value'
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import { NatcheckError } from '../../core/index.ts'
import { nearest } from '../../core/suggest.ts'
import type { SettingsFile } from '../sources.ts'
import { relayFileSchema } from './schema.ts'

const defaultName = 'natcheck.yaml'

/** `named` is --config's; without it natcheck.yaml is read if it is there. Throws BAD_FILE. */
export function readSettingsFile(named: string | undefined, cwd: string): SettingsFile | undefined {
  const path = named ?? defaultName
  const full = named === undefined ? join(cwd, path) : resolve(cwd, path)
  let text: string
  try {
    text = readFileSync(full, 'utf8')
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    if (named === undefined && isMissing) return undefined
    throw bad(`the settings file ${path} can't be read`, 'check --config', cause)
  }
  return { path, directory: dirname(full), values: parseSettings(text, path) }
}

/** The file's settings by their names in camel case; `user-quota` is taken for `userQuota`. */
export function parseSettings(text: string, path: string): Record<string, unknown> {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: false })
  const at = (offset: number | undefined): string => (offset === undefined ? '' : `:${lines.linePos(offset).line}`)
  const [error] = document.errors
  if (error) throw bad(`${path}${at(error.pos[0])} is not YAML: ${error.message}`, 'mend that line')
  const root = document.contents
  if (root === null) return {}
  if (!isMap(root)) throw bad(`${path} is no list of settings`, 'write one a line, such as realm: example.org')
  const values: Record<string, unknown> = {}
  const known = keysOf(relayFileSchema)
  const positions = new Map<string, number | undefined>()
  for (const { key } of root.items) {
    const written = isScalar(key) ? String(key.value) : ''
    const position = isScalar(key) ? key.range?.[0] : undefined
    const name = known.includes(written) ? written : camelCase(written)
    if (!known.includes(name)) throw unknownKey(`${path}${at(position)}`, written, known)
    if (positions.has(name)) throw bad(`${path}${at(position)} sets "${name}" again`, 'leave one of them')
    positions.set(name, position)
    values[name] = plain(document.toJS(), written)
  }
  if (!Check(relayFileSchema, values)) throw schemaError(values, path, (name) => at(positions.get(name)))
  return values
}

const plain = (settings: unknown, name: string): unknown =>
  typeof settings === 'object' && settings !== null && Object.hasOwn(settings, name)
    ? (settings as Record<string, unknown>)[name]
    : undefined

const keysOf = (schema: object): string[] =>
  'properties' in schema && typeof schema.properties === 'object' && schema.properties !== null
    ? Object.keys(schema.properties)
    : []

const camelCase = (name: string): string => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

function unknownKey(where: string, written: string, known: readonly string[]): NatcheckError {
  const meant = nearest(camelCase(written), known)
  return bad(
    `${where} has an unknown setting "${written}"`,
    meant ? `did you mean "${meant}"?` : `it takes ${known.join(', ')}`,
  )
}

/** What typebox found, as a person would say it: the deepest complaint about the first wrong setting. */
function schemaError(values: unknown, path: string, at: (name: string) => string): NatcheckError {
  const complaints = Errors(relayFileSchema, values)
  const first = complaints.find(({ keyword }) => keyword === 'additionalProperties') ?? complaints[0]
  const place = (first?.instancePath ?? '').split('/').slice(1)
  const name = place[0] ?? ''
  const where = `${path}${at(name)}`
  const setting = place.join('.')
  if (first?.keyword === 'additionalProperties') {
    const [extra = ''] = first.params.additionalProperties
    const inside = relayFileSchema as { properties?: Record<string, object> }
    return unknownKey(
      where,
      [...place, extra].join('.'),
      keysOf(inside.properties?.[name] ?? {}).map((key) => `${name}.${key}`),
    )
  }
  const shown = JSON.stringify(plain(values, name)) ?? ''
  // A password is not for the terminal.
  const value = name === 'user' || shown.length > 60 ? 'not what it takes' : shown
  return bad(`${where}: "${setting}" is ${value}`, fixOf(name))
}

/** What each kind of setting takes. */
function fixOf(name: string): string {
  if (name === 'ports') return 'write MIN-MAX, such as 49152-65535'
  if (['userQuota', 'totalQuota', 'maxBps', 'threads'].includes(name)) return 'write a whole number from 1 on'
  if (['noAuth', 'stunOnly'].includes(name)) return 'write true or false'
  if (['drainTimeout', 'lifetimes'].includes(name)) return 'write durations, such as 90s, 30m or 12h'
  if (name === 'engine') return 'write native, node-turn or coturn'
  if (name === 'datapath') return 'write auto, dgram or mmsg'
  if (name === 'logLevel') return 'write debug, info, warn, error or silent'
  return 'write a text, or where several make sense a list of texts'
}

const bad = (message: string, fix: string, cause?: unknown): NatcheckError =>
  new NatcheckError('BAD_FILE', message, { fix, cause })
