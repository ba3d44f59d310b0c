import { createHash, createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { NatcheckError, wallTime } from '../../../src/core/index.ts'
import {
  type AuthContext,
  type AuthResult,
  restExpiry,
  restPassword,
  ServerAuth,
  type ServerAuthOptions,
} from '../../../src/proto/stun/index.ts'
import {
  attribute,
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  get,
  type IntegrityOptions,
  longTermKey,
  type MessageToEncode,
  Method,
  nonce,
  parseNonceCookie,
  passwordAlgorithm,
  passwordAlgorithms,
  rawAttribute,
  realm,
  type StunMessage,
  userhash,
  userhashOf,
  username,
} from '../../../src/wire/index.ts'
import { client, expectOk, message, transactionId } from './messages.ts'

const now = wallTime(1_700_000_000_000)
const nonceKey = new Uint8Array(32).fill(1)
const authOf = (options: Partial<ServerAuthOptions> = {}): ServerAuth =>
  new ServerAuth({ realm: 'example.org', nonceKey, users: new Map([['alice', 'secret']]), ...options })
const context = (over: Partial<AuthContext> = {}): AuthContext => ({ client, now, judgeExpiry: true, ...over })
const offer = [{ algorithm: 2 }, { algorithm: 1 }]

interface Parts {
  readonly name?: string
  readonly secret?: string
  readonly nonce?: string
  readonly extra?: readonly EncodableAttribute[]
  readonly hash?: 'md5' | 'sha-256'
  readonly integrity?: Partial<IntegrityOptions>
  readonly message?: Partial<MessageToEncode>
}

/** A request signed as a client of RFC 5389 does, or as the parts say. */
function signed(auth: ServerAuth, parts: Parts = {}): StunMessage {
  const { name = 'alice', secret = 'secret', extra = [], hash = 'md5' } = parts
  const key = longTermKey({ username: name, realm: auth.realm, password: secret }, hash)
  return message({
    class: 'request',
    method: Method.allocate,
    attributes: [
      attribute(username, name),
      attribute(realm, auth.realm),
      attribute(nonce, parts.nonce ?? auth.nonceFor(client.ip, now)),
      ...extra,
    ],
    integrity: { key, ...parts.integrity },
    ...parts.message,
  })
}

const verdict = (result: AuthResult): string =>
  result.kind === 'authenticated' ? `authenticated ${result.user.username}` : `${result.code} ${result.why}`

const names = (result: AuthResult): number[] =>
  result.kind === 'refused' ? result.attributes.map(({ type }) => type) : []

describe('who is believed (RFC 8489 §9.2.4)', () => {
  it('a request without integrity is challenged with realm, nonce and algorithms', () => {
    const result = authOf().check(message({ class: 'request' }), context())
    expect(verdict(result)).toBe('401 no-credentials')
    expect(names(result)).toEqual([realm.type, nonce.type, passwordAlgorithms.type])
  })

  it('a signed one is believed, and answered with the same integrity', () => {
    const auth = authOf()
    const result = auth.check(signed(auth), context())
    expect(verdict(result)).toBe('authenticated alice')
    expect(result.integrity).toMatchObject({ algorithm: 'sha1' })
    const sha256 = auth.check(signed(auth, { integrity: { algorithm: 'sha256' } }), context())
    expect(sha256.integrity).toMatchObject({ algorithm: 'sha256' })
  })

  it.each([
    ['another password', { secret: 'guess' }, '401 wrong-password'],
    ['an unknown name', { name: 'eve' }, '401 unknown-user'],
    ['a name of every object', { name: 'constructor' }, '401 unknown-user'],
    ['another name of every object', { name: '__proto__' }, '401 unknown-user'],
    ['no password', { secret: '' }, '401 wrong-password'],
    [
      'a truncated MESSAGE-INTEGRITY-SHA256',
      { integrity: { algorithm: 'sha256', truncateTo: 16 } },
      '401 wrong-password',
    ],
    ["somebody else's nonce", { nonce: authOf().nonceFor('192.0.2.77', now) }, '438 stale-nonce'],
    [
      'a nonce of another key',
      { nonce: authOf({ nonceKey: new Uint8Array(16) }).nonceFor(client.ip, now) },
      '438 stale-nonce',
    ],
    ['an invented nonce', { nonce: 'nonce' }, '438 stale-nonce'],
    ['an empty nonce', { nonce: '' }, '438 stale-nonce'],
  ] as const)('%s: %s', (_, parts, expected) => {
    const auth = authOf()
    expect(verdict(auth.check(signed(auth, parts), context()))).toBe(expected)
  })

  it.each([
    ['name', [attribute(realm, 'example.org'), attribute(nonce, 'n')]],
    ['realm', [attribute(username, 'alice'), attribute(nonce, 'n')]],
    ['nonce', [attribute(username, 'alice'), attribute(realm, 'example.org')]],
  ])('integrity without a %s is a bad request, and no challenge', (_, attributes) => {
    const key = longTermKey({ username: 'alice', realm: 'example.org', password: 'secret' })
    const result = authOf().check(message({ class: 'request', attributes, integrity: { key } }), context())
    expect(verdict(result)).toBe('400 incomplete')
    expect(names(result)).toEqual([])
  })

  it('438 brings what the next request needs, and is signed', () => {
    const auth = authOf()
    const result = auth.check(signed(auth, { nonce: 'old' }), context())
    expect(names(result)).toEqual([realm.type, nonce.type, passwordAlgorithms.type])
    expect(result.integrity).toBeDefined()
  })

  it('attributes behind MESSAGE-INTEGRITY change nothing', () => {
    const auth = authOf()
    const bytes = signed(auth).bytes
    const injected = encodeMessage({
      class: 'request',
      method: 1,
      transactionId: transactionId(1),
      attributes: [attribute(username, 'bob')],
    }).subarray(20)
    const longer = Uint8Array.from([...bytes, ...injected])
    new DataView(longer.buffer).setUint16(2, longer.length - 20)
    const decoded = expectOk(decodeMessage(longer))
    expect(decoded.attributes.length).toBe(signed(auth).attributes.length + 1)
    expect(verdict(auth.check(decoded, context()))).toBe('authenticated alice')
  })
})

describe('nonces', () => {
  it('need no memory, and serve every port of a client until they are over', () => {
    const auth = authOf({ nonceLifetime: 60 })
    const request = signed(auth)
    const at = (seconds: number, ip = client.ip, port = 1): string =>
      verdict(auth.check(request, context({ now: wallTime(now + seconds * 1000), client: { ip, port } })))
    expect(at(59.9)).toBe('authenticated alice')
    expect(at(60)).toBe('438 stale-nonce')
    expect(at(0, '192.0.2.99')).toBe('438 stale-nonce')
  })

  it('are the same for every node of a fleet that shares the key', () => {
    const [one, other] = [authOf(), authOf()]
    expect(verdict(other.check(signed(one), context()))).toBe('authenticated alice')
  })

  it('say what the server can do, and every bit of them counts', () => {
    const auth = authOf()
    const good = auth.nonceFor(client.ip, now)
    expect(parseNonceCookie(good)).toEqual({ passwordAlgorithms: true, usernameAnonymity: true })
    for (let at = 0; at < good.length; at++) {
      const changed = `${good.slice(0, at)}${good[at] === 'A' ? 'B' : 'A'}${good.slice(at + 1)}`
      expect(verdict(auth.check(signed(auth, { nonce: changed }), context()))).toBe('438 stale-nonce')
    }
  })

  it('carry no cookie when nothing of RFC 8489 is offered', () => {
    const auth = authOf({ algorithms: [] })
    expect(parseNonceCookie(auth.nonceFor(client.ip, now))).toBeUndefined()
    expect(verdict(auth.check(signed(auth), context()))).toBe('authenticated alice')
    expect(names(auth.check(message({ class: 'request' }), context()))).toEqual([realm.type, nonce.type])
  })
})

describe('password algorithms and their bid-down protection', () => {
  const choose = (algorithm: number, offered = offer): EncodableAttribute[] => [
    attribute(passwordAlgorithms, offered),
    attribute(passwordAlgorithm, { algorithm }),
  ]

  it.each([
    ['SHA-256', { hash: 'sha-256', extra: choose(2) }, 'authenticated alice'],
    ['MD5', { hash: 'md5', extra: choose(1) }, 'authenticated alice'],
    ['MD5 by a client of RFC 5389', { hash: 'md5' }, 'authenticated alice'],
    ['the key of the other one', { hash: 'md5', extra: choose(2) }, '401 wrong-password'],
    ['one that was not offered', { extra: choose(9) }, '400 bid-down'],
    ['an offer that lost its best', { extra: choose(1, [{ algorithm: 1 }]) }, '400 bid-down'],
    ['an offer in another order', { extra: choose(1, [{ algorithm: 1 }, { algorithm: 2 }]) }, '400 bid-down'],
    ['a choice without the offer', { extra: [attribute(passwordAlgorithm, { algorithm: 1 })] }, '400 bid-down'],
    ['the offer without a choice', { extra: [attribute(passwordAlgorithms, offer)] }, '400 bid-down'],
    [
      'a broken choice',
      { extra: [attribute(passwordAlgorithms, offer), rawAttribute(passwordAlgorithm.type, Uint8Array.of(1))] },
      '400 bid-down',
    ],
  ] as const)('%s', (_, parts, expected) => {
    const auth = authOf()
    const integrity = 'hash' in parts && parts.hash === 'sha-256' ? { algorithm: 'sha256' as const } : {}
    expect(verdict(auth.check(signed(auth, { ...parts, integrity }), context()))).toBe(expected)
  })
})

describe('USERHASH', () => {
  const anonymous = (auth: ServerAuth, hash: Uint8Array): StunMessage => {
    const key = longTermKey({ username: 'alice', realm: auth.realm, password: 'secret' })
    const attributes = [
      attribute(userhash, hash),
      attribute(realm, auth.realm),
      attribute(nonce, auth.nonceFor(client.ip, now)),
    ]
    return message({ class: 'request', attributes, integrity: { key } })
  }

  it('stands for a known name', () => {
    const auth = authOf()
    expect(verdict(auth.check(anonymous(auth, userhashOf('alice', auth.realm)), context()))).toBe('authenticated alice')
    expect(verdict(auth.check(anonymous(auth, userhashOf('eve', auth.realm)), context()))).toBe('401 unknown-user')
  })

  it('is not asked for where names are not known beforehand', () => {
    const features = (options: Partial<ServerAuthOptions>) =>
      parseNonceCookie(authOf(options).nonceFor(client.ip, now))?.usernameAnonymity
    expect(features({ secrets: ['s'] })).toBe(false)
    expect(features({ authenticate: () => undefined })).toBe(false)
  })

  it('is asked for, or no longer, as users and secrets are replaced', () => {
    const users = new Map([['alice', 'secret']])
    const auth = authOf({ users })
    const features = () => parseNonceCookie(auth.nonceFor(client.ip, now))?.usernameAnonymity
    const before = auth.nonceFor(client.ip, now)
    auth.replace({ users, secrets: ['s'] })
    expect(features()).toBe(false)
    // What was promised goes on being kept.
    expect(verdict(auth.check(signed(auth, { nonce: before }), context()))).toBe('authenticated alice')
    expect(verdict(auth.check(anonymous(auth, userhashOf('alice', auth.realm)), context()))).toBe('authenticated alice')
    auth.replace({ users })
    expect(features()).toBe(true)
    const asked = authOf({ authenticate: () => undefined })
    asked.replace({ users })
    expect(parseNonceCookie(asked.nonceFor(client.ip, now))?.usernameAnonymity).toBe(false)
  })
})

describe('REST credentials', () => {
  const secret = 'a shared secret of some length'
  const soon = `${now / 1000 + 60}:alice`
  const auth = authOf({ secrets: ['the next secret of some length', secret] })
  const request = (name: string, by = secret): StunMessage =>
    signed(auth, { name, secret: createHmac('sha1', by).update(name).digest('base64') })

  it('are made as other implementations make them', () => {
    expect(restPassword('north', '12334939:mbzrxpgjys')).toBe(
      createHmac('sha1', 'north').update('12334939:mbzrxpgjys').digest('base64'),
    )
    expect([restExpiry('17:x'), restExpiry('17'), restExpiry('x:17'), restExpiry('17x'), restExpiry('')]).toEqual([
      17,
      17,
      undefined,
      undefined,
      undefined,
    ])
  })

  it('are good with any of the secrets until they expire', () => {
    expect(verdict(auth.check(request(soon), context()))).toBe(`authenticated ${soon}`)
    expect(verdict(auth.check(request(soon, 'the next secret of some length'), context()))).toBe(
      `authenticated ${soon}`,
    )
    expect(verdict(auth.check(request(soon, 'not a secret'), context()))).toBe('401 wrong-password')
    const late = context({ now: wallTime(now + 60_000) })
    expect(verdict(auth.check(request(soon), late))).toBe('401 expired-credentials')
    expect(verdict(auth.check(request(`${now / 1000 - 1}`), context()))).toBe('401 expired-credentials')
  })

  it('are judged by their expiry at Allocate only, unless strictly', () => {
    const late = context({ now: wallTime(now + 90_000), judgeExpiry: false })
    expect(verdict(auth.check(request(soon), late))).toBe(`authenticated ${soon}`)
    const strict = authOf({ secrets: [secret], strictExpiry: true })
    expect(verdict(strict.check(request(soon), late))).toBe('401 expired-credentials')
  })

  it('count for the user behind the expiry', () => {
    const result = auth.check(request(soon), context())
    expect(result.kind === 'authenticated' && result.user.identity).toBe('alice')
  })

  it('as does a name that is written with other spaces and accents, for its password is the same', () => {
    const names = ['Zo\u00eb K', 'Zoe\u0308\u00a0K', 'Zoe\u0308\u2003K']
    const several = authOf({ users: new Map([['Zo\u00eb K', 'secret']]) })
    const results = names.map((name) => several.check(signed(several, { name }), context()))
    expect(results.map((each) => each.kind === 'authenticated' && each.user.identity)).toEqual(
      names.map(() => names[0]),
    )
  })

  it('do not shadow a user whose name looks like them', () => {
    const named = authOf({ users: new Map([['17:alice', 'secret']]), secrets: [secret] })
    expect(verdict(named.check(signed(named, { name: '17:alice' }), context()))).toBe('authenticated 17:alice')
  })
})

describe('the authenticate hook and reloading', () => {
  it('may give a password or keys', () => {
    const key = Uint8Array.from(createHash('md5').update('carol:example.org:hers').digest())
    const auth = authOf({
      users: new Map(),
      authenticate: (name) =>
        name === 'bob' ? { password: 'his' } : name === 'carol' ? { keys: { md5: key } } : undefined,
    })
    expect(verdict(auth.check(signed(auth, { name: 'bob', secret: 'his' }), context()))).toBe('authenticated bob')
    expect(verdict(auth.check(signed(auth, { name: 'carol', secret: 'hers' }), context()))).toBe('authenticated carol')
    expect(verdict(auth.check(signed(auth, { name: 'dave', secret: 'hers' }), context()))).toBe('401 unknown-user')
  })

  it('other users are taken at once, and who was known on a 5-tuple stays so', () => {
    const auth = authOf()
    const request = signed(auth)
    const before = auth.check(request, context())
    auth.replace({ users: new Map([['alice', 'changed']]) })
    expect(verdict(auth.check(request, context()))).toBe('401 wrong-password')
    const known = before.kind === 'authenticated' ? before.user : undefined
    expect(verdict(auth.check(request, context({ known })))).toBe('authenticated alice')
    expect(verdict(auth.check(signed(auth, { secret: 'changed' }), context({ known })))).toBe('authenticated alice')
    expect(verdict(auth.check(signed(auth, { name: 'bob' }), context({ known })))).toBe('401 unknown-user')
  })

  it.each([{ realm: '' }, { realm: 'x'.repeat(128) }, { nonceKey: new Uint8Array(15) }])(
    'refuses options that will not do: %o',
    (options) => expect(() => authOf(options)).toThrow(NatcheckError),
  )
})

it('a challenge stays small', () => {
  const result = authOf({ realm: 'natcheck' }).check(message({ class: 'request' }), context())
  if (result.kind !== 'refused') throw new Error('believed')
  const bytes = encodeMessage({
    class: 'error',
    method: Method.allocate,
    transactionId: transactionId(1),
    attributes: [attribute(errorCode, { code: 401, reason: 'Unauthorized' }), ...result.attributes],
    fingerprint: true,
  })
  expect(bytes.length).toBeLessThanOrEqual(140)
  expect(get(message({ attributes: result.attributes }), nonce)?.length).toBeLessThan(128)
})
