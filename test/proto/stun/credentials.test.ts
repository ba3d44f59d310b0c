import { describe, expect, it } from 'vitest'
import {
  answerChallenge,
  checkReply,
  type LongTermSession,
  type RequestOutcome,
  type ShortTermCredentials,
  signRequest,
} from '../../../src/proto/stun/index.ts'
import {
  attribute,
  attributeName,
  decodeMessage,
  encodeMessage,
  errorCode,
  get,
  type IntegrityOptions,
  longTermKey,
  Method,
  nonce,
  passwordAlgorithm,
  passwordAlgorithms,
  rawAttribute,
  realm,
  type StunMessage,
  shortTermKey,
  userhash,
  userhashOf,
  username,
  withNonceCookie,
} from '../../../src/wire/index.ts'
import { AuthServer, type AuthServerOptions, user } from './auth-server.ts'
import { expectOk, failure, message, success } from './messages.ts'
import { virtualClient } from './virtual-client.ts'

const both = [{ algorithm: 2 }, { algorithm: 1 }]
const names = ({ attributes }: StunMessage | undefined = success()): string[] =>
  attributes.map(({ type }) => attributeName(type))

/** One Binding request to an authenticating server; what the network does to its answers is `tamper`. */
async function authenticate(
  options: AuthServerOptions,
  tamper: (answer: Uint8Array) => readonly Uint8Array[] = (answer) => [answer],
) {
  const server = new AuthServer(options)
  const { clock, client } = virtualClient((request) => tamper(server.answer(request)), { credentials: user })
  const ask = (): Promise<RequestOutcome> => clock.run(client.request({ method: Method.binding }))
  return { outcome: await ask(), server, client, ask }
}

/** Re-encodes an answer without some attributes, as somebody on the way could. */
function strip(
  bytes: Uint8Array,
  types: readonly number[],
  rewrite: Partial<Record<number, Uint8Array>> = {},
): Uint8Array {
  const { class: messageClass, method, transactionId, attributes } = expectOk(decodeMessage(bytes))
  const kept = attributes.filter(({ type }) => !types.includes(type))
  return encodeMessage({
    class: messageClass,
    method,
    transactionId,
    attributes: kept.map(({ type, value }) => rawAttribute(type, rewrite[type] ?? value)),
  })
}

