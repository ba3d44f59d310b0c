/** What `natcheck relay` says when it is up: the URLs, what to paste, and how to check it. */
import { formatAddress } from '../../core/index.ts'
import type { IceServer } from '../../relay/credentials.ts'
import type { Relay } from '../../relay/relay.ts'
import type { RelaySettings } from './settings.ts'

/** Counted apart from the NAT report's. */
export const relaySchemaVersion = 1

/** What --json prints. `error` is null when it runs; everything else is null when it doesn't. */
export interface RelayDocument {
  readonly schemaVersion: typeof relaySchemaVersion
  readonly kind: 'relay'
  readonly engine: string | null
  readonly datapath: string | null
  /** What this engine can't do. */
  readonly limits: readonly string[] | null
  readonly listeners: readonly { readonly protocol: string; readonly address: string }[] | null
  readonly relayIps: readonly string[] | null
  readonly urls: readonly string[] | null
  /** The credential of configured users is theirs to know, and null here. */
  readonly iceServers:
    | readonly (Omit<IceServer, 'username' | 'credential'> & {
        readonly username?: string | null
        readonly credential?: string | null
      })[]
    | null
  readonly metrics: string | null
  readonly check: string | null
  readonly error: { readonly code: string; readonly message: string; readonly fix: string | null } | null
}

export function relayDocument(relay: Relay, settings: RelaySettings, metrics: string | undefined): RelayDocument {
  return {
    schemaVersion: relaySchemaVersion,
    kind: 'relay',
    engine: relay.engine,
    datapath: relay.datapath,
    limits: relay.limits,
    listeners: relay.listeners.map(({ protocol, address }) => ({ protocol, address: formatAddress(address) })),
    relayIps: relay.relayIps,
    urls: relay.urls,
    iceServers: [iceServer(relay.urls, settings)],
    metrics: metrics ?? null,
    check: checkCommand(relay, settings),
    error: null,
  }
}

/** The document of a relay that did not start. */
export const failedDocument = (error: NonNullable<RelayDocument['error']>): RelayDocument => ({
  schemaVersion: relaySchemaVersion,
  kind: 'relay',
  engine: null,
  datapath: null,
  limits: null,
  listeners: null,
  relayIps: null,
  urls: null,
  iceServers: null,
  metrics: null,
  check: null,
  error,
})

function iceServer(
  urls: readonly string[],
  { generated, options }: RelaySettings,
): NonNullable<RelayDocument['iceServers']>[number] {
  if (options.stunOnly || options.noAuth) return { urls }
  if (generated) return { urls, username: generated.username, credential: generated.password }
  return { urls, username: options.users?.[0]?.username ?? null, credential: null }
}

/** The same in words. */
export function announcement(relay: Relay, settings: RelaySettings, metrics: string | undefined): string {
  const { options, generated } = settings
  const what = options.stunOnly ? 'STUN server' : 'STUN/TURN relay'
  const lines = [
    `✓ ${what} is up (engine ${relay.engine}, datapath ${relay.datapath}).`,
    ...relay.urls.map((url) => `    ${url}`),
  ]
  if (metrics !== undefined) lines.push(`    ${metrics}/metrics, ${metrics}/healthz`)
  if (relay.limits.length > 0)
    lines.push('', `Limits of the engine ${relay.engine}`, ...relay.limits.map((limit) => `    ${limit}`))
  lines.push('', 'iceServers', `    ${JSON.stringify([iceServer(relay.urls, settings)])}`)
  if (!generated && (options.users?.length ?? 0) > 0) lines.push("    (credential: the user's password)")
  if ((options.authSecrets?.length ?? 0) > 0) {
    lines.push('    (for time-limited ones: natcheck credentials --secret-file FILE --user NAME --url URL)')
  }
  const check = checkCommand(relay, settings)
  if (check !== null) lines.push('', 'Check it', `    ${check}`)
  if (generated) {
    lines.push(
      '',
      'Peers on this machine and in private networks are denied: --allow-peer 127.0.0.1 lets local',
      'clients reach each other.',
    )
  }
  return `${lines.join('\n')}\n`
}

/** A line to paste. A password of the user's own is theirs to fill in, and travels in the environment. */
function checkCommand({ listeners }: Relay, { generated, options }: RelaySettings): string | null {
  const udp = listeners.find(({ protocol }) => protocol === 'udp')
  if (!udp) return null
  const address = formatAddress(udp.address)
  if (options.stunOnly) return `npx natcheck nat --server stun:${address} --no-router`
  const [user] = options.users ?? []
  if (!generated && !user && (options.authSecrets?.length ?? 0) > 0) {
    const credentials = `npx natcheck credentials --secret-file FILE --user NAME --url turn:${address}`
    return `${credentials} | npx natcheck ice --ice-servers -`
  }
  const { username, password } = generated ?? { username: user?.username ?? 'anybody', password: user ? '...' : 'any' }
  const access = `--username ${quoted(username)} --credential-env TURN_PASSWORD`
  return `TURN_PASSWORD=${password} npx natcheck ice --server ${quoted(`turn:${address}`)} ${access}`
}

/** As a shell takes it for one word; `[::1]` is a pattern to some. */
const quoted = (word: string): string =>
  /^[\w.:@-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
