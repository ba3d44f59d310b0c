/** The settings of `natcheck turn`. Everything is checked here, before anything is sent. */
import type { AddressFamily } from '../../core/index.ts'
import type { TurnCandidate } from '../../probe/turn/index.ts'
import { formatServerUri, parseServerUri, type ServerUri, uriProtocol } from '../../wire/uri.ts'
import { checkSources } from '../check-file.ts'
import { parseDuration } from '../duration.ts'
import { type Credential, readCredential, readListed, type ReadStdin } from '../ice/servers.ts'
import { readCa } from '../ice/settings.ts'
import { type CliIo, usage } from '../io.ts'
import type { Sources } from '../sources.ts'
import * as values from '../values.ts'

export interface TurnSettings {
  readonly uri: string
  readonly candidates: readonly TurnCandidate[]
  readonly families: readonly AddressFamily[]
  readonly timeoutMs: number
  readonly rateMbit: number | undefined
  readonly holdMs: number | undefined
  /** PEM. */
  readonly ca: string | undefined
}

/** A run takes one to three seconds; this bounds only the slowest. */
const defaultTimeoutMs = 10_000
const longestTimeoutMs = 600_000
/** What one process sends with ease; whoever needs more measures with other tools. */
const highestRate = 100
/** Long enough for every renewal that there is; a day's test belongs to monitoring. */
const holdSeconds = { min: 10, max: 7200 } as const

/** `flags` holds only what was given. Rejects with USAGE, BAD_URI or BAD_FILE. */
export async function readTurnSettings(
  text: string,
  flags: Readonly<Record<string, unknown>>,
  io: Pick<CliIo, 'env' | 'cwd' | 'readStdin'>,
): Promise<TurnSettings> {
  const uri = readTurnUri(text)
  const from = checkSources(flags, io)
  const families = from.get('family', values.readFamilies) ?? [4, 6]
  const timeoutMs = from.get('timeout', (value, where) => values.readInteger(value, where, 1, longestTimeoutMs))
  const rateMbit = from.get('rate', (value, where) => values.readInteger(value, where, 1, highestRate))
  const { min, max } = holdSeconds
  const hold = from.get('hold', (value, where) => parseDuration(value, where, min, max))
  const credentials = await readCredentials(uri, from, () => io.readStdin())
  return {
    uri: formatServerUri(uri),
    candidates: candidatesFor(uri).map(({ uri: each, named }) => ({ server: { uri: each, ...credentials }, named })),
    families,
    timeoutMs: timeoutMs ?? defaultTimeoutMs,
    rateMbit,
    holdMs: hold === undefined ? undefined : hold * 1000,
    ca: readCa(from.path('ca')),
  }
}

function readTurnUri(text: string): ServerUri {
  const uri = parseServerUri(text)
  const hasScheme = /^stuns?:/i.test(text.trim())
  if (uri.scheme === 'stun' || uri.scheme === 'stuns') {
    const meant = { ...uri, scheme: uri.scheme === 'stun' ? 'turn' : 'turns' } as const
    const what = hasScheme ? 'is a STUN server' : 'names no scheme'
    throw usage(`${text.trim()} ${what}, and natcheck turn looks into TURN servers`, `write ${formatServerUri(meant)}`)
  }
  if (uriProtocol(uri) === 'dtls') {
    const meant = formatServerUri({ ...uri, transport: 'tcp' })
    throw usage(`${text.trim()} is TURN over DTLS, which natcheck does not speak`, `write ${meant}`)
  }
  return uri
}

/** An entry of --ice-servers for this host, else --username with its password. */
async function readCredentials(uri: ServerUri, from: Sources, readStdin: ReadStdin): Promise<Credential> {
  const listed = from.get('iceServers', (value, where) => ({ value, where }))
  if (listed === undefined || from.isFlag('username')) return await readCredential(from, [uri], readStdin)
  if (listed.value === '-' && from.get('credentialStdin', values.readBoolean)) {
    throw usage('stdin holds either the servers or the password', 'give the password with --credential-env')
  }
  const entries = await readListed(from, listed, readStdin)
  const entry = entries.find(({ uri: each, username }) => each.host === uri.host && username !== undefined)
  if (entry) return { username: entry.username, credential: entry.credential }
  if (from.find('iceServers').origin !== 'flag') return await readCredential(from, [uri], readStdin)
  throw usage(`--ice-servers has no credentials for ${uri.host}`, 'add an entry for it, or give --username')
}

/** TLS where firewalls let it through: browsers are given this port for that reason. */
const httpsPort = 443

/** What the URI names first, then what else a TURN server usually offers. UDP first: it shows the most. */
export function candidatesFor(uri: ServerUri): readonly { readonly uri: ServerUri; readonly named: boolean }[] {
  const { host, hostKind, port, transport, scheme } = uri
  if (transport !== undefined) return [{ uri, named: true }]
  const base = { host, hostKind }
  const plainPort = scheme === 'turn' && port !== undefined ? { port } : {}
  const tlsPort = scheme === 'turns' && port !== undefined ? { port } : {}
  const tls: ServerUri = { ...base, scheme: 'turns', ...tlsPort }
  const named = scheme === 'turn' ? 'udp' : 'tls'
  return [
    { uri: { ...base, scheme: 'turn', ...plainPort }, named: named === 'udp' },
    { uri: { ...base, scheme: 'turn', ...plainPort, transport: 'tcp' }, named: false },
    { uri: tls, named: named === 'tls' },
    ...(tlsPort.port === httpsPort ? [] : [{ uri: { ...tls, port: httpsPort }, named: false }]),
  ]
}