describe('long-term credentials (RFC 8489 §9.2)', () => {
  it('meets a 401 from a server before RFC 8489 with MD5 and MESSAGE-INTEGRITY', async () => {
    const { outcome, server } = await authenticate({})
    expect(outcome).toMatchObject({ kind: 'success', transactions: 2, authenticated: true, refusal: undefined })
    expect(server.requests.map(names)).toEqual([[], ['USERNAME', 'REALM', 'NONCE', 'MESSAGE-INTEGRITY']])
  })

  it('uses a new transaction id for the retry', async () => {
    const { server } = await authenticate({})
    const [first, second] = server.requests
    expect(first?.transactionId).not.toEqual(second?.transactionId)
  })

  it('chooses SHA-256 when that is offered first, and repeats the offer as it came', async () => {
    const { outcome, server } = await authenticate({ algorithms: both })
    expect(outcome).toMatchObject({ kind: 'success', transactions: 2, authenticated: true })
    const signed = server.requests[1]
    expect(names(signed)).toEqual([
      'USERNAME',
      'REALM',
      'NONCE',
      'PASSWORD-ALGORITHMS',
      'PASSWORD-ALGORITHM',
      'MESSAGE-INTEGRITY-SHA256',
    ])
    expect(signed && get(signed, passwordAlgorithm)).toEqual({ algorithm: 2 })
    expect(signed && get(signed, passwordAlgorithms)).toEqual(both)
  })

  it('takes the first algorithm it has, skipping others and their parameters', async () => {
    const algorithms = [{ algorithm: 77, parameters: new Uint8Array([1, 2, 3]) }, { algorithm: 1 }, { algorithm: 2 }]
    const { outcome, server, client } = await authenticate({ algorithms })
    expect(outcome.kind).toBe('success')
    expect(server.requests[1] && get(server.requests[1], passwordAlgorithms)).toEqual(algorithms)
    expect(client.session?.algorithm).toBe('md5')
  })

  it('does not retry when it has none of the offered algorithms', async () => {
    const { outcome, server } = await authenticate({ algorithms: [{ algorithm: 77 }] })
    expect(outcome).toMatchObject({
      kind: 'error-response',
      error: { code: 401 },
      refusal: expect.stringContaining('no password algorithm'),
    })
    expect(server.requests).toHaveLength(1)
  })

  it('sends USERHASH and no USERNAME where the server can tell us apart by it', async () => {
    const { outcome, server } = await authenticate({ algorithms: both, anonymity: true })
    expect(outcome.kind).toBe('success')
    const signed = server.requests[1]
    expect(names(signed)).not.toContain('USERNAME')
    expect(signed && get(signed, userhash)).toEqual(userhashOf('alice', 'example.org'))
  })

  it('keeps what it learned for the next request', async () => {
    const { ask, server } = await authenticate({ algorithms: both })
    expect(await ask()).toMatchObject({ kind: 'success', transactions: 1, authenticated: true })
    expect(server.requests).toHaveLength(3)
  })

  it('meets a stale nonce with the new one', async () => {
    const { ask, server } = await authenticate({ algorithms: both })
    server.renewNonce()
    expect(await ask()).toMatchObject({ kind: 'success', transactions: 2, authenticated: true })
  })

  it('does not run in circles with a server that finds every nonce stale', async () => {
    const { outcome, server } = await authenticate({ stale: () => true })
    expect(outcome).toMatchObject({
      kind: 'error-response',
      error: { code: 438 },
      transactions: 5,
      authenticated: false,
      refusal: expect.stringContaining('stale'),
    })
    expect(server.requests).toHaveLength(5)
  })

  it('says that the password is wrong after one try with it', async () => {
    for (const algorithms of [undefined, both]) {
      const { outcome, server } = await authenticate({ password: 'another', ...(algorithms && { algorithms }) })
      expect(outcome).toMatchObject({
        kind: 'error-response',
        error: { code: 401 },
        refusal: 'the server does not accept this username and password',
      })
      expect(server.requests).toHaveLength(2)
    }
  })

  it('leaves a 401 alone when it has no credentials', async () => {
    const server = new AuthServer()
    const { clock, client } = virtualClient((request) => [server.answer(request)])
    const outcome = await clock.run(client.request({ method: Method.binding }))
    expect(outcome).toMatchObject({ kind: 'error-response', error: { code: 401 }, transactions: 1, refusal: undefined })
  })
})

