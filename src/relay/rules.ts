/** The options as a server takes them: the part that a reload replaces, and all of them with their defaults. */
import type { Random } from '../core/index.ts'
import type { RelayOptions, ReloadableOptions } from './options.ts'
import type { ServerRules, ServerSettings } from './server.ts'

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

/** What runs a server: the options with their defaults, and the addresses that were found for them. */
export const settingsOf = (
  random: Random,
  options: RelayOptions,
  rules: ServerRules,
  addresses: Pick<ServerSettings, 'relayAddresses' | 'listeners' | 'discovery'>,
): ServerSettings => ({
  ...rules,
  ...addresses,
  // Behind a 1:1 NAT the listeners have these addresses too, and no client may reach them.
  listeners: [
    ...addresses.listeners,
    ...(options.externalIps ?? []).flatMap(({ external: ip }) => addresses.listeners.map(({ port }) => ({ ip, port }))),
  ],
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
