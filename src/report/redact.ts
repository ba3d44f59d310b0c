/**
 * Reports that can be shared: every address and every private name becomes a placeholder, the same one each time,
 * so that the analysis of a redacted report comes to the same verdict.
 *
 *   global, documentation  203.0.113.N, 198.51.100.N, 192.0.2.N, then 198.18.0.0/15    2001:db8::N
 *   private (RFC 1918)     10.0.0.N                                                    fd00::N
 *   carrier (RFC 6598)     100.64.0.N
 *   link-local             169.254.0.N                                                 fe80::N
 *   loopback, unspecified and multicast addresses say nothing about anybody and stay
 *   names of servers       server-N.example; the public servers that natcheck itself lists stay
 *
 * Ports stay: the analysis needs them and they identify nobody.
 */
import { type AddressScope, familyOf, type IpAddress, parseIp, scopeOf } from '../core/index.ts'

/** Anything that might be an address inside a text; parseIp decides. A zone belongs to it. */
const addressLike = new RegExp(
  [
    String.raw`(?<![\w.:])(?=[0-9a-f]*:[0-9a-f:]*:)[0-9a-f:]+(?:\.\d{1,3}){0,3}(?:%[\w.-]+)?(?!\w)`,
    // A colon may stand before it: stun:192.0.2.1
    String.raw`(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w])`,
  ].join('|'),
  'gi',
)

export class Redactor {
  readonly #placeholders = new Map<IpAddress, IpAddress>()
  readonly #used = new Map<string, number>()
  readonly #names = new Map<string, string>()
  readonly #kept: ReadonlySet<string>

  /** `kept`: host names that anybody may see. */
  constructor(kept: readonly string[] = []) {
    this.#kept = new Set(kept.map((name) => name.toLowerCase()))
  }

  /** Makes a host name private from here on; addresses and kept names need no announcing. */
  hide(host: string): void {
    const name = host.toLowerCase()
    if (parseIp(host) || name === '' || this.#kept.has(name) || this.#names.has(name)) return
    this.#names.set(name, `server-${this.#names.size + 1}.example`)
  }

  text(text: string): string {
    let result = text
    // Longest first: a name may end in another one.
    for (const [name, placeholder] of [...this.#names].toSorted(([a], [b]) => b.length - a.length)) {
      result = result.replace(new RegExp(`(?<![\\w.-])${escape(name)}(?![\\w-])`, 'gi'), placeholder)
    }
    return result.replace(addressLike, (match) => {
      const ip = parseIp(match)
      return ip === undefined ? match : this.address(ip)
    })
  }

  address(ip: IpAddress): IpAddress {
    const known = this.#placeholders.get(ip)
    if (known !== undefined) return known
    const placeholder = this.#next(scopeOf(ip), familyOf(ip)) ?? ip
    this.#placeholders.set(ip, placeholder)
    return placeholder
  }

  /** A copy of plain JSON data with every string redacted. Names of fields stay. */
  value<T>(value: T): T {
    return this.#walk(value) as T
  }

  #walk(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value)
    if (Array.isArray(value)) return value.map((item) => this.#walk(item))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#walk(item)]))
  }

  #next(scope: AddressScope, family: 4 | 6): IpAddress | undefined {
    const kind = scope === 'global' || scope === 'reserved' ? 'global' : scope
    const count = (this.#used.get(`${kind} ${family}`) ?? 0) + 1
    const placeholder = family === 4 ? ipv4Placeholder(kind, count) : ipv6Placeholder(kind, count)
    if (placeholder !== undefined) this.#used.set(`${kind} ${family}`, count)
    return placeholder
  }
}

function ipv4Placeholder(kind: AddressScope, count: number): IpAddress | undefined {
  const low = `${count >> 8}.${count & 255}`
  if (kind === 'private') return `10.0.${low}`
  if (kind === 'shared') return `100.64.${low}`
  if (kind === 'link-local') return `169.254.${low}`
  if (kind !== 'global') return undefined
  const nets = ['203.0.113', '198.51.100', '192.0.2']
  const net = nets[Math.floor((count - 1) / 254)]
  return net === undefined ? `198.18.${low}` : `${net}.${((count - 1) % 254) + 1}`
}

function ipv6Placeholder(kind: AddressScope, count: number): IpAddress | undefined {
  const prefixes: Partial<Record<AddressScope, string>> = { global: '2001:db8', private: 'fd00', 'link-local': 'fe80' }
  const prefix = prefixes[kind]
  return prefix === undefined ? undefined : `${prefix}::${count.toString(16)}`
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
