/** The virtual name service: a table, with a delay, that can be made to fail. */
import { after, type Clock, type IpAddress, NatcheckError, parseIp, type ServiceRecord } from '../core/index.ts'

type Answer<T> = { readonly found: readonly T[] } | { readonly fails: 'silent' | 'refused' }

export class VirtualNames {
  readonly #clock: Clock
  readonly #hosts = new Map<string, Answer<IpAddress>>()
  readonly #services = new Map<string, Answer<ServiceRecord>>()
  /** How long an answer takes, in milliseconds. */
  latencyMs = 0
  /** `silent`: no query is answered; `refused`: every query is. */
  outage: 'silent' | 'refused' | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  addHost(name: string, ips: readonly IpAddress[]): void {
    this.#hosts.set(key(name), { found: ips })
  }

  addService(name: string, records: readonly ServiceRecord[]): void {
    this.#services.set(key(name), { found: records })
  }

  /** Queries for this name get no answer, or a refusal. */
  breakName(name: string, fails: 'silent' | 'refused'): void {
    this.#hosts.set(key(name), { fails })
    this.#services.set(key(name), { fails })
  }

  async resolveHost(name: string, timeoutMs: number): Promise<readonly IpAddress[]> {
    const literal = parseIp(name)
    if (literal !== undefined) return [literal]
    const found = await this.#answer(name, this.#hosts.get(key(name)), timeoutMs)
    if (found && found.length > 0) return found
    throw new NatcheckError('UNKNOWN_HOST', `the host ${name} does not exist`, {
      fix: 'Check the spelling of the name.',
    })
  }

  /** RFC 2782: by priority; among equals the heaviest first, which is the likeliest of the orders allowed. */
  async resolveService(name: string, timeoutMs: number): Promise<readonly ServiceRecord[]> {
    const found = await this.#answer(name, this.#services.get(key(name)), timeoutMs)
    return (found ?? []).toSorted((a, b) => a.priority - b.priority || b.weight - a.weight)
  }

  async #answer<T>(name: string, answer: Answer<T> | undefined, timeoutMs: number): Promise<readonly T[] | undefined> {
    const fails = this.outage ?? (answer && 'fails' in answer ? answer.fails : undefined)
    const late = fails === 'silent' || this.latencyMs > timeoutMs
    await this.#sleep(late ? timeoutMs : this.latencyMs)
    if (!late && !fails) return answer && 'found' in answer ? answer.found : undefined
    throw new NatcheckError('DNS_FAILED', `the name server did not ${late ? 'answer' : 'accept'} a query for ${name}`, {
      fix: 'Check the network connection and the name server, or give an IP address.',
    })
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.schedule(after(this.#clock.now(), milliseconds), resolve)
    })
  }
}

/** Names are case-insensitive (RFC 1035 §2.3.3), and a trailing dot only says that they are absolute. */
const key = (name: string): string => name.toLowerCase().replace(/\.$/, '')
