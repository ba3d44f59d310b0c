/** Which coturn it is about. */
import { NatcheckError } from '../../core/index.ts'
import { type CoturnVersion, newestKnown, oldestKnown, parseVersion } from '../../coturn/version.ts'
import { usage } from '../io.ts'
import { textOf } from './files.ts'
import type { CoturnWorld } from './world.ts'

export interface Target {
  readonly version: CoturnVersion
  /** Known of the build that is installed, when that is the one. */
  readonly lacks: readonly ('prometheus' | 'mongo')[]
}

/** `auto` and nothing ask the installed one. Throws USAGE. */
export async function targetOf(flag: unknown, name: string, world: CoturnWorld): Promise<Target> {
  const given = textOf(flag) ?? 'auto'
  if (given !== 'auto') return { version: readVersion(given, name), lacks: [] }
  const installed = await world.installed()
  if (!installed)
    throw usage('no turnserver is installed that could say its version', `give ${name}, such as ${name} 4.6.1`)
  return { version: readVersion(installed.version, 'the installed coturn'), lacks: installed.lacks }
}

/** The one that will run. Throws UNSUPPORTED where none is installed. */
export async function installedTarget(world: CoturnWorld): Promise<Target> {
  const installed = await world.installed()
  if (installed) return { version: readVersion(installed.version, 'the installed coturn'), lacks: installed.lacks }
  throw new NatcheckError('UNSUPPORTED', 'turnserver is not installed', { fix: 'apt-get install coturn' })
}

/** Throws USAGE. */
export function readVersion(text: string, where: string): CoturnVersion {
  const version = parseVersion(text)
  if (version !== undefined) return version
  throw usage(
    `${where} is "${text.slice(0, 40)}", a version that is not known`,
    `write one from ${oldestKnown} to ${newestKnown}, such as 4.6.1`,
  )
}
