/** What a machine knows and a file does not: handed to the rules by whoever can look. All of it may be absent. */
import type { ContainerCommand } from '../command.ts'

export interface Observations {
  readonly now?: Date
  /** Files that the configuration names, by the path as it stands there. */
  readonly files?: Readonly<Record<string, ObservedFile>>
  /** The permission bits of the configuration file itself, such as 0o640. */
  readonly mode?: number
  readonly certificate?: ObservedCertificate
  /** What this build of coturn lacks. */
  readonly lacks?: readonly ('prometheus' | 'mongo')[]
  readonly container?: ObservedContainer
}

/** `missing`, or `unreadable` with the reason (EACCES, EISDIR). */
export type ObservedFile =
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly why: string }
  | { readonly kind: 'readable'; readonly mode: number }

export interface ObservedCertificate {
  readonly notBefore: Date
  readonly notAfter: Date
  /** DNS names and addresses, from the subject alternative names. */
  readonly names: readonly string[]
  /** Whether the private key is the certificate's; absent: it could not be read. */
  readonly keyMatches?: boolean
  /** The file is no certificate at all. */
  readonly malformed?: boolean
}

export interface ObservedContainer extends Partial<ContainerCommand> {
  readonly platform: 'docker' | 'kubernetes'
}
