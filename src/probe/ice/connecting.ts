/** TCP and TLS as stages of an attempt, and the certificate that was shown. */
import { type CertificateInfo, TlsError, type TlsSession } from '../../core/index.ts'
import type { TlsObservation } from './observations.ts'
import type { OpenAttempt, Recorder } from './recorder.ts'

/** TCP has connected; what comes next is the handshake, or what the server is asked. */
export function noteConnected(recorder: Recorder, attempt: OpenAttempt): void {
  // A session that connects again, after a redirect or from another port, does not say when it began to.
  if (!attempt.running) recorder.begin(attempt, 'connect', attempt.stages.at(-1)?.endMs ?? recorder.now())
  recorder.end(attempt, true, 'connected')
  if (attempt.transport === 'tls') recorder.begin(attempt, 'tls')
}

export function noteTls(recorder: Recorder, attempt: OpenAttempt, tls: TlsSession | undefined): void {
  if (tls) attempt.tls = describeTls(tls.version, tls.chain)
  if (attempt.running?.stage === 'tls')
    recorder.end(attempt, true, tls ? `${tls.version}, certificate accepted` : 'done')
}

/** null: the server showed no certificate. */
export function describeTls(version: string | null, [own]: readonly CertificateInfo[]): TlsObservation | null {
  if (!own) return null
  const iso = (time: number): string => new Date(time).toISOString()
  return {
    version,
    names: own.names.length > 0 ? own.names : [own.subject],
    issuer: own.issuer,
    validFrom: iso(own.validFrom),
    validTo: iso(own.validTo),
  }
}

/** Without the certificate's names, which stand in fields of their own: `--redact` has to find them. */
export function problemWords(error: unknown): string {
  if (error instanceof TlsError) return `TLS failed: ${error.problem}`
  return error instanceof Error ? error.message : String(error)
}