describe('bid-down attacks (RFC 8489 §9.2.1)', () => {
  it('refuses a challenge whose PASSWORD-ALGORITHMS was removed, and gives nothing away', async () => {
    const { outcome, server } = await authenticate({ algorithms: both }, (answer) => [
      strip(answer, [passwordAlgorithms.type]),
    ])
    expect(outcome).toMatchObject({ kind: 'error-response', refusal: expect.stringContaining('bid-down') })
    expect(server.requests.map(names)).toEqual([[]])
  })

  it('does not succeed when the nonce is changed as well: the server does not know such a nonce', async () => {
    const plain = new TextEncoder().encode('nonce-without-cookie')
    const { outcome, server } = await authenticate({ algorithms: both }, (answer) => {
      const isChallenge = get(expectOk(decodeMessage(answer)), errorCode)?.code === 401
      return [isChallenge ? strip(answer, [passwordAlgorithms.type], { [nonce.type]: plain }) : answer]
    })
    // The server's 438 shows what it really offers, so the end is a strong success.
    expect(outcome).toMatchObject({ kind: 'success', transactions: 3 })
    expect(names(server.requests.at(-1))).toContain('MESSAGE-INTEGRITY-SHA256')
  })

  it('refuses when the list loses SHA-256: the server compares what comes back', async () => {
    const onlyMd5 = new Uint8Array([0, 1, 0, 0])
    const { outcome } = await authenticate({ algorithms: both }, (answer) => [
      strip(answer, [], { [passwordAlgorithms.type]: onlyMd5 }),
    ])
    // Its 400 can't carry integrity, so it counts as never received (§9.2.5).
    expect(outcome).toMatchObject({ kind: 'integrity-violated', why: 'error 400 has no message integrity' })
  })

  const session: LongTermSession = {
    realm: 'example.org',
    nonce: 'old',
    anonymous: true,
    offered: new Uint8Array([0, 2, 0, 0]),
    algorithm: 'sha-256',
    key: longTermKey({ ...user, realm: 'example.org' }, 'sha-256'),
  }
  const stale = (text: string, algorithms?: readonly { algorithm: number }[]): StunMessage =>
    failure(438, '', [
      attribute(realm, 'example.org'),
      attribute(nonce, text),
      ...(algorithms ? [attribute(passwordAlgorithms, algorithms)] : []),
    ])
  it.each([
    ['all algorithms', stale('new')],
    [
      'SHA-256',
      stale(withNonceCookie({ passwordAlgorithms: true, usernameAnonymity: true }, 'new'), [{ algorithm: 1 }]),
    ],
    ['username anonymity', stale(withNonceCookie({ passwordAlgorithms: true, usernameAnonymity: false }, 'new'), both)],
  ])('refuses a later challenge that withdraws %s', (_, response) => {
    expect(answerChallenge(user, session, response)).toEqual({
      kind: 'refuse',
      cause: 'bid-down',
      why: expect.stringContaining('bid-down'),
    })
  })

  it('takes an upgrade', () => {
    const weak: LongTermSession = { ...session, anonymous: false, offered: undefined, algorithm: 'md5' }
    const response = stale(withNonceCookie({ passwordAlgorithms: true, usernameAnonymity: true }, 'new'), both)
    expect(answerChallenge(user, weak, response)).toMatchObject({
      kind: 'retry',
      session: { algorithm: 'sha-256', anonymous: true, key: session.key },
    })
  })

  it('ignores other replies whose nonce promises what is not there', () => {
    const reply = message({
      attributes: [attribute(nonce, withNonceCookie({ passwordAlgorithms: true, usernameAnonymity: false }, ''))],
    })
    expect(checkReply(reply, undefined)).toMatchObject({ accepted: false })
  })
})

describe('challenges', () => {
  it('need REALM and NONCE; a 438 may leave the realm as it is', () => {
    const session = {
      realm: 'r',
      nonce: 'old',
      anonymous: false,
      offered: undefined,
      algorithm: 'md5',
      key: new Uint8Array(16),
    } as const
    expect(answerChallenge(user, undefined, failure(401, '', [attribute(nonce, 'n')]))).toMatchObject({
      kind: 'refuse',
    })
    expect(answerChallenge(user, undefined, failure(401, '', [attribute(realm, 'r')]))).toMatchObject({
      kind: 'refuse',
    })
    expect(answerChallenge(user, session, failure(438, '', [attribute(nonce, 'n')]))).toEqual({
      kind: 'retry',
      session: { ...session, nonce: 'n' },
    })
  })

  it('with another realm get another key', () => {
    const first = answerChallenge(user, undefined, failure(401, '', [attribute(realm, 'a'), attribute(nonce, 'n')]))
    if (first?.kind !== 'retry') throw new Error('refused')
    expect(first.session.key).toEqual(longTermKey({ ...user, realm: 'a' }))
    const second = answerChallenge(
      user,
      first.session,
      failure(401, '', [attribute(realm, 'b'), attribute(nonce, 'n')]),
    )
    expect(second).toMatchObject({ kind: 'retry', session: { realm: 'b', key: longTermKey({ ...user, realm: 'b' }) } })
  })

  it('are only 401 and 438, and only for long-term credentials', () => {
    const parts = [attribute(realm, 'r'), attribute(nonce, 'n')]
    expect(answerChallenge(user, undefined, failure(400, '', parts))).toBeUndefined()
    expect(answerChallenge(undefined, undefined, failure(401, '', parts))).toBeUndefined()
    expect(answerChallenge({ ...user, kind: 'short-term' }, undefined, failure(401, '', parts))).toBeUndefined()
  })
})

