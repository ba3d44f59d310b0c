import { expect, test } from 'vitest'
import { nearest } from '../../src/core/suggest.ts'

test.each([
  ['relam', 'realm'], // swapped
  ['raelm', 'realm'],
  ['erlam', undefined], // twice
  ['realms', 'realm'], // one too many
  ['relm', 'realm'], // one too few
  ['reelm', 'realm'], // another
  ['REALM', 'realm'],
  ['users-flie', 'users-file'],
  ['user', undefined],
  ['', undefined],
])('%j means %j', (typed, meant) => {
  expect(nearest(typed, ['listen', 'realm', 'users-file'])).toBe(meant)
})
