/** What no engine runs with: refused in one line before anything is opened. */
import { NatcheckError, scopeOf } from '../core/index.ts'
import { defaultPorts } from '../proto/turn-server/index.ts'
import { checkServerCertificate } from './certificate.ts'
import { shortestSecretBytes } from './credentials.ts'
import type { RelayLifetimes, RelayOptions, ReloadableOptions } from './options.ts'
import type { RelayCallbacks, RelayPorts } from './relay.ts'

/** Until when the certificate of the TLS listeners is valid. Throws USAGE or BAD_FILE. */
export function checkedCertificate(
  { clock }: RelayPorts,
  { tlsListen = [], certificate }: RelayOptions,
): Date | undefined {
  if (tlsListen.length === 0) return undefined
  if (certificate) return checkServerCertificate(certificate, clock.wallTime())
  throw new NatcheckError('USAGE', 'a TLS listener needs a certificate and its key', { fix: 'give both' })
}

/** Throws USAGE. */
export function checkOptions(options: RelayOptions, { hooks }: RelayCallbacks): void {
  const { users = [], authSecrets = [], noAuth, stunOnly, listen = [], tlsListen = [], ports, totalQuota } = options
  const refuse = (message: string, fix: string): never => {
    throw new NatcheckError('USAGE', message, { fix })
  }
  if (authSecrets.some((secret) => Buffer.byteLength(secret) < shortestSecretBytes)) {
    refuse(`a secret needs ${shortestSecretBytes} bytes`, 'make one: openssl rand -hex 32')
  }
  checkNumbers(options)
  checkWords(options)
  const named = users.length > 0 || authSecrets.length > 0 || hooks?.authenticate !== undefined
  if (noAuth && named)
    refuse('noAuth contradicts the users, secrets or hook that are given too', 'leave one of them out')
  const exposed = [...listen, ...tlsListen].find(({ ip }) => scopeOf(ip) !== 'loopback')
  if (!named && !noAuth && !stunOnly) {
    const where = exposed ? ` on ${exposed.ip}` : ''
    refuse(`a relay${where} without users would serve everybody`, 'give users or secrets, or say noAuth')
  }
  if (ports && (ports.min > ports.max || ports.min < 1 || ports.max > 65_535)) {
    refuse(`${ports.min}-${ports.max} is no range of ports`, 'give min and max from 1 to 65535')
  }
  const { min, max } = ports ?? defaultPorts
  if (totalQuota !== undefined && totalQuota > max - min + 1) {
    refuse(`${min}-${max} has too few ports for ${totalQuota} allocations`, 'widen the range')
  }
}

const usage = (message: string, fix: string): NatcheckError => new NatcheckError('USAGE', message, { fix })

/** Whatever is no limit would be none: a comparison with NaN refuses nobody. */
function checkNumbers({ userQuota, totalQuota, maxBps, threads, lifetimes = {} }: RelayOptions): void {
  for (const [name, value] of Object.entries({ userQuota, totalQuota, maxBps, threads })) {
    if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) continue
    throw usage(`${name} is ${value}`, 'give a whole number from 1 on')
  }
  for (const [name, value] of Object.entries(lifetimes)) {
    if (!lifetimeNames.some((known) => known === name)) {
      throw usage(`there is no lifetime "${name}"`, `there are ${lifetimeNames.join(', ')}`)
    }
    // Beyond 32 bits no LIFETIME can say it.
    if (value === undefined || (Number.isSafeInteger(value) && value >= 1 && value < 2 ** 32)) continue
    throw usage(`the lifetime ${name} is ${value}`, 'give whole seconds from 1 on')
  }
}

const lifetimeNames: readonly (keyof RelayLifetimes)[] = [
  'allocation',
  'maxAllocation',
  'permission',
  'channel',
  'nonce',
]

function checkWords({ datapath = 'auto', users = [] }: RelayOptions): void {
  if (!['auto', 'dgram', 'mmsg'].includes(datapath)) {
    throw usage(`there is no datapath "${datapath}"`, 'give auto, dgram or mmsg')
  }
  const names = new Set<string>()
  for (const { username, password } of users) {
    if (username === '' || password === '') throw usage('a user needs a name and a password', 'give both')
    if (names.has(username)) throw usage(`two users are named ${username}`, 'keep one')
    names.add(username)
  }
}

/** Only what a reload names: what is undefined stays as it is. */
export const given = (changes: ReloadableOptions): ReloadableOptions =>
  Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
