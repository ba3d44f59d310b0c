/** How to get in: with what the file says, or as a guest of the private copy. */
import type { Random } from '../../../core/index.ts'
import type { WallTime } from '../../../core/index.ts'
import type { Conf } from '../../../coturn/conf.ts'
import type { StandIns } from '../../../coturn/live/copy.ts'
import { restPassword } from '../../../proto/stun/index.ts'
import { usage } from '../../io.ts'

export interface Credentials {
  readonly username: string
  readonly password: string
}

export interface Access {
  /** Whether the file lets nobody in without credentials. */
  readonly demanded: boolean
  /** What the file relies on, in its own words. */
  readonly mechanism: string
  /** Of the nth user, as far as there are several; undefined where none are needed. */
  readonly credentials: (user: number) => Credentials | undefined
  /** Each number is another user: with a secret anybody can be made up. */
  readonly manyUsers: boolean
  /** Whose credentials these are. */
  readonly who: string
  readonly guest: StandIns['guest']
}

/** Longer than any check takes. */
const ttlSeconds = 3600
const guestName = 'natcheck-check'

/** `given` is what the command line says. Throws USAGE for a running server that nobody told us how to get into. */
export function accessTo(
  conf: Conf,
  { given, isCopy, now, random }: { given: Credentials | undefined; isCopy: boolean; now: WallTime; random: Random },
): Access {
  const one =
    (credentials: Credentials | undefined): Access['credentials'] =>
    () =>
      credentials
  const mechanism = mechanismOf(conf)
  const base = { demanded: mechanism !== undefined, mechanism: mechanism ?? 'no credentials', guest: undefined }
  if (given) return { ...base, credentials: one(given), manyUsers: false, who: `${given.username}, as given` }
  if (mechanism === undefined) return { ...base, credentials: one(undefined), manyUsers: false, who: 'nobody' }
  const made = (): string => Buffer.from(random.bytes(16)).toString('hex')
  const refuse = (): never => {
    throw usage('the file tells no password to get in with', 'give --username with --credential-env')
  }
  if (conf.usesSecret) {
    const own = conf.value('static-auth-secret')
    const secret = own ?? (isCopy ? made() : refuse())
    const separator = conf.value('rest-api-separator')?.[0] ?? ':'
    const credentials = (user: number): Credentials => {
      const username = `${Math.floor(now / 1000) + ttlSeconds}${separator}${guestName}-${user}`
      return { username, password: restPassword(secret, username) }
    }
    const who = own === undefined ? 'a secret of the copy' : 'the secret of the file'
    return { ...base, credentials, manyUsers: true, who, guest: own === undefined ? { secret } : undefined }
  }
  const plain = conf.all('user').flatMap(({ value }) => plainUser(value) ?? [])[0]
  if (plain) return { ...base, credentials: one(plain), manyUsers: false, who: `the user ${plain.username}` }
  if (!isCopy) return refuse()
  const guest = { username: guestName, password: made() }
  return {
    ...base,
    credentials: one(guest),
    manyUsers: false,
    who: 'a user of the copy',
    guest: { user: `${guest.username}:${guest.password}` },
  }
}

/** What makes coturn ask; undefined: it relays for everybody. */
function mechanismOf(conf: Conf): string | undefined {
  if (conf.isOn('no-auth')) return undefined
  if (conf.usesSecret) return 'use-auth-secret'
  if (conf.isOn('lt-cred-mech')) return 'lt-cred-mech'
  return conf.has('user') ? 'user' : undefined
}

/** A key in the place of the password is of no use to us. */
function plainUser(value: string): Credentials | undefined {
  const colon = value.indexOf(':')
  const password = value.slice(colon + 1)
  return colon < 1 || password === '' || /^0x[\da-f]+$/i.test(password)
    ? undefined
    : { username: value.slice(0, colon), password }
}
