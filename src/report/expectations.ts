/** What `--fail-on` can ask for: words that turn a finding into exit code 1. */
import type { FamilyReport, NatReport } from './nat-report.ts'

interface Expectation {
  readonly meaning: string
  failed(report: NatReport): boolean
}

const anyFamily =
  (holds: (family: FamilyReport) => boolean) =>
  ({ nat }: NatReport): boolean =>
    [nat.ipv4, nat.ipv6].some((family) => family !== null && holds(family))

/** A finding counts when it was observed in any family that was asked for; what is unknown fails only `inconclusive`. */
export const expectations: Readonly<Record<string, Expectation>> = {
  symmetric: {
    meaning: 'the mapping depends on the destination (symmetric NAT)',
    failed: (report) =>
      report.verdict.p2p === 'limited' ||
      report.verdict.p2p === 'relay-only' ||
      anyFamily(
        ({ mapping, rfc3489 }) =>
          mapping.value === 'address-dependent' ||
          mapping.value === 'address-and-port-dependent' ||
          (mapping.value === null && rfc3489.value === 'symmetric'),
      )(report),
  },
  blocked: {
    meaning: 'UDP is blocked',
    failed: (report) =>
      report.verdict.p2p === 'blocked' || anyFamily(({ rfc3489 }) => rfc3489.value === 'udp-blocked')(report),
  },
  'behind-nat': { meaning: 'addresses are translated', failed: anyFamily(({ behindNat }) => behindNat === true) },
  cgnat: {
    meaning: "the provider's NAT translates",
    failed: anyFamily(({ cgnat }) => cgnat.value === 'carrier-grade-nat'),
  },
  'double-nat': { meaning: 'two NATs in a row', failed: anyFamily(({ cgnat }) => cgnat.value === 'double-nat') },
  alg: { meaning: 'addresses inside packets are rewritten', failed: anyFamily(({ alg }) => alg.value === true) },
  'not-direct': { meaning: 'p2p is anything but "direct"', failed: ({ verdict }) => verdict.p2p !== 'direct' },
  inconclusive: { meaning: 'p2p is "unknown"', failed: ({ verdict }) => verdict.p2p === 'unknown' },
}

/** The words among `words` that came true. */
export const failedExpectations = (report: NatReport, words: readonly string[]): string[] =>
  words.filter((word) => expectations[word]?.failed(report) === true)
