/** What `natcheck up` and `natcheck dashboard` do: the parts together, the URL on the first line, and an orderly end. */
import { randomBytes } from 'node:crypto'
import { formatAddress, scopeOf } from '../../core/index.ts'
import {
  type Dashboard,
  embeddedRelay,
  type PageIceServer,
  prometheusRelay,
  startDashboard,
} from '../../dashboard/index.ts'
import { timeLimitedCredentials } from '../../relay/credentials.ts'
import type { Relay } from '../../relay/relay.ts'
import { startRelay } from '../../relay/start.ts'
import { nodeNetwork, nodeProcesses, systemClock, systemRandom } from '../../transport/index.ts'
import { formatServerUri } from '../../wire/uri.ts'
import { type CliIo, type ExitCode, errorLine, exitCodes } from '../io.ts'
import { hostCheck } from './host-check.ts'
import { type DashboardSettings, readDashboardSettings } from './settings.ts'

type Flags = Readonly<Record<string, unknown>>

/** A page that stays open longer asks again. */
const credentialSeconds = 3600

/** `natcheck up`: resolves when a signal has ended it. Throws when it can't start. */
export async function upCommand(flags: Flags, io: CliIo): Promise<ExitCode> {
  const settings = readDashboardSettings(flags, io)
  const secret = randomBytes(24).toString('base64url')
  const relay = await startOwnRelay(settings, secret)
  try {
    return await serve(settings, io, { relay, secret })
  } finally {
    await relay.close()
  }
}

/** `natcheck dashboard`: likewise, without a relay of its own. */
export async function dashboardCommand(flags: Flags, io: CliIo): Promise<ExitCode> {
  return await serve(readDashboardSettings(flags, io), io, undefined)
}

interface OwnRelay {
  readonly relay: Relay
  readonly secret: string
}

/** On loopback, for browsers of this machine: they may reach each other by every address it has, and nobody else. */
async function startOwnRelay({ certificate }: DashboardSettings, secret: string): Promise<Relay> {
  const network = nodeNetwork()
  const ports = { network, clock: systemClock, random: systemRandom, processes: nodeProcesses() }
  const own = network.interfaces().map(({ ip }) => ip.replace(/%.*$/, ''))
  const at = { ip: '127.0.0.1', port: 0 }
  return await startRelay(
    ports,
    {
      listen: [at],
      ...(certificate ? { tlsListen: [at], certificate } : {}),
      authSecrets: [secret],
      allowPeers: [...new Set(own)],
    },
    {},
  )
}

async function serve(settings: DashboardSettings, io: CliIo, own: OwnRelay | undefined): Promise<ExitCode> {
  const iceServers = (): readonly PageIceServer[] => [...ownServers(own), ...namedServers(settings)]
  const { listen, token, certificate, relayUrl } = settings
  const relay = own ? embeddedRelay(own.relay) : relayUrl && prometheusRelay(relayUrl)
  const ending = new Promise<void>((resolve) => void io.onInterrupt(resolve))
  const dashboard = await startDashboard(
    { clock: systemClock, random: systemRandom },
    {
      listen,
      token,
      certificate,
      iceServers,
      relay,
      dataDirectory: settings.dataDirectory,
      hostCheck: hostCheck(
        io,
        () => namedServers(settings),
        () => ownServers(own),
      ),
      onLog: (message) => io.err(errorLine({ code: 'WARNING', message, fix: null })),
    },
  )
  try {
    await io.out(announcement(dashboard, settings, own))
    await ending
    return exitCodes.ok
  } finally {
    await dashboard.close()
  }
}

const namedServers = ({ servers, authSecret }: DashboardSettings): readonly PageIceServer[] =>
  withCredentials(
    servers.map((uri) => formatServerUri(uri)),
    authSecret,
  )

const ownServers = (own: OwnRelay | undefined): readonly PageIceServer[] =>
  own ? withCredentials(urlsOf(own.relay), own.secret) : []

/** Made now, and good for an hour. */
function withCredentials(urls: readonly string[], secret: string | undefined): readonly PageIceServer[] {
  const isTurn = (url: string): boolean => url.startsWith('turn')
  const turn = urls.filter(isTurn)
  const stun = urls.filter((url) => !isTurn(url))
  const now = systemClock.wallTime()
  const mint = (key: string): { username: string; credential: string } =>
    timeLimitedCredentials({ secret: key, user: 'dashboard', ttlSeconds: credentialSeconds, now })
  return [
    ...(stun.length > 0 ? [{ urls: stun }] : []),
    ...(turn.length > 0 && secret !== undefined ? [{ urls: turn, ...mint(secret) }] : []),
  ]
}

/** The relay answers STUN too, which is how a browser learns its own address. */
const urlsOf = ({ listeners, urls }: Relay): readonly string[] => [
  ...listeners.filter(({ protocol }) => protocol === 'udp').map(({ address }) => `stun:${formatAddress(address)}`),
  ...urls,
]

function announcement({ url, local }: Dashboard, settings: DashboardSettings, own: OwnRelay | undefined): string {
  const { token, tokenIsNew, certificate, listen } = settings
  const lines = [tokenIsNew ? `${url}#token=${token ?? ''}` : url]
  lines.push('', '✓ The dashboard is up. Open the URL in a browser; Ctrl+C ends it.')
  if (own)
    lines.push(
      '  A STUN/TURN relay runs beside it, for this machine only:',
      ...own.relay.urls.map((each) => `    ${each}`),
    )
  if (tokenIsNew) lines.push('  The token in the URL is shown this once; --token-file keeps one.')
  if (certificate === undefined && scopeOf(listen.ip) !== 'loopback') {
    lines.push(
      `  ! ${formatAddress(local)} is served without TLS: the token can be read on the way. Give --cert and --key.`,
    )
  }
  return `${lines.join('\n')}\n`
}
