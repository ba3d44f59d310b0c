/** What coturn can't do of what was asked for, or of what the native engine does: said at the start. */
import { type CoturnVersion, drainSince, isBefore, isSince, securityFloor } from '../../coturn/version.ts'
import { defaultLifetimes } from '../../proto/turn-server/index.ts'
import type { RelayOptions } from '../options.ts'
import { databasePeriod } from './database.ts'

export interface Abilities {
  readonly version: CoturnVersion
  /** sqlite3 is there to change users, secrets and peers while coturn runs. */
  readonly live: boolean
  readonly endWithUs: boolean
}

export function limitsOf(options: RelayOptions, { version, live, endWithUs }: Abilities): string[] {
  const { externalIps = [], nonceKey, lifetimes = {}, users = [], stunOnly } = options
  const drains = isSince(version, drainSince)
  const limits: (string | false)[] = [
    isBefore(version, securityFloor) &&
      `turnserver ${version} is older than ${securityFloor}, the first without known vulnerabilities; look for the updates of your distribution`,
    ...(stunOnly ? [] : relayLimits(live, drains)),
    !endWithUs && 'without setpriv (util-linux) turnserver outlives natcheck if that is killed by SIGKILL',
    !stunOnly && users.length > 0 && 'users authenticate with SHA-1 and MD5, without RFC 8489 password algorithms',
    nonceKey !== undefined && 'the nonce key is not used: coturn makes its own nonces',
    lifetimes.allocation !== undefined &&
      lifetimes.allocation !== defaultLifetimes.allocation &&
      'allocations whose client asks for no lifetime get 600 s',
    externalIps.length > 0 && 'clients can name the relay address behind an external one as a peer, whatever is denied',
  ]
  return limits.filter((limit) => limit !== false)
}

function relayLimits(live: boolean, drains: boolean): (string | false)[] {
  return [
    live
      ? `a reload of peer rules takes effect within ${databasePeriod} s; denied peers can be added, not removed`
      : 'a reload changes nothing but the certificate, for want of sqlite3 (apt-get install sqlite3)',
    !drains &&
      (live
        ? `a drain refuses new allocations (486) after up to ${databasePeriod} s, for turnserver has none before 4.6.3`
        : 'while draining it takes new allocations: turnserver has no drain before 4.6.3, and sqlite3 is not there to stop it'),
    'a restart after a crash loses all allocations',
    'statistics come from its log: no permissions, channels or drops, traffic when an allocation ends',
    'events are log lines; there are no hooks',
    'NAT64, 6to4 and Teredo peers are denied altogether; ISATAP addresses are not looked into',
    "the relay's own ports can be named as peers where its address is allowed",
  ]
}
