/** Certificates are looked at before they are served. */
import { createPrivateKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { NatcheckError, wallTime } from '../../src/core/index.ts'
import { checkServerCertificate } from '../../src/relay/certificate.ts'
import { certificate } from '../transport/certificates.ts'

const now = wallTime(Date.parse('2026-11-21T00:00:00Z'))
const good = certificate({ commonName: 'relay.example.org', notAfter: new Date('2027-01-01T00:00:00Z') })
const other = certificate({ commonName: 'other.example.org' })

test('a good one, and until when it is good', () => {
  expect(checkServerCertificate(good, now)).toEqual(new Date('2027-01-01T00:00:00Z'))
})

const encrypted = createPrivateKey(good.key)
  .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
  .toString()

test.each([
  ['no PEM', { cert: 'CERT', key: good.key }, "the certificate can't be read"],
  ['no key', { cert: good.cert, key: 'KEY' }, "the certificate's key can't be read"],
  ['the key first', { cert: good.key, key: good.cert }, "the certificate can't be read"],
  ['an encrypted key', { cert: good.cert, key: encrypted }, "the certificate's key can't be read"],
  ["another certificate's key", { cert: good.cert, key: other.key }, 'the key is not the one of the certificate'],
  [
    'expired',
    certificate({ commonName: 'a', notBefore: new Date('2020-01-01'), notAfter: new Date('2026-11-20') }),
    'the certificate expired on 2026-11-20',
  ],
  [
    'from the future',
    certificate({ commonName: 'a', notBefore: new Date('2026-12-01') }),
    'not valid before 2026-12-01',
  ],
])('%s', (_, pair, message) => {
  try {
    checkServerCertificate(pair, now)
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(NatcheckError)
    expect(error).toMatchObject({
      code: 'BAD_FILE',
      message: expect.stringContaining(message),
      fix: expect.any(String),
    })
  }
})
