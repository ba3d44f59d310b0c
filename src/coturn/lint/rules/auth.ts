/** Who may use the relay. */
import type { Conf } from '../../conf.ts'
import { parseIp } from '../../../core/index.ts'
import type { Rule } from '../rule.ts'
import { append, remove, rewrite, sample, userName } from '../problems.ts'

const oneWay = 'hardening: exactly one of lt-cred-mech and use-auth-secret'
const hasUsers = (conf: Conf): boolean => conf.has('user')
const databases = ['userdb', 'psql-userdb', 'mysql-userdb', 'mongo-userdb', 'redis-userdb'] as const

export const authRules: readonly Rule[] = [
  {
    id: 'open-relay',
    severity: 'error',
    why: 'Without an authentication option and without users coturn relays for everybody who reaches it.',
    fix: 'set lt-cred-mech with users, or use-auth-secret with static-auth-secret',
    reference: 'RFC 8656 §21.1.1',
    *check(conf) {
      const isClosed = conf.isOn('lt-cred-mech') || conf.usesSecret || conf.isOn('oauth') || hasUsers(conf)
      if (conf.relays && !isClosed && !conf.isOn('no-auth')) yield { message: 'nothing authenticates: an open relay' }
    },
    bad: sample('listening-port=3478\nrealm=example.org\n'),
    good: sample('use-auth-secret\nrealm=example.org\n'),
  },
  {
    id: 'no-auth',
    severity: 'error',
    why: 'no-auth relays for everybody, and abuse of open relays is found within days.',
    fix: 'remove it, and set lt-cred-mech or use-auth-secret',
    reference: 'RFC 8656 §21.1.1',
    *check(conf) {
      if (conf.relays && conf.isOn('no-auth')) yield { at: conf.last('no-auth'), message: 'relays for everybody' }
    },
    bad: sample('no-auth\n'),
    good: sample('no-auth\nstun-only\n'),
  },
  {
    id: 'auth-contradiction',
    severity: 'error',
    why: 'coturn ends at the start when both lt-cred-mech (or a secret) and no-auth are set.',
    fix: 'remove no-auth',
    reference: oneWay,
    *check(conf) {
      if (conf.isOn('no-auth') && (conf.isOn('lt-cred-mech') || conf.usesSecret))
        yield {
          at: conf.last('no-auth'),
          message: 'no-auth contradicts the authentication that is set too: coturn ends',
        }
    },
    bad: sample('lt-cred-mech\nno-auth\n'),
    good: sample('lt-cred-mech\n'),
  },
  {
    id: 'mixed-auth',
    severity: 'error',
    why: 'With a secret coturn forgets users and passwords: the two can’t be mixed, and the secret wins.',
    fix: 'keep lt-cred-mech with users, or the secret, not both',
    reference: oneWay,
    *check(conf) {
      if (conf.isOn('lt-cred-mech') && conf.usesSecret) {
        const at = conf.last('lt-cred-mech')
        yield {
          at,
          message: 'lt-cred-mech next to a secret: the secret wins',
          edits: conf.all('lt-cred-mech').flatMap(remove),
        }
      }
    },
    bad: sample('lt-cred-mech\nuse-auth-secret\nstatic-auth-secret=x\n'),
    good: sample('use-auth-secret\nstatic-auth-secret=x\n'),
  },
  {
    id: 'users-ignored',
    severity: 'error',
    why: 'static-auth-secret turns use-auth-secret on, and then coturn drops every user line: those users get 401.',
    fix: 'remove the users, or the secret',
    reference: 'coturn add_static_user_account()',
    *check(conf) {
      if (!conf.usesSecret) return
      for (const at of conf.all('user'))
        yield { at, message: `user ${userName(at.value)} is ignored, because a secret is set` }
    },
    bad: sample('static-auth-secret=x\nuser=alice:wonderland\n'),
    good: sample('lt-cred-mech\nuser=alice:wonderland\n'),
  },
  {
    id: 'users-need-lt-cred-mech',
    severity: 'error',
    why: 'Users without lt-cred-mech rely on coturn guessing that authentication was meant; the last user removed, it is an open relay.',
    fix: 'add lt-cred-mech',
    reference: oneWay,
    *check(conf) {
      if (!hasUsers(conf) || conf.has('lt-cred-mech') || conf.usesSecret || conf.isOn('no-auth')) return
      yield { at: conf.all('user')[0], message: 'users without lt-cred-mech', edits: append('lt-cred-mech') }
    },
    bad: sample('user=alice:wonderland\nrealm=example.org\n'),
    good: sample('lt-cred-mech\nuser=alice:wonderland\nrealm=example.org\n'),
  },
  {
    id: 'users-without-auth',
    severity: 'error',
    why: 'With no-auth the users are not asked for: whoever reads the file believes they are.',
    fix: 'remove no-auth',
    reference: oneWay,
    *check(conf) {
      if (conf.isOn('no-auth') && hasUsers(conf))
        yield { at: conf.all('user')[0], message: 'no-auth ignores the users' }
    },
    bad: sample('no-auth\nuser=alice:wonderland\n'),
    good: sample('lt-cred-mech\nuser=alice:wonderland\n'),
  },
  {
    id: 'realm-missing',
    severity: 'error',
    why: 'The key of a user is made from name, realm and password. Without a realm coturn takes the domain of the host, often none, and clients get 401.',
    fix: 'set realm to your domain',
    reference: 'RFC 8489 §9.2.2',
    *check(conf) {
      const authenticates = conf.isOn('lt-cred-mech') || conf.usesSecret || hasUsers(conf)
      if (authenticates && !conf.value('realm')) {
        const at = conf.first('lt-cred-mech', 'use-auth-secret', 'static-auth-secret', 'user')
        yield { at, message: 'authentication without a realm' }
      }
    },
    bad: sample('lt-cred-mech\nuser=alice:wonderland\n'),
    good: sample('lt-cred-mech\nuser=alice:wonderland\nrealm=example.org\n'),
  },
  {
    id: 'realm-is-address',
    severity: 'warning',
    why: 'Stored keys contain the realm: when the address changes, all of them are wrong.',
    fix: 'name a domain',
    reference: 'RFC 8489 §14.9',
    *check(conf) {
      const realm = conf.value('realm')
      if (realm !== undefined && parseIp(realm) !== undefined)
        yield { at: conf.last('realm'), message: `the realm ${realm} is an address` }
    },
    bad: sample('realm=203.0.113.10\n'),
    good: sample('realm=example.org\n'),
  },
  {
    id: 'secret-missing',
    severity: 'warning',
    why: 'use-auth-secret without static-auth-secret reads secrets from a database; with an empty one everybody gets 401.',
    fix: 'set static-auth-secret, or name the database that holds the secrets',
    reference: 'turnserver(1), use-auth-secret',
    *check(conf) {
      if (conf.isOn('use-auth-secret') && !conf.has('static-auth-secret') && !conf.first(...databases))
        yield { at: conf.last('use-auth-secret'), message: 'use-auth-secret without a secret' }
    },
    bad: sample('use-auth-secret\nrealm=example.org\n'),
    good: sample('use-auth-secret\nredis-userdb="ip=127.0.0.1"\nrealm=example.org\n'),
  },
  {
    id: 'secret-behind-database',
    severity: 'warning',
    why: 'With a database of users coturn asks it for secrets too, and while it is down even those of the file get 401.',
    fix: 'keep the secret in the file and drop the database of users, or accept that it has to be up',
    reference: 'coturn get_auth_secrets()',
    *check(conf) {
      const at = conf.first('psql-userdb', 'mysql-userdb', 'mongo-userdb', 'redis-userdb')
      if (at && conf.has('static-auth-secret')) yield { at, message: `logging in depends on ${at.spec.name}` }
    },
    bad: sample('static-auth-secret=x\nredis-userdb="ip=127.0.0.1"\n'),
    good: sample('static-auth-secret=x\nredis-statsdb="ip=127.0.0.1"\n'),
  },
  {
    id: 'user-malformed',
    severity: 'error',
    why: 'A user is NAME:PASSWORD; coturn skips any other.',
    fix: 'write user=NAME:PASSWORD',
    reference: 'coturn add_static_user_account()',
    *check(conf) {
      for (const at of conf.all('user'))
        if (!/^[^:]+:[^]/.test(at.value)) yield { at, message: 'a user without name or password: coturn skips it' }
    },
    bad: sample('user=alice\n'),
    good: sample('user=alice:wonderland\n'),
  },
  {
    id: 'user-key-malformed',
    severity: 'error',
    why: 'A key is 0x and the 32 hexadecimal digits of MD5(name:realm:password). coturn reads beyond a shorter one.',
    fix: 'make it with turnadmin -k -u NAME -r REALM -p PASSWORD',
    reference: 'RFC 8489 §9.2.2',
    *check(conf) {
      for (const at of conf.all('user')) {
        const key = /^([^:]+):\s*0x(.*)$/.exec(at.value)
        if (key && !/^[\da-f]{32}$/i.test(key[2] ?? '')) yield { at, message: `the key of ${key[1]} has not 32 digits` }
      }
    },
    bad: sample('user=alice:0x1234\n'),
    good: sample('user=alice:0xbf9bd0d3c1d1b8ac3b9e2ab8e6b1d9c4\n'),
  },
  {
    id: 'user-key-realm',
    severity: 'error',
    why: 'A key is bound to the realm it was made with. With two realm lines, or none, nobody can say which that was.',
    fix: 'keep the one realm that the keys were made with',
    reference: 'RFC 8489 §9.2.2',
    *check(conf) {
      const keyed = conf.all('user').find(({ value }) => /^[^:]+:\s*0x/.test(value))
      const realms = new Set(conf.all('realm').map(({ value }) => value))
      if (keyed && realms.size !== 1)
        yield {
          at: keyed,
          message: `the key of ${userName(keyed.value)} is bound to a realm, and ${realms.size} are set`,
        }
    },
    bad: sample('user=alice:0xbf9bd0d3c1d1b8ac3b9e2ab8e6b1d9c4\nrealm=a.org\nrealm=b.org\n'),
    good: sample('user=alice:0xbf9bd0d3c1d1b8ac3b9e2ab8e6b1d9c4\nrealm=a.org\n'),
  },
  {
    id: 'user-repeated',
    severity: 'error',
    why: 'Of two lines with the same name the last one counts; the other password gets 401.',
    fix: 'keep one line for each user',
    reference: 'coturn add_static_user_account()',
    *check(conf) {
      const seen = new Map<string, string>()
      for (const at of conf.all('user')) {
        const name = userName(at.value)
        if (seen.has(name) && seen.get(name) !== at.value) yield { at, message: `user ${name} is set again` }
        seen.set(name, at.value)
      }
    },
    bad: sample('user=alice:a\nuser=alice:b\n'),
    good: sample('user=alice:a\nuser=bob:b\n'),
  },
  {
    id: 'rest-separator',
    severity: 'error',
    why: 'Only the first character of rest-api-separator counts.',
    fix: 'write one character',
    reference: 'turnserver(1), rest-api-separator',
    *check(conf) {
      const at = conf.last('rest-api-separator')
      if (at && at.value.length !== 1)
        yield {
          at,
          message: `"${at.value}" is not one character`,
          edits: at.value === '' ? remove(at) : rewrite(at.line, { name: at.spec.name, value: at.value.slice(0, 1) }),
        }
    },
    bad: sample('rest-api-separator=::\n'),
    good: sample('rest-api-separator=:\n'),
  },
  {
    id: 'oauth-server-name',
    severity: 'warning',
    why: 'OAuth tokens are made for a server name; without one coturn takes the realm.',
    fix: 'set server-name',
    reference: 'RFC 7635 §4',
    *check(conf) {
      if (conf.isOn('oauth') && !conf.value('server-name'))
        yield { at: conf.last('oauth'), message: 'oauth without a server-name' }
    },
    bad: sample('oauth\n'),
    good: sample('oauth\nserver-name=turn.example.org\n'),
  },
  {
    id: 'secure-stun',
    severity: 'error',
    why: 'Browsers ask for their public address without credentials; with secure-stun they get 401 and lose their server-reflexive candidates.',
    fix: 'remove it',
    reference: 'RFC 8489 §12',
    *check(conf) {
      if (conf.isOn('secure-stun') && !conf.isOn('no-stun'))
        yield {
          at: conf.last('secure-stun'),
          message: 'Binding requests need credentials',
        }
    },
    bad: sample('secure-stun\n'),
    good: sample('no-stun\nsecure-stun\n'),
  },
]
