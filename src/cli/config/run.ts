/** `natcheck config`: every setting of the checks, its value, and where it came from. Never a secret. */
import { formatServerUri, parseServerUri } from '../../wire/uri.ts'
import type { IceServer } from '../../probe/ice/index.ts'
import type { ReportError } from '../../report/index.ts'
import { type CheckSetting, checkSettings, checkSources } from '../check-file.ts'
import { readCheckupSettings } from '../checkup/settings.ts'
import { type CliIo, describeError, type ExitCode, errorLine, exitCodeOf, exitCodes } from '../io.ts'
import type { Origin, Sources } from '../sources.ts'
import { readList } from '../values.ts'

export interface ConfigReport {
  readonly schemaVersion: 1
  readonly command: 'config'
  /** The settings file that was read; null: there is none. */
  readonly file: string | null
  readonly settings: readonly ShownSetting[]
  /** What the check-up asks; null: see `error`. */
  readonly servers: readonly ShownServer[] | null
  readonly error: ReportError | null
}

export interface ShownSetting {
  readonly name: CheckSetting
  /** In words; for what nobody set, the default. */
  readonly value: string
  readonly origin: Origin
  /** `--server`, `NATCHECK_SERVER`, `natcheck.json`; null: the default. */
  readonly where: string | null
}

export interface ShownServer {
  readonly uri: string
  readonly username: string | null
  /** Is there a password? It is not shown. */
  readonly hasCredential: boolean
}

/** The document where not even the settings file could be read. */
export const configError = (error: ReportError): ConfigReport => ({
  schemaVersion: 1,
  command: 'config',
  file: null,
  settings: [],
  servers: null,
  error,
})

/** Rejects with BAD_FILE for a settings file that can't be read; what else is wrong is in the document. */
export async function configCommand(flags: Readonly<Record<string, unknown>>, io: CliIo): Promise<ExitCode> {
  const from = checkSources(flags, io)
  const settings = checkSettings.map((name) => shownSetting(from, name))
  const { servers, error, exitCode } = await effectiveServers(from, io)
  const report = { schemaVersion: 1, command: 'config', file: from.fileName, settings, servers, error } as const
  await io.out(flags['json'] === true ? `${JSON.stringify(report, null, 2)}\n` : renderConfig(report))
  if (error) io.err(errorLine(error))
  return exitCode
}

async function effectiveServers(
  from: Sources,
  io: CliIo,
): Promise<Pick<ConfigReport, 'servers' | 'error'> & { exitCode: ExitCode }> {
  try {
    const { ice } = await readCheckupSettings(from, () => io.readStdin())
    return { servers: ice.servers.map(shownServer), error: null, exitCode: exitCodes.ok }
  } catch (thrown) {
    return { servers: null, error: describeError(thrown), exitCode: exitCodeOf(thrown) }
  }
}

const shownServer = ({ uri, username, credential }: IceServer): ShownServer => ({
  uri: formatServerUri(uri),
  username: username ?? null,
  hasCredential: credential !== undefined,
})

function shownSetting(from: Sources, name: CheckSetting): ShownSetting {
  const { value, origin, where } = from.find(name)
  if (origin === 'default') return { name, value: defaults[name], origin, where: null }
  const show = showers[name] ?? plain
  return { name, value: show(value, from), origin, where: origin === 'file' ? from.fileName : where }
}

const plain = (value: unknown): string => (Array.isArray(value) ? value.map(String).join(', ') : String(value))

/** What might hold a password, by design or by mistake. */
const showers: Partial<Record<CheckSetting, (value: unknown, from: Sources) => string>> = {
  server: (value) => {
    try {
      return readList(value, '')
        .map((text) => formatServerUri(parseServerUri(text)))
        .join(', ')
    } catch {
      return '(not readable)'
    }
  },
  iceServers: (value) => (typeof value === 'string' ? value : '(listed in the file)'),
  credentialEnv: (value, from) =>
    from.env(String(value)) === undefined ? '(a variable that is not set)' : String(value),
}

const defaults: Readonly<Record<CheckSetting, string>> = {
  server: 'public STUN servers',
  iceServers: 'none',
  username: 'none',
  credentialEnv: 'none',
  family: 'both',
  policy: 'all',
  ca: "the system's",
  timeout: '10000',
  local: 'as routed',
  port: 'random',
  hairpin: 'false',
  lifetime: 'false',
  fragments: 'false',
  ports: 'false',
  router: 'true',
  expect: 'nothing',
  failOn: 'nothing',
}

function renderConfig({ file, settings, servers }: ConfigReport): string {
  const origins = settings.map(({ where }) => where ?? 'default')
  const nameWidth = Math.max(...settings.map(({ name }) => name.length))
  const originWidth = Math.max(...origins.map((text) => text.length))
  const rows = settings.map(({ name, value }, index) =>
    `  ${name.padEnd(nameWidth)}  ${(origins[index] ?? '').padEnd(originWidth)}  ${value}`.trimEnd(),
  )
  const asked = servers?.map(
    ({ uri, username, hasCredential }) =>
      `  ${uri}${username === null ? '' : `  as ${username}`}${hasCredential ? ', password set' : ''}`,
  )
  return [
    file === null ? 'Settings (no natcheck.json here)' : `Settings (${file} was read)`,
    ...rows,
    ...(asked ? ['', 'Servers that natcheck asks', ...asked] : []),
    '',
  ].join('\n')
}
