/** Credentials that a web service hands out: "A REST API For Access To TURN Services" (draft-uberti-behave-turn-rest-00). */
import type { WallTime } from '../core/index.ts'
import { restPassword } from '../proto/stun/index.ts'

/** An entry of RTCConfiguration.iceServers, to be pasted as it is. */
export interface IceServer {
  readonly urls: readonly string[]
  readonly username: string
  readonly credential: string
}

export interface TimeLimitedOptions {
  /** What relay and web service share; at least 16 bytes. */
  readonly secret: string
  /** Who the credentials are for: quotas count by it. */
  readonly user: string
  /** How long an Allocate with them is accepted, in seconds. */
  readonly ttlSeconds: number
  readonly now: WallTime
}

/** Shorter secrets can be guessed offline by anybody who was handed one credential. */
export const shortestSecretBytes = 16

/** `expiry:user` and the base64 of its HMAC-SHA1; expiry is in seconds since the Unix epoch. */
export function timeLimitedCredentials(options: TimeLimitedOptions): { username: string; credential: string } {
  const { secret, user, ttlSeconds, now } = options
  const username = `${Math.floor(now / 1000) + ttlSeconds}:${user}`
  return { username, credential: restPassword(secret, username) }
}
