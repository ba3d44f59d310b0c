import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NatcheckError } from '../../../src/core/index.ts'
import { readIceServers } from '../../../src/probe/ice/index.ts'
import { formatServerUri } from '../../../src/wire/index.ts'

const turn = { urls: 'turn:a.example', username: 'alice', credential: 'pa55' }

const read = (value: unknown): unknown =>
  readIceServers(value).map(({ uri, username, credential }) => [formatServerUri(uri), username, credential])

describe('takes what web applications write', () => {
  test.each<[string, unknown, unknown]>([
    ['a list', [turn], [['turn:a.example', 'alice', 'pa55']]],
    ['one entry', turn, [['turn:a.example', 'alice', 'pa55']]],
    ['an RTCConfiguration', { iceServers: [turn], iceTransportPolicy: 'relay' }, [['turn:a.example', 'alice', 'pa55']]],
    [
      'null where there is nothing, and keys that browsers pass over',
      { urls: 'stun:s.example', username: null, credential: null, ttl: 86_400 },
      [['stun:s.example', undefined, undefined]],
    ],
    ['the older spelling', { url: 'stun:s.example' }, [['stun:s.example', undefined, undefined]]],
    [
      'several URLs, STUN among them, without credentials of their own',
      { ...turn, urls: ['turns:a.example:443?transport=tcp', 'stun:a.example'], credentialType: 'password' },
      [
        ['turns:a.example:443?transport=tcp', 'alice', 'pa55'],
        ['stun:a.example', undefined, undefined],
      ],
    ],
  ])('%s', (_, value, expected) => {
    expect(read(value)).toEqual(expected)
  })
})

describe('points at the key', () => {
  test.each<[unknown, string]>([
    ['stun:a.example', 'iceServers is no list'],
    [null, 'iceServers is no list'],
    [[], 'iceServers names no server'],
    [[turn, 7], 'iceServers[1] is no object'],
    [[{ ...turn, username: null, user: 'x' }], 'iceServers[0].username is missing; user is no key of an ICE server'],
    [[{ url5: 'turn:a.example' }], 'iceServers[0].urls is missing; url5 is no key of an ICE server'],
    [[{ username: 'x' }], 'iceServers[0].urls is missing'],
    [[{ ...turn, urls: [] }], 'iceServers[0].urls names no server'],
    [[turn, { ...turn, urls: ['turn:a.example', 'http://b.example'] }], 'iceServers[1].urls[1] has no stun:'],
    [[{ ...turn, urls: 'turn:a.example:99999' }], 'iceServers[0].urls: "turn:a.example:99999" is not'],
    [[{ ...turn, urls: 5 }], 'iceServers[0].urls is no text'],
    [[{ urls: 'turn:a.example', credential: 'pa55' }], 'iceServers[0].username is missing'],
    [[{ urls: 'turn:a.example', username: 'alice' }], 'iceServers[0].credential is missing'],
    [[{ ...turn, credential: { accessToken: 'pa55' } }], 'iceServers[0].credential is no text'],
    [[{ ...turn, credentialType: 'oauth' }], 'iceServers[0].credentialType is not'],
  ])('%j', (value, message) => {
    expect(() => readIceServers(value)).toThrow(message)
    expect(() => readIceServers(value)).not.toThrow('pa55')
  })

  test('whatever JSON it gets, it throws nothing but a NatcheckError', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          readIceServers([value])
        } catch (error) {
          expect(error).toBeInstanceOf(NatcheckError)
        }
      }),
    )
  })
})
