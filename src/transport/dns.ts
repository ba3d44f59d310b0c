/** Names to addresses, and services to hosts. */
import { Resolver } from 'node:dns/promises'
import { type IpAddress, NatcheckError, parseIp, type Random, type ServiceRecord } from '../core/index.ts'
import { systemWord } from './failures.ts'
import { lookupName } from './lookup.ts'
import { systemRandom } from './random.ts'

/** A host name that can be asked for: anything else would confuse the resolver, and exists nowhere. */
const askable = /^[^\s\0/]{1,254}$/

/** A and AAAA records, by the system's resolver: what is in the hosts file counts. */
export async function resolveHost(name: string, timeoutMs: number): Promise<readonly IpAddress[]> {
  const literal = parseIp(name)
  if (literal !== undefined) return [literal]
  const answer = askable.test(name) ? await lookupName(name, timeoutMs) : { ok: false as const, word: 'ENOTFOUND' }
  if (!answer) {
    throw new NatcheckError('DNS_FAILED', `the name lookup of ${name} got no answer within ${timeoutMs} ms`, {
      fix: 'check the DNS servers of this machine, or use an IP address',
    })
  }
  if (answer.ok) return [...new Set(answer.addresses.map((address) => parseIp(address) ?? address))]
  // EAI_NONAME and EAI_NODATA are both ENOTFOUND in Node's words.
  if (answer.word === 'ENOTFOUND' || answer.word === 'ENODATA') {
    throw new NatcheckError('UNKNOWN_HOST', `there is no host named ${name}`, {
      fix: 'check the spelling of the host name',
    })
  }
  throw new NatcheckError('DNS_FAILED', `the name lookup of ${name} failed (${answer.word})`, {
    fix: 'check the network connection and the DNS servers of this machine, or use an IP address',
  })
}

/** SRV records in the order to try them. A hung DNS server costs `timeoutMs`, and nothing after that. */
export async function resolveService(name: string, timeoutMs: number): Promise<readonly ServiceRecord[]> {
  // Two tries within the deadline, because one lost datagram is no answer; c-ares doubles the wait for the second.
  const resolver = new Resolver({ timeout: Math.max(1, Math.floor(timeoutMs / 3)), tries: 2 })
  const timer = setTimeout(() => resolver.cancel(), timeoutMs)
  try {
    const records = await resolver.resolveSrv(name)
    const services = records.map(({ name: host, port, priority, weight }) => ({ host, port, priority, weight }))
    return orderServices(services, systemRandom)
  } catch (error) {
    const word = systemWord(error)
    // EBADNAME: not a name that DNS could hold, so there are no records either.
    if (word === 'ENOTFOUND' || word === 'ENODATA' || word === 'EBADNAME') return []
    const silent = word === 'ETIMEOUT' || word === 'ECANCELLED'
    throw new NatcheckError(
      'DNS_FAILED',
      silent ? `the lookup of ${name} got no answer within ${timeoutMs} ms` : `the lookup of ${name} failed (${word})`,
      { fix: 'give the port in the URI: then no SRV record is needed', cause: error },
    )
  } finally {
    clearTimeout(timer)
  }
}

/** RFC 2782: lower priority first; among equals, a draw in which each record's chance follows its weight. */
export function orderServices(records: readonly ServiceRecord[], random: Random): readonly ServiceRecord[] {
  const ordered: ServiceRecord[] = []
  // Weight 0 stands first in each draw: a draw of 0 is then its (small) chance against weighted records.
  const rest = records.toSorted((a, b) => a.priority - b.priority || Number(a.weight > 0) - Number(b.weight > 0))
  while (rest.length > 0) {
    const group = rest.filter((record) => record.priority === rest[0]?.priority)
    const total = group.reduce((sum, record) => sum + record.weight, 0)
    const draw = random.integer(0, total)
    let sum = 0
    const picked = group.findIndex((record) => {
      sum += record.weight
      return sum >= draw
    })
    ordered.push(...rest.splice(picked, 1))
  }
  return ordered
}
