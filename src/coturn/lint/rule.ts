/** What a rule is, and what it finds. */
import type { Conf, Setting } from '../conf.ts'
import type { Line } from '../parse.ts'
import type { CoturnVersion } from '../version.ts'
import type { Observations } from './observations.ts'

/**
 * `error`: coturn refuses or ignores the line, it opens access, or it breaks clients.
 * `warning`: it works and should not stay so. `hint`: worth knowing.
 */
export type Severity = 'error' | 'warning' | 'hint'

export interface Rule {
  readonly id: string
  readonly severity: Severity
  /** What goes wrong, in one or two sentences. */
  readonly why: string
  /** What to do about it. */
  readonly fix: string
  /** CVE, RFC or release of coturn. */
  readonly reference: string
  check(conf: Conf, observed: Observations): Iterable<Problem>
  readonly bad: Sample
  readonly good: Sample
}

/** What a rule sees. */
export interface Problem {
  /** Where; absent: something is missing from the file as a whole. */
  readonly at?: Line | Setting | undefined
  /** In one sentence, with the value at fault, and never with a secret. */
  readonly message: string
  /** Edits that are safe: they make coturn do what the file plainly meant, or close what nobody needs. */
  readonly edits?: readonly Edit[]
}

export type Edit =
  /** `text` without line end; absent: the line goes. */
  | { readonly kind: 'replace'; readonly line: Line; readonly text?: string }
  | { readonly kind: 'append'; readonly text: string }

/** A configuration that shows a rule: `bad` breaks it, `good` keeps it. */
export interface Sample {
  readonly text: string
  /** Default 4.6.1. */
  readonly version?: CoturnVersion
  readonly command?: string
  readonly observed?: Observations
}
