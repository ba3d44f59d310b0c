import { expect, test } from 'vitest'
import { NatcheckError } from '../../src/core/errors.ts'

test('an error carries its code, the way out and its cause', () => {
  const cause = new Error('EADDRINUSE')
  const error = new NatcheckError('ADDRESS_IN_USE', 'port 3478 is taken', { fix: 'Choose another with --port.', cause })
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({
    name: 'NatcheckError',
    code: 'ADDRESS_IN_USE',
    message: 'port 3478 is taken',
    fix: 'Choose another with --port.',
    cause,
  })
})

test('without options there is neither a fix nor a cause', () => {
  const error = new NatcheckError('TIMEOUT', 'no answer')
  expect(error.fix).toBeUndefined()
  expect('cause' in error).toBe(false)
})
