/** The certificate that TLS clients are shown. */
import type { CertificateInfo, WallTime } from '../../core/index.ts'
import type { CauseCode } from '../ice/observations.ts'
import type { Notes } from './examination.ts'
import type { CertificateObservation, TransportObservation } from './observations.ts'

/** Certificates of ACME authorities are renewed a month ahead: whoever has less left has a renewal that fails. */
const renewDays = 14
const dayMs = 86_400_000

export const describeCertificate = (certificate: CertificateInfo): CertificateObservation => ({
  subject: certificate.subject,
  issuer: certificate.issuer,
  names: certificate.names,
  validFrom: new Date(certificate.validFrom).toISOString(),
  validTo: new Date(certificate.validTo).toISOString(),
  selfSigned: certificate.selfSigned,
})

const problems: Readonly<Partial<Record<CauseCode, string>>> = {
  'certificate-expired': 'it has expired',
  'certificate-not-yet-valid': 'it is not valid yet',
  'certificate-wrong-name': 'it is for another name',
  'certificate-self-signed': 'it is signed by itself',
  'certificate-untrusted': 'nobody we trust has issued it',
}

/** Of the port that the URI names or that gave an allocation; what else listens on a port that was only tried is nobody's matter. */
export function noteCertificate(notes: Notes, transports: readonly TransportObservation[], now: WallTime): void {
  const tls = transports.filter(({ transport }) => transport === 'tls')
  const working = tls.find(({ tlsVersion, rttMs }) => tlsVersion !== null && rttMs !== null)
  const isTurnPort = ({ named, address }: TransportObservation): boolean => named || /:5349$/.test(address ?? '')
  const failing = tls.find((each) => isTurnPort(each) && each.causes.some(({ code }) => code in problems))
  const subject = failing ?? working
  if (!subject) return notes.note('certificate', 'not-tested', 'no TLS')
  const [own] = subject.chain
  const days = own ? Math.floor((Date.parse(own.validTo) - now) / dayMs) : null
  const facts = {
    address: subject.address,
    version: subject.tlsVersion,
    names: own?.names ?? [],
    issuer: own?.issuer ?? null,
    validTo: own?.validTo ?? null,
    days,
    chain: subject.chain.map((each) => each.subject),
  }
  const until = own && days !== null ? `${own.validTo.slice(0, 10)} (${days} days)` : ''
  const problem = subject.causes.map(({ code }) => problems[code]).find((each) => each !== undefined)
  const names = own ? `, for ${own.names.join(', ') || own.subject}` : ''
  if (problem !== undefined)
    return notes.note('certificate', 'no', `${problem}${names}${until && `, valid to ${until}`}`, facts)
  if (!own || days === null) return notes.note('certificate', 'yes', subject.tlsVersion ?? 'TLS', facts)
  const detail = `valid to ${until}${names}, ${subject.tlsVersion ?? 'TLS'}`
  notes.note('certificate', days < renewDays ? 'warning' : 'yes', detail, facts)
}
