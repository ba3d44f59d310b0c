/** The certificate that the file names, and the one that clients are shown. */
import { readFileSync } from 'node:fs'
import { X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import type { Conf } from '../../../coturn/conf.ts'
import type { Answers } from './ask.ts'
import type { ClaimResult } from './claim.ts'

export interface CertificateClaim {
  readonly file: string
  readonly reality: string
  readonly result: ClaimResult
  readonly fix: string
}

const fix = 'natcheck coturn lint says whether coturn can read the files and whether they match; SIGUSR2 loads new ones'

/** As it stands on the disk; undefined: there is none that can be read. */
export function certificateIn(conf: Conf, cwd: string): X509Certificate | undefined {
  const path = conf.value('cert')
  if (path === undefined || path === '') return undefined
  try {
    return new X509Certificate(readFileSync(resolve(cwd, path)))
  } catch {
    return undefined
  }
}

/** A name that it is for, to ask with. */
export const nameIn = (certificate: X509Certificate | undefined): string | undefined =>
  /(?:DNS|IP Address):([^,\s]+)/.exec(certificate?.subjectAltName ?? '')?.[1]?.replace('*', 'natcheck')

const day = (date: string | number): string => new Date(date).toISOString().slice(0, 10)

export function certificateClaim(
  conf: Conf,
  certificate: X509Certificate | undefined,
  { reached }: Answers,
  now: number,
): CertificateClaim {
  const path = conf.value('cert')
  const seen = reached.find(({ protocol }) => protocol === 'tls')
  if (!conf.hasTls) {
    const file = conf.isOn('no-tls') ? 'no-tls' : 'no certificate and key: no TLS'
    return { file, reality: 'not asked', result: 'not-shown', fix }
  }
  const expiry = certificate ? `, to ${day(certificate.validTo)}` : ', which can’t be read here'
  const file = `${path}${expiry}`
  const [shown] = seen?.tls?.session.chain ?? []
  if (!seen || !shown) return { file, reality: `no TLS: ${seen?.why ?? 'not asked'}`, result: 'differs', fix }
  const version = seen.tls?.version === undefined ? '' : `, ${seen.tls.version}`
  const reality = `${shown.names.join(', ') || shown.subject}, to ${day(shown.validTo)}${version}`
  if (!certificate) return { file, reality, result: 'warning', fix }
  if (certificate.fingerprint256 !== shown.fingerprint) {
    return { file, reality: `another one: ${reality}`, result: 'differs', fix }
  }
  const isExpired = shown.validTo < now || shown.validFrom > now
  return {
    file,
    reality: isExpired ? `not valid now: ${reality}` : `the same: ${reality}`,
    result: isExpired ? 'differs' : 'same',
    fix,
  }
}
