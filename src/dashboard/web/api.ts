/** The dashboard's own server. */
import type { CheckupReport } from '../../report/checkup.ts'

export class RequestError extends Error {
  readonly status: number
  readonly fix: string | null

  constructor(status: number, message: string, fix: string | null) {
    super(message)
    this.status = status
    this.fix = fix
  }
}

export interface Config {
  readonly host: boolean
  readonly relay: boolean
  /** The host can be a peer. */
  readonly peer: boolean
}

/** Rejects with a RequestError, in the server's own words where it has some. */
async function request(path: string, method: 'GET' | 'POST' | 'DELETE' = 'GET', body?: object): Promise<unknown> {
  let response: Response
  try {
    response = await fetch(path, {
      method,
      ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
    })
  } catch {
    throw new RequestError(0, 'the dashboard does not answer', 'check that natcheck still runs')
  }
  if (response.status === 204) return undefined
  const answer: unknown = await response.json().catch(() => undefined)
  if (response.ok) return answer
  const { error, fix } = (answer ?? {}) as { error?: string; fix?: string | null }
  throw new RequestError(response.status, error ?? `the dashboard answers ${response.status}`, fix ?? null)
}

export const signIn = async (token: string): Promise<void> => void (await request('api/session', 'POST', { token }))
export const fetchConfig = async (): Promise<Config> => (await request('api/config')) as Config
export const startHostCheck = async (): Promise<void> => void (await request('api/host/check', 'POST'))

export async function fetchIceServers(): Promise<readonly RTCIceServer[]> {
  return ((await request('api/ice-servers')) as { iceServers: readonly RTCIceServer[] }).iceServers
}

export async function makeRoom(): Promise<string> {
  return ((await request('api/rooms', 'POST')) as { room: string }).room
}

export const inviteHost = async (room: string): Promise<void> =>
  void (await request('api/rooms/host', 'POST', { room }))

export const errorText = (error: unknown): string => {
  if (!(error instanceof RequestError)) return error instanceof Error ? error.message : String(error)
  return error.fix === null ? error.message : `${error.message}: ${error.fix}`
}

/** What the linter of turnserver.conf finds. */
export interface Finding {
  readonly rule: string
  readonly severity: string
  readonly line?: number
  readonly message: string
  readonly why: string
  readonly fix: string
}

export async function lintConf(text: string, version: string): Promise<readonly Finding[]> {
  const body = version.trim() === '' ? { text } : { text, version }
  return ((await request('api/coturn/lint', 'POST', body)) as { findings: readonly Finding[] }).findings
}

export async function generateConf({ externalIp, ...plan }: { readonly externalIp: string }): Promise<string> {
  const body = externalIp.trim() === '' ? plan : { ...plan, externalIp: externalIp.trim() }
  return ((await request('api/coturn/generate', 'POST', body)) as { text: string }).text
}

/** A past check-up of the host. */
export interface Check {
  readonly id: string
  readonly at: number
  readonly kind: string
  readonly summary: string
}

export const fetchChecks = async (): Promise<readonly Check[]> =>
  ((await request('api/history')) as { checks: readonly Check[] }).checks
export const fetchCheck = async (id: string): Promise<CheckupReport> =>
  (await request(`api/history/${id}`)) as CheckupReport
export const forgetCheck = async (id: string): Promise<void> => void (await request(`api/history/${id}`, 'DELETE'))
