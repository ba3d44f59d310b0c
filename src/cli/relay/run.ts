/** What `natcheck relay` does: settings in, a relay with its logs, metrics and signals out. */
import { formatAddress } from '../../core/index.ts'
import type { Relay } from '../../relay/relay.ts'
import type { ReloadableOptions } from '../../relay/options.ts'
import { type CliIo, describeError, type ExitCode, errorLine, usage } from '../io.ts'
import { announcement, relayDocument } from './announce.ts'
import { Ending } from './ending.ts'
import { type RelayLog, relayLog } from './log.ts'
import { readRelaySettings, type RelaySettings } from './settings.ts'
import { machine, type RelayWorld } from './world.ts'

type Flags = Readonly<Record<string, unknown>>

/** Resolves when the relay has ended. Throws when it can't start. */
export async function relayCommand(flags: Flags, io: CliIo, world: RelayWorld = machine()): Promise<ExitCode> {
  const settings = readRelaySettings(flags, io)
  const log = relayLog(settings.logLevel, (line) => io.err(line))
  const ending = new Ending(io)
  const relay = await world.start(settings, {
    onEvent: (event) => {
      log.event(event)
      if (event.kind === 'failed') ending.failed()
    },
  })
  // Before anybody is told that it runs: a signal without a listener would end it.
  const stopReloading = io.onSignal('SIGHUP', () => void reload(flags, settings, io, relay, log))
  try {
    const metrics = settings.metrics && (await world.serveMetrics(settings.metrics, relay))
    const url = metrics && `http://${formatAddress(metrics.local)}`
    for (const warning of settings.warnings)
      io.err(errorLine({ code: 'WARNING', message: `warning: ${warning}`, fix: null }))
    if (flags['json'] === true) await io.out(`${JSON.stringify(relayDocument(relay, settings, url), null, 2)}\n`)
    else await io.out(announcement(relay, settings, url))
    log.info('relay started', { engine: relay.engine, datapath: relay.datapath, urls: relay.urls })
    const exitCode = await ending.wait(async () => {
      log.info('draining', { allocations: (await relay.stats()).allocations, seconds: settings.drainTimeoutSeconds })
      await relay.drain(settings.drainTimeoutSeconds * 1000)
    })
    metrics?.close()
    log.info('relay stopped')
    return exitCode
  } finally {
    stopReloading()
    // Signals are heard to the end: one that killed us now would leave an engine's files behind.
    await relay.close()
    ending.stop()
  }
}

/** SIGHUP. Whatever is wrong with the new configuration leaves the old one in force. */
async function reload(flags: Flags, first: RelaySettings, io: CliIo, relay: Relay, log: RelayLog): Promise<void> {
  try {
    const { options, generated } = readRelaySettings(flags, io)
    if (generated && !first.generated) throw usage('neither users nor secrets are left', 'name some, or restart it')
    const { certificate, allowPeers = [], denyPeers = [] } = options
    // Random credentials stay those that were printed.
    const users = first.generated ? first.options.users : options.users
    await relay.reload({ users, authSecrets: options.authSecrets, allowPeers, denyPeers, certificate })
    const fixed = unchangeable(first.options, options)
    if (fixed.length > 0) log.warn(`changes of ${fixed.join(', ')} need a restart`)
    log.info('configuration reloaded', { users: users?.length ?? 0, secrets: options.authSecrets?.length ?? 0 })
  } catch (error) {
    const { message, fix } = describeError(error)
    log.error(`the new configuration is refused, the old one stays: ${message}`, fix === null ? {} : { fix })
  }
}

const reloadable: readonly (keyof ReloadableOptions)[] = [
  'users',
  'authSecrets',
  'allowPeers',
  'denyPeers',
  'certificate',
]

/** Settings that differ but can't change while running. */
function unchangeable(old: RelaySettings['options'], now: RelaySettings['options']): string[] {
  const keep = (name: string): boolean => !reloadable.some((each) => each === name)
  const text = (options: RelaySettings['options'], name: string): string =>
    JSON.stringify(Object.entries(options).find(([key]) => key === name)?.[1]) ?? ''
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .filter((name) => keep(name) && text(old, name) !== text(now, name))
    .toSorted()
}