describe('replies to a signed request', () => {
  const key = longTermKey({ ...user, realm: 'example.org' })
  const sha1: IntegrityOptions = { key }
  const sha256: IntegrityOptions = { key, algorithm: 'sha256' }
  const either: IntegrityOptions = { key, algorithm: 'both' }
  const sealed = (integrity: IntegrityOptions): StunMessage => success({ integrity })
  const wrong = { key: new Uint8Array(16) }

  it.each<[string, StunMessage, IntegrityOptions, boolean]>([
    ['SHA-1 for SHA-1', sealed(sha1), sha1, true],
    ['SHA-256 for SHA-256', sealed(sha256), sha256, true],
    ['SHA-1 for both', sealed(sha1), either, true],
    ['SHA-256 for both', sealed(sha256), either, true],
    ['SHA-1 for SHA-256', sealed(sha1), sha256, false],
    ['SHA-256 for SHA-1', sealed(sha256), sha1, false],
    ['none', success(), sha1, false],
    ['a wrong key', sealed(wrong), sha1, false],
    ['a wrong key, SHA-256', sealed({ ...wrong, algorithm: 'sha256' }), sha256, false],
    ['a truncated SHA-256', sealed({ ...sha256, truncateTo: 16 }), sha256, false],
    [
      'a signed error',
      message({ class: 'error', attributes: [attribute(errorCode, { code: 403, reason: '' })], integrity: sha1 }),
      sha1,
      true,
    ],
    ['an unsigned error', failure(403, ''), sha1, false],
    ['an unsigned 400', failure(400, ''), sha1, false],
    ['an unsigned 401', failure(401, ''), sha1, true],
    ['an unsigned 438', failure(438, ''), sha1, true],
  ])('%s', (_, reply, request, accepted) => {
    expect(checkReply(reply, request, 'long-term').accepted).toBe(accepted)
  })

  it('that are forged do not end the request, and the true one does', async () => {
    const forged = (answer: Uint8Array): readonly Uint8Array[] => {
      const { class: messageClass, transactionId } = expectOk(decodeMessage(answer))
      return messageClass === 'success' ? [success({ transactionId }).bytes, answer] : [answer]
    }
    const { outcome } = await authenticate({}, forged)
    expect(outcome).toMatchObject({
      kind: 'success',
      authenticated: true,
      discarded: [{ why: 'the success response has no message integrity' }],
    })
  })
})

describe('short-term credentials (RFC 8489 §9.1)', () => {
  const peer: ShortTermCredentials = { kind: 'short-term', username: 'a:b', password: 'VOkJxbRl1RmTxUk/WvJxBt' }

  it.each([
    [undefined, ['USERNAME', 'MESSAGE-INTEGRITY', 'MESSAGE-INTEGRITY-SHA256']],
    ['sha1', ['USERNAME', 'MESSAGE-INTEGRITY']],
    ['sha256', ['USERNAME', 'MESSAGE-INTEGRITY-SHA256']],
  ] as const)('sign the first request (%s)', (integrity, expected) => {
    const signed = signRequest([], { ...peer, integrity }, undefined)
    const request = message({ class: 'request', ...signed })
    expect(names(request)).toEqual(expected)
    expect(get(request, username)).toBe('a:b')
    expect(signed.integrity?.key).toEqual(shortTermKey(peer.password))
  })

  it('believe no unsigned 401: who does not know the password can say anything (§9.1.4)', () => {
    const { integrity } = signRequest([], peer, undefined)
    expect(checkReply(failure(401, ''), integrity, 'short-term')).toMatchObject({ accepted: false })
  })

  it('end in one transaction', async () => {
    const { clock, client } = virtualClient(
      (request) => {
        const { transactionId } = expectOk(decodeMessage(request))
        return [success({ transactionId, integrity: { key: shortTermKey(peer.password), algorithm: 'sha256' } }).bytes]
      },
      { credentials: peer },
    )
    const outcome = await clock.run(client.request({ method: Method.binding }))
    expect(outcome).toMatchObject({ kind: 'success', transactions: 1, authenticated: true })
  })
})
