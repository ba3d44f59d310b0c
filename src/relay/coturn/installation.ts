/** The turnserver of this machine. */
import { NatcheckError, type Processes } from '../../core/index.ts'
import { type CoturnVersion, findVersion } from '../../coturn/version.ts'
import type { RelayPorts } from '../relay.ts'
import { runProgram } from './program.ts'

export interface Installation {
  readonly processes: Processes
  readonly turnserver: string
  readonly version: CoturnVersion
  /** Undefined: nothing but the certificate can change while it runs. */
  readonly sqlite: string | undefined
}

/** Rejects with UNSUPPORTED where there is none, or what is there is no coturn. */
export async function findInstallation({ processes, clock }: RelayPorts): Promise<Installation> {
  const turnserver = processes?.find('turnserver')
  if (!processes || turnserver === undefined) {
    throw new NatcheckError('UNSUPPORTED', 'turnserver is not installed', { fix: 'apt-get install coturn' })
  }
  const { lines, why } = await runProgram(processes, { path: turnserver, args: ['--version'] }, clock)
  const version = lines.map(findVersion).find((each) => each !== undefined)
  if (version !== undefined) return { processes, turnserver, version, sqlite: processes.find('sqlite3') }
  throw new NatcheckError('UNSUPPORTED', `${turnserver} --version tells no version (${why})`, {
    fix: 'check that it is coturn: apt-get install coturn',
  })
}
