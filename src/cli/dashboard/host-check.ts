/** The check-up of this host for the dashboard: the NAT and the candidates, side by side. */
import type { HostCheck } from '../../dashboard/index.ts'
import type { IceServer } from '../../probe/ice/index.ts'
import { buildCheckup } from '../../report/checkup.ts'
import { buildIceReport } from '../../report/index.ts'
import { formatServerUri, type ServerUri } from '../../wire/uri.ts'
import type { CliIo } from '../io.ts'
import { machine as iceMachine } from '../ice/world.ts'
import { concludeNat } from '../nat/conclude.ts'
import { measureNat } from '../nat/measure.ts'
import { readSettings } from '../nat/settings.ts'
import { machine as natMachine } from '../nat/world.ts'

/** Bounds the slowest run; others end as soon as nothing is open. */
const timeoutMs = 10_000

/**
 * `servers` are asked for candidates, and `stun` for the NAT; without any the public ones are, as the command does.
 */
export function hostCheck(io: CliIo, stun: readonly ServerUri[], servers: () => readonly IceServer[]): HostCheck {
  const serversFrom = stun.length === 0 ? 'public' : 'configured'
  const flags = stun.length === 0 ? {} : { server: stun.map((uri) => formatServerUri(uri)) }
  return {
    async run(onProgress, signal) {
      const nat = natMachine()
      const { clock, gather } = iceMachine()
      const abort = new AbortController()
      const stop = (): void => abort.abort()
      signal.addEventListener('abort', stop)
      const startedAt = new Date(clock.wallTime()).toISOString()
      try {
        const [measured, observations] = await Promise.all([
          measureNat(nat, readSettings(flags, io), abort, onProgress),
          gather({ servers: servers(), policy: 'all', families: [4, 6], timeoutMs, onProgress, signal: abort.signal }),
        ])
        const record = { startedAt, ...measured, interrupted: signal.aborted, redacted: false }
        const ice = buildIceReport({ startedAt, observations })
        return buildCheckup(concludeNat(record, [], undefined), ice, { serversFrom, expect: [], failOn: [] })
      } finally {
        signal.removeEventListener('abort', stop)
      }
    },
  }
}
