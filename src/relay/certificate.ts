/** Whether a certificate and its key can serve TLS now; better told at the start than by the first client. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { NatcheckError, type ServerCertificate, type WallTime } from '../core/index.ts'

/** Throws BAD_FILE, with what is wrong in one line. Returns until when the certificate is valid. */
export function checkServerCertificate({ cert, key }: ServerCertificate, now: WallTime): Date {
  const certificate = readCertificate(cert)
  const validFrom = new Date(certificate.validFrom)
  const validTo = new Date(certificate.validTo)
  if (validTo.getTime() < now) throw failed(`the certificate expired on ${day(validTo)}`, 'renew it')
  if (validFrom.getTime() > now) {
    throw failed(`the certificate is not valid before ${day(validFrom)}`, 'check the clock of this machine')
  }
  if (!certificate.checkPrivateKey(readKey(key))) {
    throw failed('the key is not the one of the certificate', 'give the key that the certificate was issued for')
  }
  return validTo
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw failed(
      "the certificate can't be read",
      'give a PEM file, the certificate first and its chain after it',
      cause,
    )
  }
}

function readKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    throw failed("the certificate's key can't be read", 'give a PEM file with an unencrypted private key', cause)
  }
}

const day = (date: Date): string => date.toISOString().slice(0, 10)

const failed = (message: string, fix: string, cause?: unknown): NatcheckError =>
  new NatcheckError('BAD_FILE', message, { fix, cause })

/** The first DNS name that a checked certificate is for; undefined when it has none, or stands for many. */
export function certificateName({ cert }: ServerCertificate): string | undefined {
  const names = new X509Certificate(cert).subjectAltName?.split(', ') ?? []
  return names.flatMap((name) => /^DNS:([^*"]+)$/.exec(name)?.[1] ?? [])[0]?.toLowerCase()
}
