/** What is wrong with a TLS server's certificate, or with its handshake, in one line a person can act on. */
import { isIP } from 'node:net'
import { checkServerIdentity, type DetailedPeerCertificate, type PeerCertificate, type TLSSocket } from 'node:tls'
import { type CertificateInfo, parseIp, type TlsProblem, wallTime } from '../core/index.ts'
import { systemWord } from './failures.ts'

/** A problem as a word for programs and in words for people. */
export type Problem = readonly [TlsProblem, string]

/** The problem with the certificate of an established connection; undefined when there is none. RFC 9525 for the name. */
export function certificateProblem(tls: TLSSocket, serverName: string): Problem | undefined {
  const certificate = tls.getPeerCertificate()
  if (!tls.authorized) {
    // Typed as an Error, but it is the code's string.
    return chainProblem(String(tls.authorizationError), certificate)
  }
  return checkServerIdentity(serverName, certificate) === undefined
    ? undefined
    : ['wrong-name', nameProblem(serverName, certificate)]
}

/** More certificates than this are no chain that anybody sends. */
const maxChain = 10

/** The chain as the server sent it, completed by the authorities known here. */
export function certificateChain(tls: TLSSocket): readonly CertificateInfo[] {
  const chain: CertificateInfo[] = []
  let certificate: DetailedPeerCertificate | undefined = tls.getPeerCertificate(true)
  // A root is its own issuer. Without any certificate the object is empty.
  while (certificate?.raw && chain.length < maxChain) {
    chain.push(describe(certificate))
    const next: DetailedPeerCertificate | undefined = certificate.issuerCertificate
    certificate = next === certificate ? undefined : next
  }
  return chain
}

const describe = (certificate: DetailedPeerCertificate): CertificateInfo => ({
  subject: first(certificate.subject?.CN) ?? first(certificate.subject?.O) ?? '',
  issuer: issuer(certificate),
  names: namesOf(certificate),
  validFrom: wallTime(new Date(certificate.valid_from).getTime()),
  validTo: wallTime(new Date(certificate.valid_to).getTime()),
  selfSigned: certificate.issuerCertificate?.fingerprint256 === certificate.fingerprint256,
  fingerprint: certificate.fingerprint256,
})

/** Whether trusting one more authority would help. */
export const isMissingAuthority = (tls: TLSSocket): boolean =>
  /SELF_SIGNED|UNABLE_TO_(?:GET_ISSUER|VERIFY)/.test(String(tls.authorizationError))

function chainProblem(code: string, certificate: PeerCertificate): Problem {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      // It may be an intermediate's turn to be renewed.
      return [
        'expired',
        new Date(certificate.valid_to).getTime() < Date.now()
          ? `the certificate expired on ${day(certificate.valid_to)}`
          : 'a certificate of its chain has expired',
      ]
    case 'CERT_NOT_YET_VALID':
      return [
        'not-yet-valid',
        `the certificate is not valid before ${day(certificate.valid_from)}: check the clocks of both sides`,
      ]
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return ['self-signed', 'the certificate is self-signed']
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return [
        'untrusted',
        `the certificate was issued by ${issuer(certificate)}, under an authority that is not trusted here`,
      ]
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return [
        'untrusted',
        `the certificate's issuer, ${issuer(certificate)}, is unknown (the server may not send its intermediate certificate)`,
      ]
    default:
      return ['untrusted', `the certificate is not trusted (${code})`]
  }
}

function nameProblem(serverName: string, certificate: PeerCertificate): string {
  const names = namesOf(certificate)
  const commonName = first(certificate.subject?.CN)
  const valid = names.length > 0 ? names.join(', ') : (commonName ?? 'no name at all')
  return `the certificate is not valid for ${isIP(serverName) ? 'the address ' : ''}${serverName}: it is valid for ${valid}`
}

const namesOf = (certificate: PeerCertificate): string[] =>
  (certificate.subjectaltname ?? '').split(', ').flatMap((entry) => {
    const name = /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1]
    return name === undefined ? [] : [parseIp(name) ?? name]
  })

/** Two issuers with the same field come as an array. */
const first = (field: string | readonly string[] | undefined): string | undefined =>
  typeof field === 'string' || field === undefined ? field : field[0]

const issuer = (certificate: PeerCertificate): string =>
  first(certificate.issuer?.CN) ?? first(certificate.issuer?.O) ?? 'an authority without a name'

/** `Nov 21 03:51:00 2026 GMT`, OpenSSL's form, as `2026-11-21`. */
function day(date: string): string {
  const time = new Date(date)
  return Number.isNaN(time.getTime()) ? date : time.toISOString().slice(0, 10)
}

/** Why the handshake failed before there was a certificate to look at. */
export function handshakeProblem(error: unknown): Problem {
  const word = systemWord(error)
  switch (word) {
    // Both: the first bytes that came back are no TLS record.
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return ['not-tls', 'the server does not speak TLS on this port']
    case 'ECONNRESET':
    case 'EPIPE':
      return ['closed', 'the server closed the connection during the handshake']
    default:
      return ['handshake', `the handshake failed (${word})`]
  }
}
