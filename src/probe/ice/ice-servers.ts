/** `iceServers` as web applications have them: W3C WebRTC §4.2.4, RTCIceServer. */
import { NatcheckError } from '../../core/index.ts'
import { parseServerUri, type ServerUri } from '../../wire/uri.ts'

/** One URL with what it takes to use it. */
export interface IceServer {
  readonly uri: ServerUri
  readonly username: string | undefined
  readonly credential: string | undefined
}

/**
 * Reads parsed JSON: the list, one entry of it, or an RTCConfiguration with an `iceServers` key. `url`, the older spelling
 * of `urls`, is read too. Throws BAD_FILE, or BAD_URI for a URL, and names the key: `iceServers[1].urls[0]`. No message
 * holds a credential.
 */
export function readIceServers(value: unknown): readonly IceServer[] {
  const inner = isObject(value) && 'iceServers' in value ? value['iceServers'] : value
  const entries: unknown = isObject(inner) ? [inner] : inner
  if (!Array.isArray(entries)) throw bad('iceServers', 'is no list', example)
  const servers = entries.flatMap((entry: unknown, index) => readEntry(entry, `iceServers[${index}]`))
  if (servers.length === 0) throw bad('iceServers', 'names no server', example)
  return servers
}

const example = 'write [{"urls": "turn:turn.example.org", "username": "…", "credential": "…"}]'

const known = ['urls', 'url', 'username', 'credential', 'credentialType']

function readEntry(entry: unknown, path: string): readonly IceServer[] {
  if (!isObject(entry)) throw bad(path, 'is no object', example)
  if ((entry['credentialType'] ?? 'password') !== 'password')
    throw bad(
      `${path}.credentialType`,
      'is not "password"',
      'OAuth tokens (RFC 7635) are not supported: use a password',
    )
  const key = 'urls' in entry ? 'urls' : 'url'
  const urls = entry[key]
  if (urls === undefined) throw missing(entry, path, 'urls', example)
  const list: readonly unknown[] = Array.isArray(urls) ? urls : [urls]
  if (list.length === 0) throw bad(`${path}.urls`, 'names no server', example)
  const username = readText(entry['username'], `${path}.username`)
  const credential = readText(entry['credential'], `${path}.credential`)
  return list.map((url, index) => {
    const uri = readUrl(url, Array.isArray(urls) ? `${path}.${key}[${index}]` : `${path}.${key}`)
    if (uri.scheme === 'stun' || uri.scheme === 'stuns') return { uri, username: undefined, credential: undefined }
    return { uri, ...needed(entry, username, credential, path) }
  })
}

/** W3C WebRTC §4.4.1.1: TURN without both is an error there too, so it is one before anything is sent. */
function needed(
  entry: Entry,
  username: string | undefined,
  credential: string | undefined,
  path: string,
): { readonly username: string; readonly credential: string } {
  if (username === undefined) throw missing(entry, path, 'username', needsBoth)
  if (credential === undefined) throw missing(entry, path, 'credential', needsBoth)
  return { username, credential }
}

const needsBoth = 'a turn: server needs username and credential'

/** Browsers pass over keys that they don't know; here one of them may be the missing one misspelt. */
function missing(entry: Entry, path: string, key: string, fix: string): NatcheckError {
  const stranger = Object.keys(entry).find((each) => !known.includes(each))
  const aside = stranger === undefined ? '' : `; ${stranger.slice(0, 40)} is no key of an ICE server`
  return bad(`${path}.${key}`, `is missing${aside}`, fix)
}

function readUrl(url: unknown, path: string): ServerUri {
  if (typeof url !== 'string') throw bad(path, 'is no text', example)
  // A browser takes no URL without its scheme.
  if (!/^(?:stun|turn)s?:/i.test(url.trim())) throw bad(path, 'has no stun:, stuns:, turn: or turns: in front', example)
  try {
    return parseServerUri(url)
  } catch (error) {
    if (!(error instanceof NatcheckError)) throw error
    throw new NatcheckError(error.code, `${path}: ${error.message}`, { fix: error.fix })
  }
}

function readText(value: unknown, path: string): string | undefined {
  // Backends write null for what is not there.
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  throw bad(path, 'is no text', 'put it in quotes')
}

type Entry = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Entry =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const bad = (path: string, what: string, fix: string): NatcheckError =>
  new NatcheckError('BAD_FILE', `${path} ${what}`, { fix })
