/** What `natcheck credentials` does. */
import { resolve } from 'node:path'
import type { WallTime } from '../../core/index.ts'
import { type IceServer, timeLimitedCredentials } from '../../relay/credentials.ts'
import { formatServerUri, parseServerUri } from '../../wire/uri.ts'
import { formatDuration, parseDuration } from '../duration.ts'
import { type CliIo, type ExitCode, exitCodes, usage } from '../io.ts'
import { checkSecret, readSecretFile } from '../relay/secrets.ts'

/** A year: what is good for longer is no time-limited credential. */
const longestTtl = 366 * 86_400
const defaultTtl = 12 * 3600

/** The relay of `natcheck relay` without arguments. */
const loopbackUrls = ['turn:127.0.0.1:3478?transport=udp', 'turn:127.0.0.1:3478?transport=tcp']

/** Throws USAGE, BAD_FILE or BAD_URI. */
export async function credentialsCommand(
  flags: Readonly<Record<string, unknown>>,
  io: CliIo,
  now: WallTime,
): Promise<ExitCode> {
  const user = typeof flags['user'] === 'string' ? flags['user'] : 'natcheck'
  if (user === '') throw usage('--user is empty', 'name who the credentials are for')
  const ttlSeconds = flags['ttl'] === undefined ? defaultTtl : parseDuration(flags['ttl'], '--ttl', 1, longestTtl)
  const urls = Array.isArray(flags['url']) ? flags['url'].map((url) => readUrl(String(url))) : loopbackUrls
  const secret = readSecret(flags['secretFile'], io)
  const iceServers: IceServer[] = [{ urls, ...timeLimitedCredentials({ secret, user, ttlSeconds, now }) }]
  await io.out(`${JSON.stringify(iceServers, null, 2)}\n`)
  if (io.stderrIsTty) {
    const where = urls === loopbackUrls ? 'for a relay on this machine; name yours with --url, ' : ''
    io.err(`natcheck: ${where}good for new allocations for ${formatDuration(ttlSeconds)}\n`)
  }
  return exitCodes.ok
}

function readUrl(text: string): string {
  const uri = parseServerUri(text)
  if (uri.scheme === 'turn' || uri.scheme === 'turns') return formatServerUri(uri)
  throw usage(`--url is "${formatServerUri(uri)}", and only relays ask for credentials`, `write turn:${uri.host}`)
}

function readSecret(file: unknown, io: CliIo): string {
  const fromEnv = io.env['NATCHECK_RELAY_AUTH_SECRET']
  if (typeof file === 'string') return readSecretFile(resolve(io.cwd, file))[0] ?? ''
  if (fromEnv === undefined || fromEnv === '') {
    throw usage('the secret is missing', 'give --secret-file FILE, or set NATCHECK_RELAY_AUTH_SECRET')
  }
  checkSecret(fromEnv, 'NATCHECK_RELAY_AUTH_SECRET')
  return fromEnv
}
