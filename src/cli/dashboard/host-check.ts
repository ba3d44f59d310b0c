/** The check-up of this host for the dashboard: what bare `natcheck` does, told to pages instead of a terminal. */
import type { HostCheck, PageIceServer } from '../../dashboard/index.ts'
import { readIceServers } from '../../probe/ice/index.ts'
import { Redactor } from '../../report/index.ts'
import { concludeCheckup } from '../checkup/conclude.ts'
import { measure } from '../checkup/measure.ts'
import { type CheckupSettings, readCheckupSettings } from '../checkup/settings.ts'
import { machine } from '../checkup/world.ts'
import type { CliIo } from '../io.ts'
import { publicServers } from '../nat/public-servers.ts'
import { Sources } from '../sources.ts'

/** `named` are the servers of --server, and without any the public ones are asked; `own` is the embedded relay. */
export function hostCheck(
  io: CliIo,
  named: () => readonly PageIceServer[],
  own: () => readonly PageIceServer[],
): HostCheck {
  // The terminal is the operator's, not the page's.
  const quiet: CliIo = { ...io, stderrIsTty: false }
  return {
    async run(onProgress, signal) {
      const ownServers = own()
      const settings = await settingsOf(quiet, named(), ownServers)
      const all = await measure(settings, machine(), quiet, signal, onProgress)
      // The embedded relay is open to this machine's own addresses on purpose, and would be told off for it.
      const isOwn = (uri: string): boolean => ownServers.some(({ urls }) => urls.includes(uri))
      const measured = { ...all, turn: all.turn.filter(({ uri }) => !isOwn(uri)) }
      const redactor = new Redactor(publicServers.map((uri) => uri.split(':')[1] ?? ''))
      for (const { uri } of settings.ice.servers) redactor.hide(uri.host)
      return {
        report: concludeCheckup(measured, settings, undefined),
        redacted: concludeCheckup(measured, settings, redactor),
      }
    },
  }
}

async function settingsOf(
  io: CliIo,
  named: readonly PageIceServer[],
  own: readonly PageIceServer[],
): Promise<CheckupSettings> {
  const flags = named.length === 0 ? {} : { iceServers: named }
  const settings = await readCheckupSettings(new Sources(flags, { env: {}, cwd: io.cwd }, undefined, 'NATCHECK_'), () =>
    Promise.resolve(''),
  )
  const servers = [...settings.ice.servers, ...(own.length === 0 ? [] : readIceServers(own))]
  return { ...settings, ice: { ...settings.ice, servers } }
}
