/** One thing that a configuration says, and what was seen of it. */
import type { Conf } from '../../../coturn/conf.ts'
import type { Access } from './access.ts'
import type { Answers } from './ask.ts'
import type { CertificateClaim } from './certificate.ts'

/** `not-shown`: nothing was seen that tells. */
export type ClaimResult = 'same' | 'differs' | 'warning' | 'not-shown'

export interface Claim {
  readonly id: string
  readonly title: string
  /** What the file says. */
  readonly file: string
  /** What the server does. */
  readonly reality: string
  readonly result: ClaimResult
  /** Where there is something to change. */
  readonly fix: string | null
}

export interface Compared {
  /** The file that was named. */
  readonly conf: Conf
  /** What the server that was asked runs with: the private copy, or the file itself. */
  readonly running: Conf
  readonly access: Access
  readonly certificate: CertificateClaim
  readonly answers: Answers
}

export type Judged = Pick<Claim, 'file' | 'reality' | 'result'> & { readonly fix?: string }

export const claim = (id: string, title: string, { fix, ...rest }: Judged): Claim => ({
  id,
  title,
  ...rest,
  fix: rest.result === 'same' || rest.result === 'not-shown' ? null : (fix ?? null),
})

export const same = (is: boolean): ClaimResult => (is ? 'same' : 'differs')
export const notShown = (file: string, reality: string): Judged => ({ file, reality, result: 'not-shown' })
