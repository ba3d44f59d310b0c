/**
 * coturn's SQLite database: what it looks up while it runs. Users and secrets at every request, peer ranges and quotas
 * every five seconds. `sqlite3` writes it, told on its stdin: `turnadmin` takes passwords on its command line only.
 */
import { type Clock, NatcheckError, type Processes } from '../../core/index.ts'
import type { RelayOptions } from '../options.ts'
import { defaultRealm, userKey } from './config.ts'
import { allowedRanges, peerRanges, rangeOf } from './peers.ts'
import { runProgram } from './program.ts'

/** Seconds until coturn has surely read changed peer ranges and quotas. */
export const databasePeriod = 5

/** coturn's own tables: it makes what is missing. */
const tables: Readonly<Record<string, string>> = {
  turnusers_lt: 'realm varchar(127), name varchar(512), hmackey char(128), primary key (realm, name)',
  turn_secret: 'realm varchar(127), value varchar(127), primary key (realm, value)',
  allowed_peer_ip: 'realm varchar(127), ip_range varchar(256), primary key (realm, ip_range)',
  denied_peer_ip: 'realm varchar(127), ip_range varchar(256), primary key (realm, ip_range)',
  turn_realm_option: 'realm varchar(127), opt varchar(32), value varchar(128), primary key (realm, opt)',
}

export interface DatabaseRules
  extends Pick<RelayOptions, 'realm' | 'users' | 'authSecrets' | 'allowPeers' | 'denyPeers'> {
  /** No more allocations: coturn 4.6.1 knows no other way to say it. */
  readonly draining: boolean
}

/** Replaces all that the database holds, in one transaction. */
export function databaseSql(rules: DatabaseRules): string {
  const { realm = defaultRealm, users = [], authSecrets = [], allowPeers = [], denyPeers = [], draining } = rules
  const insert = (table: string, ...values: string[]): string =>
    `insert or replace into ${table} values (${[realm, ...values].map(quoted).join(', ')});`
  return [
    '.bail on',
    '.timeout 3000',
    'begin immediate;',
    ...Object.entries(tables).flatMap(([table, columns]) => [
      `create table if not exists ${table} (${columns});`,
      `delete from ${table};`,
    ]),
    ...users.map(({ username, password }) => insert('turnusers_lt', username, userKey(username, password, realm))),
    ...authSecrets.map((secret) => insert('turn_secret', secret)),
    ...allowedRanges(allowPeers, denyPeers)
      .flatMap(peerRanges)
      .map((range) => insert('allowed_peer_ip', range)),
    ...denyPeers.flatMap((range) => peerRanges(rangeOf(range))).map((range) => insert('denied_peer_ip', range)),
    // As long as one lives, a second is one too many; when none does, the drain is over.
    ...(draining ? [insert('turn_realm_option', 'total-quota', '1')] : []),
    'commit;',
    '',
  ].join('\n')
}

/** Rejects with UNSUPPORTED, and what sqlite3 said. */
export async function writeDatabase(
  { processes, clock }: { readonly processes: Processes; readonly clock: Clock },
  sqlite: string,
  path: string,
  rules: DatabaseRules,
): Promise<void> {
  const command = { path: sqlite, args: ['-batch', path], input: databaseSql(rules) }
  const { code, why, lines } = await runProgram(processes, command, clock)
  if (code === 0 && lines.length === 0) return
  throw new NatcheckError('UNSUPPORTED', `sqlite3 could not write coturn's database: ${lines[0] ?? why}`, {
    fix: 'check that the temporary directory can be written',
  })
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`
