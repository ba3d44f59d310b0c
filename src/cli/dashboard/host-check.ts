/** The check-up of this host for the dashboard: the NAT and the candidates, side by side. */
import type { HostCheck } from '../../dashboard/index.ts'
import type { IceServer } from '../../probe/ice/index.ts'
import { buildCheckup } from '../../report/checkup.ts'
import { buildIceReport } from '../../report/index.ts'
import type { CliIo } from '../io.ts'
import { machine as iceMachine } from '../ice/world.ts'
import { concludeNat } from '../nat/conclude.ts'
import { measureNat } from '../nat/measure.ts'
import { readSettings } from '../nat/settings.ts'
import { machine as natMachine } from '../nat/world.ts'

/** Bounds the slowest run; others end as soon as nothing is open. */
const timeoutMs = 10_000

/** NAT servers are those of `natcheck nat`'s own settings; `servers` are asked for candidates. */
export function hostCheck(io: CliIo, servers: () => readonly IceServer[]): HostCheck {
  return {
    async run(onProgress, signal) {
      const nat = natMachine()
      const ice = iceMachine()
      const abort = new AbortController()
      const stop = (): void => abort.abort()
      signal.addEventListener('abort', stop)
      const startedAt = new Date(nat.clock.wallTime()).toISOString()
      try {
        const [measured, observations] = await Promise.all([
          measureNat(nat, readSettings({}, io), abort, onProgress),
          ice.gather({ servers: servers(), policy: 'all', families: [4, 6], timeoutMs, onProgress, signal: abort.signal }),
        ])
        const record = { startedAt, ...measured, interrupted: signal.aborted, redacted: false }
        return buildCheckup(concludeNat(record, [], undefined), buildIceReport({ startedAt, observations }))
      } finally {
        signal.removeEventListener('abort', stop)
      }
    },
  }
}
