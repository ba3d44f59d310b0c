/** What `init` is asked to write. */
import type { IpAddress } from '../../core/index.ts'
import type { CoturnVersion } from '../version.ts'

/**
 * `public`: for the internet. `internal`: for a company's own network, so private peers are allowed.
 * `lab`: internal, with the NAT behaviour tests of RFC 5780.
 */
export type Profile = 'public' | 'internal' | 'lab'

export interface CoturnPlan {
  readonly version: CoturnVersion
  readonly profile: Profile
  readonly realm: string
  readonly auth: PlannedAuth
  readonly tls: PlannedTls
  /** Local addresses to listen on and relay from; none: all of the machine. */
  readonly relayIps: readonly IpAddress[]
  /** Behind 1:1 NAT. */
  readonly externalIps: readonly { readonly external: IpAddress; readonly internal?: IpAddress | undefined }[]
  readonly ports: { readonly min: number; readonly max: number }
  /** Connection string of Redis, as coturn has it: `ip=… dbname=…`. */
  readonly redis?: string | undefined
  readonly metrics?: { readonly ip: IpAddress; readonly port: number } | undefined
  readonly container: boolean
}

export type PlannedAuth =
  /** Without a secret the file says where it belongs: for files that everybody may read. */
  | { readonly kind: 'rest'; readonly secret?: string }
  | { readonly kind: 'users'; readonly users: readonly PlannedUser[] }

export interface PlannedUser {
  readonly name: string
  /** 32 hexadecimal digits, as `userKey` makes them. */
  readonly key: string
}

export type PlannedTls =
  | { readonly kind: 'none' }
  /** `letsencrypt`: copied here by a deploy hook. */
  | { readonly kind: 'letsencrypt' | 'files'; readonly cert: string; readonly key: string }

/** Where the deploy hook of certbot copies to. */
export const certificateDirectory = '/etc/turnserver'
