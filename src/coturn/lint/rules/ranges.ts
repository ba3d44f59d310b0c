/** Ranges of peers that coturn does not take for what they look like. */
import type { Conf, Setting } from '../../conf.ts'
import { bytewise, formatRange, type IpRange, isBytewise, parseCidr, parseRange } from '../../ranges.ts'
import type { Edit, Rule } from '../rule.ts'
import { sample } from '../problems.ts'

const peerSettings = (conf: Conf): readonly Setting[] => [...conf.all('denied-peer-ip'), ...conf.all('allowed-peer-ip')]

/** More lines than this are nobody's idea of a fix. */
const mostLines = 16

/** The same range in as many lines as coturn needs. */
function inBytes({ line, spec }: Setting, range: IpRange): Edit[] {
  const ranges = bytewise(range)
  if (!line || line.continued || ranges.length > mostLines) return []
  return [{ kind: 'replace', line, text: ranges.map((each) => `${spec.name}=${formatRange(each)}`).join('\n') }]
}

export const rangeRules: readonly Rule[] = [
  {
    id: 'peer-cidr',
    severity: 'error',
    why: 'coturn knows no CIDR here: up to 4.10 it logs “Wrong address format” and starts without the range, from 4.11 on it ends.',
    fix: 'write FIRST-LAST',
    reference: 'coturn 4.11.0',
    *check(conf) {
      for (const at of peerSettings(conf)) {
        if (!at.value.includes('/')) continue
        const range = parseCidr(at.value)
        yield {
          at,
          message: `${at.value} is CIDR: the range is not in force`,
          edits: range ? inBytes(at, range) : [],
        }
      }
    },
    bad: sample('denied-peer-ip=10.0.0.0/8\n'),
    good: sample('denied-peer-ip=10.0.0.0-10.255.255.255\n'),
  },
  {
    id: 'peer-range',
    severity: 'error',
    why: 'What is no address is looked up in DNS once, at the start; what is not found, or ends before it begins, matches nothing.',
    fix: 'write IP or FIRST-LAST, both of one family',
    reference: 'turnserver(1), denied-peer-ip',
    *check(conf) {
      for (const at of peerSettings(conf))
        if (!at.value.includes('/') && !parseRange(at.value))
          yield { at, message: `"${at.value}" is no range of addresses` }
    },
    bad: sample('denied-peer-ip=10.255.255.255-10.0.0.0\n'),
    good: sample('denied-peer-ip=10.0.0.0-10.255.255.255\n'),
  },
  {
    id: 'ipv6-range',
    severity: 'error',
    why: 'coturn compares IPv6 addresses byte by byte: what has one byte outside those of FIRST and LAST is not in the range, and a range from :: on holds all of IPv4.',
    fix: 'write a range for each prefix, such as 2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff',
    reference: 'coturn ns_turn_ioaddr.c, addr_less_eq',
    *check(conf) {
      for (const at of peerSettings(conf)) {
        const range = parseRange(at.value)
        if (!range || isBytewise(range)) continue
        const what = range.first === 0n ? 'is every IPv4 address too' : 'leaves out addresses between its ends'
        yield { at, message: `${at.value} ${what}`, edits: inBytes(at, range) }
      }
    },
    bad: sample('denied-peer-ip=::1-::ffff:ffff\n'),
    good: sample('denied-peer-ip=fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n'),
  },
]
