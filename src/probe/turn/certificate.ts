/** The certificate that TLS clients are shown. */
import type { WallTime } from '../../core/index.ts'
import type { CauseCode } from '../ice/observations.ts'
import type { Notes } from './examination.ts'
import type { TransportObservation } from './observations.ts'

/** Certificates of ACME authorities are renewed a month ahead: whoever has less left has a renewal that fails. */
const renewDays = 14
const dayMs = 86_400_000

const problems: Readonly<Partial<Record<CauseCode, string>>> = {
  'certificate-expired': 'it has expired',
  'certificate-not-yet-valid': 'it is not valid yet',
  'certificate-wrong-name': 'it is for another name',
  'certificate-self-signed': 'it is signed by itself',
  'certificate-untrusted': 'nobody we trust has issued it',
}

/**
 * Of the port that the URI names or that gave an allocation. A port that was only tried is worth a warning if it is TURN's
 * own; what listens on another is nobody's matter.
 */
export function noteCertificate(notes: Notes, transports: readonly TransportObservation[], now: WallTime): void {
  const byTls = transports.filter(({ transport }) => transport === 'tls')
  const working = byTls.find(({ relayed }) => relayed !== null)
  const isTurnPort = ({ named, address }: TransportObservation): boolean => named || address?.endsWith(':5349') === true
  const failing = byTls.find((each) => isTurnPort(each) && each.causes.some(({ code }) => code in problems))
  const subject = failing ?? working
  if (!subject) return notes.noteLate('certificate', 'not-tested', 'no TLS')
  const { tls, address } = subject
  const days = tls ? Math.floor((Date.parse(tls.validTo) - now) / dayMs) : null
  const { version = null, names = [], validTo = null } = tls ?? {}
  const facts = { address, version, names, validTo, days }
  const seen = tls ? `valid to ${tls.validTo.slice(0, 10)} (${days} days), for ${tls.names.join(', ')}` : ''
  const problem = subject.causes.map(({ code }) => problems[code]).find((each) => each !== undefined)
  if (problem !== undefined) {
    const result = subject.named ? 'no' : 'warning'
    return notes.noteLate('certificate', result, `${problem}${seen && `: ${seen}`}`, facts)
  }
  if (!tls || days === null)
    return notes.noteLate('certificate', 'inconclusive', 'TLS works, and no certificate was seen')
  notes.noteLate('certificate', days < renewDays ? 'warning' : 'yes', `${seen}, ${tls.version ?? 'TLS'}`, facts)
}
