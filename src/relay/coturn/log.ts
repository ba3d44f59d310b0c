/**
 * What turnserver prints, read: sessions, traffic and refusals are in its log and, without a database server or a build
 * with Prometheus, nowhere else. Lines look like `12: : session 001000000000000014: new, realm=<r>, username=<u>, lifetime=600`.
 */
import type { AuthFailure } from '../../proto/stun/index.ts'
import type { CloseReason } from '../../proto/turn-server/index.ts'
import type { RelayStats, TrafficCount } from '../stats.ts'

export type LogLevel = 'debug' | 'warning'

export interface LogLine {
  /** `debug`: what clients, or anybody, can cause; names of users and addresses of clients are in it. */
  readonly level: LogLevel
  readonly message: string
}

interface Session {
  lifetime: number
  reason: string
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }
const noTraffic = (): Mutable<TrafficCount> => ({ packets: 0, bytes: 0, refused: 0 })

const sessionLine = /^session (\d{1,20}): (.*)$/
const created = /^new, realm=<.*>, username=<.*>, lifetime=(\d+)/
const refreshed = /^refreshed, realm=<.*>, username=<.*>, lifetime=(\d+)/
const closed = /^closed \(.*, reason: (.*)$/
const usage = /^peer usage: realm=<.*>, username=<.*>, rp=(\d+), rb=(\d+), sp=(\d+), sb=(\d+)/
const processed = /: incoming packet (\w+) processed, (?:(success)|error (\d{3}))/
const clientCaused =
  /^(?:session |IPv[46]\. Local relay addr|check_stun_auth|A peer IP|handle_udp_packet|(?:IPv[46]\. )?(?:tcp|TCP|TLS|SSL|udp|UDP) .*(?:remote|closed|error))/

export class CoturnLog {
  readonly #sessions = new Map<string, Session>()
  readonly #ended: Partial<Record<CloseReason, number>> = {}
  readonly #responses: Record<string, number> = {}
  readonly #authFailures: Partial<Record<AuthFailure, number>> = {}
  readonly #toPeer = noTraffic()
  readonly #toClient = noTraffic()
  #created = 0

  get allocations(): number {
    return this.#sessions.size
  }

  /** Counts what the line tells. Returns it for whoever keeps logs; undefined for an empty one. */
  read(line: string): LogLine | undefined {
    const text = line.replace(/^(?:\d+|\d{4}-\d\d-\d\dT\S+): (?:\(\d+\))?:? ?/, '').trim()
    const [, severity, message = ''] = /^(?:(ERROR|WARNING|CONFIG WARNING|INFO|DEBUG): )?(.*)$/.exec(text) ?? []
    if (message === '') return undefined
    const [, id, what] = sessionLine.exec(message) ?? []
    if (id !== undefined && what !== undefined) this.#readSession(id, what)
    else this.#readFailure(message)
    const alarming = severity === 'ERROR' || severity === 'WARNING' || severity === 'CONFIG WARNING'
    return { level: alarming && !clientCaused.test(message) ? 'warning' : 'debug', message }
  }

  /** The process is gone, and all its allocations with it. */
  end(why: CloseReason): void {
    for (let count = this.#sessions.size; count > 0; count--) add(this.#ended, why)
    this.#sessions.clear()
  }

  stats(): RelayStats {
    return {
      allocations: this.allocations,
      permissions: 0,
      channels: 0,
      undelivered: 0,
      toPeer: { ...this.#toPeer },
      toClient: { ...this.#toClient },
      // Which protocol the client speaks is not in the log.
      allocationsCreated: this.#created > 0 ? { unknown: this.#created } : {},
      allocationsEnded: { ...this.#ended },
      responses: { ...this.#responses },
      drops: {},
      authFailures: { ...this.#authFailures },
      relayFailures: {},
    }
  }

  #readSession(id: string, what: string): void {
    const [, lifetime] = created.exec(what) ?? []
    if (lifetime !== undefined) {
      this.#sessions.set(id, { lifetime: Number(lifetime), reason: '' })
      this.#created++
      return
    }
    this.#readResponse(what)
    const session = this.#sessions.get(id)
    if (!session) return
    const [, refreshedTo] = refreshed.exec(what) ?? []
    if (refreshedTo !== undefined) session.lifetime = Number(refreshedTo)
    session.reason = closed.exec(what)?.[1] ?? session.reason
    const counts = usage.exec(what)?.slice(1).map(Number)
    if (counts) this.#addTraffic(counts)
    if (!what.startsWith('delete: ')) return
    this.#sessions.delete(id)
    add(this.#ended, closeReason(session))
  }

  /** What coturn received from peers goes to the client, and what it sent to peers came from it. */
  #addTraffic([rp = 0, rb = 0, sp = 0, sb = 0]: readonly number[]): void {
    this.#toClient.packets += rp
    this.#toClient.bytes += rb
    this.#toPeer.packets += sp
    this.#toPeer.bytes += sb
  }

  #readResponse(what: string): void {
    const [, method = '', success, code] = processed.exec(what) ?? []
    // Refusals are told twice, by the method and as "message"; those before authentication by the latter only.
    const counts = method === 'message' ? code === '401' || code === '438' : method !== ''
    if (counts) add(this.#responses, `${methods[method] ?? 'other'} ${success ? 0 : code}`)
  }

  #readFailure(message: string): void {
    if (message.startsWith('check_stun_auth: user ')) add(this.#authFailures, 'wrong-password')
    if (message.startsWith('check_stun_auth: Cannot find credentials')) add(this.#authFailures, 'unknown-user')
  }
}

/** As our own metrics name them. */
const methods: Readonly<Record<string, string>> = {
  ALLOCATE: 'Allocate',
  REFRESH: 'Refresh',
  CREATE_PERMISSION: 'CreatePermission',
  CHANNEL_BIND: 'ChannelBind',
  BINDING: 'Binding',
}

function closeReason({ lifetime, reason }: Session): CloseReason {
  if (lifetime === 0) return 'refreshed-to-zero'
  return /closed by client|connection|socket|peer/i.test(reason) ? 'client-gone' : 'expired'
}

const add = <Name extends string>(counts: Partial<Record<Name, number>>, name: Name): void => {
  counts[name] = (counts[name] ?? 0) + 1
}
