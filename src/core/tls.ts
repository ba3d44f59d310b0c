/** What a TLS server shows of itself, and what can be wrong with it. */
import { NatcheckError } from './errors.ts'
import type { WallTime } from './time.ts'

/** One certificate of a server's chain. */
export interface CertificateInfo {
  /** The common name, else the organisation; empty when it has neither. */
  readonly subject: string
  readonly issuer: string
  /** Host names and IP addresses of the subjectAltName. */
  readonly names: readonly string[]
  readonly validFrom: WallTime
  readonly validTo: WallTime
  /** Issued by itself: a root, or a server's own. */
  readonly selfSigned: boolean
  /** SHA-256 of the certificate, in hex with colons. */
  readonly fingerprint: string
}

export interface TlsSession {
  /** Such as `TLSv1.3`. */
  readonly version: string
  /** Milliseconds that the handshake took after TCP was connected. Absent where nobody measured. */
  readonly handshakeMs?: number | undefined
  /** The server's own certificate first. */
  readonly chain: readonly CertificateInfo[]
}

/** What made TLS fail. */
export type TlsProblem =
  | 'expired' // the server's certificate, or one of its chain
  | 'not-yet-valid'
  | 'self-signed'
  | 'untrusted' // nobody we trust has issued it
  | 'wrong-name'
  | 'not-tls' // what came back is no TLS
  | 'closed' // the server hung up during the handshake
  | 'timeout' // TCP connected, but no handshake came about
  | 'handshake' // any other failure of it
  | 'bad-ca' // the authorities given to us can't be read

/** TLS_FAILED, or TIMEOUT of the handshake, with its reason as a word and the certificates as far as they were seen. */
export class TlsError extends NatcheckError {
  readonly problem: TlsProblem
  readonly chain: readonly CertificateInfo[]

  constructor(
    problem: TlsProblem,
    message: string,
    options: { fix?: string | undefined; cause?: unknown; chain?: readonly CertificateInfo[] } = {},
  ) {
    super(problem === 'timeout' ? 'TIMEOUT' : 'TLS_FAILED', message, options)
    this.problem = problem
    this.chain = options.chain ?? []
  }
}
