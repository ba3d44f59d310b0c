/** What every engine checks in the options, and the part of them that a reload replaces. */
import { NatcheckError, type Random, scopeOf, type TransportAddress } from '../core/index.ts'
import { shortestSecretBytes } from './credentials.ts'
import type { RelayOptions, ReloadableOptions } from './options.ts'
import type { RelayCallbacks } from './relay.ts'
import type { ServerRules, ServerSettings } from './server.ts'

export const defaultListener: TransportAddress = { ip: '127.0.0.1', port: 3478 }

/** What is wrong with options whichever engine runs them. Throws USAGE. */
export function checkOptions(options: RelayOptions, { hooks }: RelayCallbacks): void {
  const { users = [], authSecrets = [], noAuth, stunOnly, listen = [], tlsListen = [], ports, totalQuota } = options
  const refuse = (message: string, fix: string): never => {
    throw new NatcheckError('USAGE', message, { fix })
  }
  if (authSecrets.some((secret) => Buffer.byteLength(secret) < shortestSecretBytes)) {
    refuse(`a secret needs ${shortestSecretBytes} bytes`, 'make one: openssl rand -hex 32')
  }
  const named = users.length > 0 || authSecrets.length > 0 || hooks?.authenticate !== undefined
  const exposed = [...listen, ...tlsListen].find(({ ip }) => scopeOf(ip) !== 'loopback')
  if (!named && !noAuth && !stunOnly) {
    const where = exposed ? ` on ${exposed.ip}` : ''
    refuse(`a relay${where} without users would serve everybody`, 'give users or secrets, or say noAuth')
  }
  if (ports && (ports.min > ports.max || ports.min < 1 || ports.max > 65_535)) {
    refuse(`${ports.min}-${ports.max} is no range of ports`, 'give min and max from 1 to 65535')
  }
  if (ports && totalQuota !== undefined && totalQuota > ports.max - ports.min + 1) {
    refuse(`${ports.min}-${ports.max} has too few ports for ${totalQuota} allocations`, 'widen the range')
  }
}

/** The part of the options that can change while the relay runs, as plain data. */
export const rulesOf = ({
  users = [],
  authSecrets = [],
  allowPeers = [],
  denyPeers = [],
}: RelayOptions): ServerRules => ({
  users: users.map(({ username, password }) => [username, password]),
  secrets: authSecrets,
  allowPeers,
  denyPeers,
})

/** The way back. */
export const fromRules = ({ users, secrets, allowPeers, denyPeers }: ServerRules): ReloadableOptions => ({
  users: users.map(([username, password]) => ({ username, password })),
  authSecrets: secrets,
  allowPeers,
  denyPeers,
})

/** Without what is undefined, so that it replaces nothing. */
export const given = (changes: ReloadableOptions): ReloadableOptions =>
  Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))

/** What runs a server: the options with their defaults, and the addresses that were found for them. */
export const settingsOf = (
  random: Random,
  options: RelayOptions,
  rules: ServerRules,
  addresses: Pick<ServerSettings, 'relayAddresses' | 'listeners' | 'discovery'>,
): ServerSettings => ({
  ...rules,
  ...addresses,
  realm: options.realm ?? 'natcheck',
  nonceKey: options.nonceKey ?? random.bytes(32),
  noAuth: options.noAuth === true || options.stunOnly === true,
  ports: options.ports,
  userQuota: options.userQuota,
  totalQuota: options.totalQuota,
  bytesPerSecond: options.maxBps,
  lifetimes: options.lifetimes ?? {},
  // Node's sockets can't set DF; the other datapath's can.
  dontFragment: false,
})
