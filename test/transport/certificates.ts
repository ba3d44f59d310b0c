/** X.509 certificates for tests, made here: no openssl needed, any dates, any names. RFC 5280; DER by X.690. */
import { generateKeyPairSync, type KeyObject, type KeyPairKeyObjectResult, sign } from 'node:crypto'
import { ipToBytes, parseIp } from '../../src/core/index.ts'

export interface CertificateOptions {
  readonly commonName: string
  /** Subject alternative names: DNS names and IP addresses. */
  readonly names?: readonly string[]
  readonly notBefore?: Date
  readonly notAfter?: Date
  /** Absent: self-signed. */
  readonly issuer?: Certificate
  readonly isAuthority?: boolean
  /** Absent: of P-256. Other keys than that need an issuer. */
  readonly keys?: KeyPairKeyObjectResult
}

export interface Certificate {
  readonly commonName: string
  readonly privateKey: KeyObject
  /** PEM */
  readonly cert: string
  /** PEM */
  readonly key: string
}

let serial = 1

export function certificate(options: CertificateOptions): Certificate {
  const { commonName, issuer } = options
  const { publicKey, privateKey } = options.keys ?? generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const tbs = sequence(
    tagged(0xa0, integer(2)), // version 3
    integer(serial++),
    sequence(ecdsaWithSha256),
    distinguishedName(issuer?.commonName ?? commonName),
    sequence(utcTime(options.notBefore ?? new Date('2020-01-01')), utcTime(options.notAfter ?? new Date('2049-01-01'))),
    distinguishedName(commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions(options))),
  )
  const signature = sign('sha256', tbs, issuer?.privateKey ?? privateKey)
  const der = sequence(tbs, sequence(ecdsaWithSha256), bitString(signature))
  const cert = `-----BEGIN CERTIFICATE-----\n${lines(der.toString('base64'))}\n-----END CERTIFICATE-----\n`
  return { commonName, privateKey, cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

/** An empty line at the end, where the text fills its last one, would make it unreadable. */
const lines = (base64: string): string => base64.replace(/.{64}(?=.)/g, '$&\n')

function extensions({ names = [], isAuthority = false }: CertificateOptions): Buffer[] {
  const constraints = sequence(
    oid(0x55, 0x1d, 0x13),
    boolean(true),
    octets(sequence(...(isAuthority ? [boolean(true)] : []))),
  )
  if (names.length === 0) return [constraints]
  const alternatives = names.map((name) =>
    parseIp(name) === undefined ? tagged(0x82, Buffer.from(name)) : tagged(0x87, Buffer.from(ipToBytes(name))),
  )
  return [constraints, sequence(oid(0x55, 0x1d, 0x11), octets(sequence(...alternatives)))]
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  const header =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(header), content])
}

const sequence = (...parts: readonly Buffer[]): Buffer => tagged(0x30, Buffer.concat(parts))
const boolean = (value: boolean): Buffer => tagged(0x01, Buffer.from([value ? 0xff : 0]))
const integer = (value: number): Buffer => tagged(0x02, Buffer.from([value]))
const octets = (content: Buffer): Buffer => tagged(0x04, content)
const bitString = (content: Buffer): Buffer => tagged(0x03, Buffer.concat([Buffer.from([0]), content]))
const oid = (...bytes: readonly number[]): Buffer => tagged(0x06, Buffer.from(bytes))
/** `2020-01-01T00:00:00.000Z` → `200101000000Z` */
const utcTime = (date: Date): Buffer =>
  tagged(0x17, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))
const distinguishedName = (commonName: string): Buffer =>
  sequence(tagged(0x31, sequence(oid(0x55, 0x04, 0x03), tagged(0x0c, Buffer.from(commonName)))))
/** 1.2.840.10045.4.3.2 */
const ecdsaWithSha256 = oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)
