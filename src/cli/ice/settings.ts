/** The settings of `natcheck ice`. Everything is checked here, before anything is sent. */
import { readFileSync } from 'node:fs'
import { type AddressFamily, NatcheckError } from '../../core/index.ts'
import type { IceServer } from '../../probe/ice/index.ts'
import { iceExpectations } from '../../report/index.ts'
import { checkSources } from '../check-file.ts'
import type { CliIo } from '../io.ts'
import type { Sources } from '../sources.ts'
import * as values from '../values.ts'
import { readServers } from './servers.ts'

export interface IceSettings {
  readonly servers: readonly IceServer[]
  /** `public`: nobody named any. */
  readonly serversFrom: 'configured' | 'public'
  readonly policy: 'all' | 'relay'
  readonly families: readonly AddressFamily[]
  readonly timeoutMs: number
  readonly prove: boolean
  /** PEM. */
  readonly ca: string | undefined
  readonly expect: readonly string[]
}

/** A run ends when nothing is open any more; this bounds only the slowest. */
const defaultTimeoutMs = 10_000
const longestTimeoutMs = 600_000

/** `flags` holds only what was given. Rejects with USAGE, BAD_URI or BAD_FILE. */
export async function readIceSettings(
  flags: Readonly<Record<string, unknown>>,
  io: Pick<CliIo, 'env' | 'cwd' | 'readStdin'>,
): Promise<IceSettings> {
  return await iceSettingsFrom(checkSources(flags, io), () => io.readStdin())
}

/** Rejects as readIceSettings does. */
export async function iceSettingsFrom(from: Sources, readStdin: CliIo['readStdin']): Promise<IceSettings> {
  const policy = from.get('policy', (value, where) => values.readWord(value, where, ['all', 'relay'] as const)) ?? 'all'
  const families = from.get('family', values.readFamilies) ?? [4, 6]
  const timeoutMs = from.get('timeout', (value, where) => values.readInteger(value, where, 1, longestTimeoutMs))
  const words = Object.keys(iceExpectations)
  const expect = from.list('expect', (item, where) => values.readWord(item, where, words)) ?? []
  const ca = readCa(from.path('ca'))
  const { servers, from: serversFrom } = await readServers(from, readStdin)
  return {
    servers,
    serversFrom,
    policy,
    families,
    timeoutMs: timeoutMs ?? defaultTimeoutMs,
    prove: from.get('prove', values.readBoolean) ?? true,
    ca,
    expect,
  }
}

/** PEM; undefined where none was named. Throws BAD_FILE. */
export function readCa(path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  try {
    const pem = readFileSync(path, 'utf8')
    if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
  } catch (cause) {
    throw new NatcheckError('BAD_FILE', `${path} can't be read`, { cause, fix: 'check --ca' })
  }
  throw new NatcheckError('BAD_FILE', `${path} holds no certificate`, {
    fix: 'give a PEM file: -----BEGIN CERTIFICATE-----',
  })
}
