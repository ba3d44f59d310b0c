/** The ICE servers that a command was told to use, with their credentials. */
import { readFileSync } from 'node:fs'
import { NatcheckError } from '../../core/index.ts'
import { type IceServer, readIceServers } from '../../probe/ice/index.ts'
import { formatServerUri, parseServerUri, type ServerUri, uriProtocol } from '../../wire/uri.ts'
import { usage } from '../io.ts'
import { publicServers } from '../nat/public-servers.ts'
import type { Sources } from '../sources.ts'
import * as values from '../values.ts'

/** Enough for a server-reflexive address of each family, even when one of them is down. */
const publicCount = 3

export interface ChosenServers {
  readonly servers: readonly IceServer[]
  /** `public`: nobody named any. */
  readonly from: 'configured' | 'public'
}

/** Reads stdin once, as text; called only where a setting says so. */
export type ReadStdin = () => Promise<string>

/**
 * The servers of --server and --ice-servers together, else public STUN servers. Rejects with USAGE, BAD_URI or BAD_FILE; no message holds a credential.
 */
export async function readServers(from: Sources, readStdin: ReadStdin): Promise<ChosenServers> {
  const uris = (from.get('server', values.readList) ?? []).map((text) => parseServerUri(text))
  const listed = from.get('iceServers', (value, where) => ({ value, where }))
  if (listed?.value === '-' && from.get('credentialStdin', values.readBoolean)) {
    throw usage('stdin holds either the servers or the password', 'give the password with --credential-env')
  }
  const asked = uris.filter(isTurn)
  const credential = await readCredential(from, asked, readStdin)
  const own = uris.map((uri): IceServer => ({ uri, ...(isTurn(uri) ? credential : none) }))
  const others = listed === undefined ? [] : await readListed(from, listed, readStdin)
  const servers = [...own, ...others]
  if (servers.length === 0) {
    const fallback = publicServers.slice(0, publicCount).map((text) => ({ uri: parseServerUri(text), ...none }))
    return { servers: fallback, from: 'public' }
  }
  return { servers: distinct(servers), from: 'configured' }
}

const none = { username: undefined, credential: undefined } as const

const isTurn = ({ scheme }: ServerUri): boolean => scheme === 'turn' || scheme === 'turns'

export interface Credential {
  readonly username: string | undefined
  readonly credential: string | undefined
}

/** RFC 8656 §5: nearly every server demands them, so that forgetting them is said before anything is sent. */
export async function readCredential(
  from: Sources,
  asked: readonly ServerUri[],
  readStdin: ReadStdin,
): Promise<Credential> {
  const username = from.get('username', (value) => String(value))
  const variable = from.get('credentialEnv', (value) => String(value))
  const fromStdin = from.get('credentialStdin', values.readBoolean) ?? false
  const [first] = asked
  if (!first) {
    if (from.isFlag('username')) throw usage('--username is for TURN, and no --server is one', 'write turn:HOST')
    return none
  }
  if (variable !== undefined && fromStdin) {
    throw usage('--credential-env and --credential-stdin exclude each other', 'give one')
  }
  if (username === undefined || (variable === undefined && !fromStdin)) {
    throw usage(
      `${formatServerUri(first)} needs credentials`,
      'give --username with --credential-env or --credential-stdin, or --ice-servers',
    )
  }
  if (variable === undefined) return { username, credential: firstLine(await readStdin()) }
  const credential = from.env(variable)
  if (credential === undefined) throw usage(`the environment variable ${variable} is not set`, 'set it to the password')
  return { username, credential }
}

function firstLine(text: string): string {
  const line = text.split(/\r?\n/)[0] ?? ''
  if (line === '') throw usage('stdin holds no password', 'write it there: printf %s "$PASSWORD" | natcheck …')
  return line
}

/** Inline in the settings file, or a file's name. */
export async function readListed(
  from: Sources,
  { value, where }: { readonly value: unknown; readonly where: string },
  readStdin: ReadStdin,
): Promise<readonly IceServer[]> {
  if (typeof value !== 'string') return readIceServers(value)
  const path = value === '-' ? 'stdin' : value
  const text = value === '-' ? await readStdin() : readFile(from.path('iceServers') ?? value, value, where)
  const parsed = await parse(text, path)
  try {
    return readIceServers(parsed)
  } catch (error) {
    if (!(error instanceof NatcheckError)) throw error
    throw new NatcheckError(error.code, `${path}: ${error.message}`, { fix: error.fix })
  }
}

function readFile(full: string, path: string, where: string): string {
  try {
    return readFileSync(full, 'utf8')
  } catch (cause) {
    const word = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
    throw new NatcheckError('BAD_FILE', `${path} can't be read${word}`, { cause, fix: `check ${where}` })
  }
}

/** JSON, or the literal that stands in a script. */
async function parse(text: string, path: string): Promise<unknown> {
  try {
    return JSON.parse(text) as unknown
  } catch {
    const { default: JSON5 } = await import('json5')
    try {
      return JSON5.parse(literalIn(text))
    } catch (error) {
      throw new NatcheckError('BAD_FILE', `${path} is not JSON${placeOf(error)}`, {
        fix: 'paste iceServers with its values, not names of them: [{"urls": "turn:…", "username": "…", "credential": "…"}]',
      })
    }
  }
}

/** What is assigned, passed or exported, without what stands around it; blanks keep every place in the text. */
function literalIn(text: string): string {
  const [lead = ''] = /^\s*[^[{\s][^]*?(?:[=:(]|\bdefault\b)\s*(?=[[{])/.exec(text) ?? []
  const end = Math.max(text.lastIndexOf(']'), text.lastIndexOf('}')) + 1
  const literal = text.slice(lead.length, Math.max(end, lead.length))
  return lead.replace(/\S/g, ' ') + literal.replace(/`([^`$"\\\n]*)`/g, '"$1"')
}

/** The message of the parser may quote the text, and so a password. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error && 'lineNumber' in error && 'columnNumber' in error)) return ''
  return ` (line ${String(error.lineNumber)}, column ${String(error.columnNumber)})`
}

function distinct(servers: readonly IceServer[]): readonly IceServer[] {
  const key = ({ uri, username }: IceServer): string =>
    `${formatServerUri({ ...uri, transport: uriProtocol(uri) === 'udp' ? 'udp' : 'tcp' })} ${username ?? ''}`
  return servers.filter((server, at) => servers.findIndex((other) => key(other) === key(server)) === at)
}
