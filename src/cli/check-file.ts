/** natcheck.json: the settings that all checks share (`nat`, `ice`, `turn` and the check-up). */
import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { NatcheckError } from '../core/index.ts'
import type { CliIo } from './io.ts'
import { type SettingsFile, Sources } from './sources.ts'
import { nearest } from '../core/suggest.ts'

/** Each is a flag's name in camel case; a command passes over those that are not its own. */
export const checkSettings = [
  'server',
  'iceServers',
  'username',
  'credentialEnv',
  'family',
  'policy',
  'ca',
  'timeout',
  'local',
  'port',
  'hairpin',
  'lifetime',
  'fragments',
  'ports',
  'router',
  'expect',
  'failOn',
] as const

export type CheckSetting = (typeof checkSettings)[number]

const defaultName = 'natcheck.json'

/** Where the settings of a check come from. Throws BAD_FILE. */
export const checkSources = (flags: Readonly<Record<string, unknown>>, io: Pick<CliIo, 'env' | 'cwd'>): Sources =>
  new Sources(flags, io, readCheckFile(flags['config'], io.cwd), 'NATCHECK_')

/** `named` is --config's; without it natcheck.json is read if it is there. Throws BAD_FILE. */
function readCheckFile(named: unknown, cwd: string): SettingsFile | undefined {
  const path = typeof named === 'string' ? named : defaultName
  const full = typeof named === 'string' ? resolve(cwd, path) : join(cwd, path)
  let text: string
  try {
    text = readFileSync(full, 'utf8')
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
    if (checkSettings.some((name) => name === key)) continue
    const meant = nearest(key, checkSettings)
    const fix = meant ? `did you mean "${meant}"?` : `it takes ${checkSettings.join(', ')}`
    throw new NatcheckError('BAD_FILE', `the settings file ${path} has an unknown setting "${key}"`, { fix })
  }
  return { path, directory: dirname(full), values }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}
