/** The settings of `natcheck up` and `natcheck dashboard`. Everything is checked here, before anything is opened. */
import { randomBytes } from 'node:crypto'
import { NatcheckError, type ServerCertificate, scopeOf, type TransportAddress } from '../../core/index.ts'
import { formatServerUri, parseServerUri, type ServerUri } from '../../wire/uri.ts'
import { type CliIo, usage } from '../io.ts'
import { readCertificate, readSecretFile, readTextFile } from '../relay/secrets.ts'
import { Sources } from '../sources.ts'
import * as values from '../values.ts'

export interface DashboardSettings {
  readonly listen: TransportAddress
  readonly token: string | undefined
  /** It was made up for this run, so that it has to be printed. */
  readonly tokenIsNew: boolean
  readonly certificate: ServerCertificate | undefined
  readonly servers: readonly ServerUri[]
  /** Shared with the TURN servers among them. */
  readonly authSecret: string | undefined
  /** Prometheus endpoint. */
  readonly relayUrl: URL | undefined
  /** Where check-ups are kept. */
  readonly dataDirectory: string | undefined
}

const defaultPort = 8478
const shortestTokenBytes = 16

/** `flags` holds only what was given. Throws USAGE, BAD_URI, BAD_FILE or BAD_ADDRESS. */
export function readDashboardSettings(
  flags: Readonly<Record<string, unknown>>,
  io: Pick<CliIo, 'env' | 'cwd'>,
): DashboardSettings {
  const from = new Sources(flags, io, undefined, 'NATCHECK_DASHBOARD_')
  const listen = from.get('listen', (value, where) => values.readListener(String(value), where, defaultPort)) ?? {
    ip: '127.0.0.1',
    port: defaultPort,
  }
  const servers = (from.list('server', (item) => parseServerUri(item)) ?? []).slice()
  const secretFile = from.path('authSecretFile')
  const authSecret = secretFile === undefined ? undefined : readSecretFile(secretFile)[0]
  checkServers(servers, authSecret)
  const tokenFile = from.path('tokenFile')
  const given = tokenFile === undefined ? undefined : readToken(tokenFile)
  const tokenIsNew = given === undefined && scopeOf(listen.ip) !== 'loopback'
  return {
    listen,
    token: tokenIsNew ? randomBytes(24).toString('base64url') : given,
    tokenIsNew,
    certificate: readTls(from),
    servers,
    authSecret,
    relayUrl: from.get('relay', readMetricsUrl),
    dataDirectory: from.path('data'),
  }
}

const isTurn = ({ scheme }: ServerUri): boolean => scheme === 'turn' || scheme === 'turns'

function checkServers(servers: readonly ServerUri[], authSecret: string | undefined): void {
  const turn = servers.find(isTurn)
  if (turn && authSecret === undefined) {
    throw usage(
      `${formatServerUri(turn)} needs credentials that may be shown to a page`,
      'give --auth-secret-file with the secret it shares (coturn: static-auth-secret), or paste iceServers into the page',
    )
  }
  if (!turn && authSecret !== undefined) throw usage('--auth-secret-file is for TURN, and no --server is one')
}

function readToken(path: string): string {
  const token = readTextFile(path, 'token file').trim()
  if (Buffer.byteLength(token) >= shortestTokenBytes) return token
  throw new NatcheckError('BAD_FILE', `the token in ${path} is shorter than ${shortestTokenBytes} bytes`, {
    fix: `make one: openssl rand -base64 24 > ${path}`,
  })
}

function readTls(from: Sources): ServerCertificate | undefined {
  const cert = from.path('cert')
  const key = from.path('key')
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined || key === undefined) throw usage('HTTPS needs --cert and --key', 'give both')
  return readCertificate(cert, key)
}

function readMetricsUrl(value: unknown, where: string): URL {
  const text = String(value)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) {
    if (url.pathname === '/') url.pathname = '/metrics'
    return url
  }
  throw usage(`${where} is "${text}", which is no http: or https: URL`, 'write http://127.0.0.1:9641/metrics')
}
