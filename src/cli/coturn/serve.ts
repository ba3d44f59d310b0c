/** `natcheck coturn run`: turnserver with the operator's own file, linted first, watched, and ended with us. */
import { formatAddress, scopeOf } from '../../core/index.ts'
import { Conf } from '../../coturn/conf.ts'
import { listeningOf } from '../../coturn/live/listening.ts'
import { lint } from '../../coturn/lint/lint.ts'
import { countOf } from '../../coturn/lint/reporters.ts'
import { parseConf } from '../../coturn/parse.ts'
import { startCoturnFile } from '../../relay/coturn/file.ts'
import { type CliIo, errorLine, type ExitCode, usage } from '../io.ts'
import { Ending } from '../relay/ending.ts'
import { relayLog } from '../relay/log.ts'
import { logLevels } from '../relay/settings.ts'
import { parseDuration } from '../duration.ts'
import { readWord } from '../values.ts'
import { readiness } from './check/copy.ts'
import { readConf, readNamed } from './files.ts'
import { observe } from './lint.ts'
import { installedTarget } from './version.ts'
import { type CoturnWorld, machine } from './world.ts'

type Flags = Readonly<Record<string, unknown>>

const defaultDrainSeconds = 30
const longestDrainSeconds = 86_400

/** Resolves when it has ended. Throws USAGE, BAD_FILE, UNSUPPORTED where turnserver is missing or ends at once, TIMEOUT. */
export async function runCommand(
  named: string | undefined,
  flags: Flags,
  io: CliIo,
  world: CoturnWorld = machine(),
): Promise<ExitCode> {
  const conf = readNamed(named, io.cwd)
  const { file, path } = conf
  const target = await installedTarget(world)
  const level = readWord(flags['logLevel'] ?? 'info', '--log-level', logLevels)
  const drain = flags['drainTimeout']
  const drainSeconds =
    drain === undefined ? defaultDrainSeconds : parseDuration(drain, '--drain-timeout', 0, longestDrainSeconds)
  warn(
    file,
    { text: conf.text, version: target.version },
    observe({ text: conf.text, version: target.version }, conf, target, io.cwd, world),
    flags,
    io,
  )
  const settings = new Conf(parseConf(conf.text), target.version)
  if (settings.isOn('daemon'))
    throw usage(`${file} sets daemon, and what goes to the background can't be watched`, 'take that line out')
  const log = relayLog(level, (line) => io.err(line))
  const ending = new Ending(io)
  try {
    const relay = await startCoturnFile(
      world.ports(),
      {
        path,
        logsToUs: !settings.has('log-file') && !settings.isOn('syslog') && !settings.isOn('no-stdout-log'),
        listeners: readiness(settings, reachable(settings)),
      },
      { onEvent: (event) => log.event(event) },
    )
    const stopReloading = io.onSignal('SIGHUP', () => {
      relay.reload()
      log.info('certificates are read again')
      if (changed(path, conf.text)) log.warn(`${file} has changed: turnserver reads it only when it is started again`)
    })
    try {
      await io.out(`✓ turnserver ${relay.version} runs with ${file}.\n${announce(settings)}`)
      log.info('turnserver started', { pid: relay.pid })
      return await ending.wait(async () => {
        if (!relay.canDrain) log.warn(`turnserver ${relay.version} can't drain (4.6.3 and newer can): it ends now`)
        log.info('draining', { allocations: relay.allocations, seconds: relay.canDrain ? drainSeconds : 0 })
        await relay.drain(drainSeconds * 1000)
      })
    } finally {
      stopReloading()
      await relay.close()
    }
  } finally {
    ending.stop()
  }
}

/** Its errors, one line each; with --strict they are the end of it. */
function warn(
  file: string,
  input: { readonly text: string; readonly version: string },
  observed: ReturnType<typeof observe>,
  flags: Flags,
  io: CliIo,
): void {
  const findings = lint({ ...input, observed })
  const errors = countOf(findings, 'error')
  if (errors === 0) return
  for (const { severity, line, rule, message } of findings)
    if (severity === 'error') {
      const where = line === undefined ? file : `${file}:${line}`
      io.err(errorLine({ code: 'WARNING', message: `warning: ${where}: ${message} [${rule}]`, fix: null }))
    }
  if (flags['strict'] === true)
    throw usage(
      `${file} has ${errors} ${errors === 1 ? 'error' : 'errors'}, and --strict is given`,
      `npx natcheck coturn lint ${file}`,
    )
}

/** One address for each port: a wildcard is asked on loopback. */
function reachable(conf: Conf): Parameters<typeof readiness>[1] {
  return listeningOf(conf).map(({ protocol, ip, port }) => {
    const isAny = ip === undefined || scopeOf(ip) === 'unspecified'
    return { protocol, to: { ip: isAny ? (ip?.includes(':') === true ? '::1' : '127.0.0.1') : ip, port } }
  })
}

const announce = (conf: Conf): string =>
  listeningOf(conf)
    .map(
      ({ protocol, ip, port }) =>
        `    ${protocol.toUpperCase()} ${ip === undefined ? `all addresses, port ${port}` : formatAddress({ ip, port })}\n`,
    )
    .join('')

function changed(path: string, text: string): boolean {
  try {
    return readConf(path, path).text !== text
  } catch {
    return true
  }
}
