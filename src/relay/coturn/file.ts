/** A turnserver that runs a configuration file of its operator's: watched and ended with us, and told nothing of its own. */
import { after, type TransportAddress, type TransportProtocol } from '../../core/index.ts'
import { drainSince, isSince } from '../../coturn/version.ts'
import type { RelayCallbacks, RelayPorts } from '../relay.ts'
import { CoturnLog } from './log.ts'
import { findInstallation } from './installation.ts'
import { untilServing } from './ready.ts'
import { Supervisor } from './supervisor.ts'

export interface CoturnFileOptions {
  /** Full path; it is read by turnserver alone. */
  readonly path: string
  /** The file says nothing of its log: then it goes to stdout, and so to us. */
  readonly logsToUs: boolean
  /** Where it will answer. */
  readonly listeners: readonly { readonly protocol: TransportProtocol; readonly address: TransportAddress }[]
  /** Ends it, also while it starts. */
  readonly signal?: AbortSignal | undefined
}

export interface CoturnFile {
  /** Of the program. */
  readonly version: string
  readonly pid: number | undefined
  /** Whether it can refuse new allocations and end with the last one. */
  readonly canDrain: boolean
  /** Allocations now, as far as its log tells. */
  readonly allocations: number
  /** Reads the certificates again. */
  reload(): void
  /** No new allocations where it can refuse them; ends with the last, or after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>
  /** Safe to call twice. */
  close(): Promise<void>
}

/** Rejects with UNSUPPORTED where coturn is not installed or ends at once, and with TIMEOUT where it does not answer. */
export async function startCoturnFile(
  ports: RelayPorts,
  options: CoturnFileOptions,
  callbacks: Pick<RelayCallbacks, 'onEvent'>,
): Promise<CoturnFile> {
  const { processes, turnserver, version } = await findInstallation(ports)
  const args = ['-c', options.path, ...(options.logsToUs ? ['--log-file=stdout'] : [])]
  const log = new CoturnLog()
  const supervisor = new Supervisor({
    clock: ports.clock,
    name: 'turnserver',
    fix: 'mend what it complains about: natcheck coturn lint',
    start: (onLine, onEnd) => processes.start({ path: turnserver, args }, { onLine, onEnd }),
    answers: (signal) => untilServing(ports, options.listeners, signal),
    onLine: (line) => {
      const read = log.read(line)
      if (read) callbacks.onEvent?.({ kind: 'log', ...read })
    },
    onLost: () => log.end('failed'),
    onWarning: (message) => callbacks.onEvent?.({ kind: 'warning', message }),
  })
  options.signal?.addEventListener('abort', () => void supervisor.stop(), { once: true })
  await supervisor.start()
  const canDrain = isSince(version, drainSince)
  return {
    version,
    canDrain,
    get pid() {
      return supervisor.pid
    },
    get allocations() {
      return log.allocations
    },
    reload: () => supervisor.signal('SIGUSR2'),
    async drain(timeoutMs) {
      supervisor.letEnd()
      if (canDrain) {
        supervisor.signal('SIGUSR1')
        const timeout = new Promise<void>((resolve) => {
          ports.clock.schedule(after(ports.clock.now(), timeoutMs), resolve)
        })
        await Promise.race([supervisor.ended, timeout])
      }
      await supervisor.stop()
    },
    close: () => supervisor.stop(),
  }
}
