/** What `--expect` of `natcheck ice` can ask for: words that have to come true. */
import type { IceReport } from './ice-report.ts'

interface IceExpectation {
  readonly meaning: string
  met(report: IceReport): boolean
}

type Candidate = IceReport['candidates'][number]

/** One that was shown to fail does not count. */
const has =
  (wanted: (candidate: Candidate) => boolean) =>
  ({ candidates, reachability }: IceReport): boolean =>
    candidates.some(
      (candidate, index) =>
        wanted(candidate) && !reachability.some((entry) => entry.candidate === index && entry.result === 'failed'),
    )

const relayOver = (protocol: 'udp' | 'tcp' | 'tls'): IceExpectation => ({
  meaning: `a relay, reached over ${protocol.toUpperCase()}`,
  met: has(({ type, relayProtocol }) => type === 'relay' && relayProtocol === protocol),
})

const isPublic = ({ type }: Candidate): boolean => type !== 'host'

export const iceExpectations: Readonly<Record<string, IceExpectation>> = {
  host: { meaning: 'a host candidate', met: has(({ type }) => type === 'host') },
  srflx: { meaning: 'a server-reflexive candidate', met: has(({ type }) => type === 'srflx') },
  relay: { meaning: 'a relayed candidate', met: has(({ type }) => type === 'relay') },
  'relay/udp': relayOver('udp'),
  'relay/tcp': relayOver('tcp'),
  'relay/tls': relayOver('tls'),
  ipv4: { meaning: 'an IPv4 address of a server', met: has((each) => isPublic(each) && !each.ip.includes(':')) },
  ipv6: { meaning: 'an IPv6 address of a server', met: has((each) => isPublic(each) && each.ip.includes(':')) },
  proven: {
    meaning: 'each address of a server was reached',
    met: ({ reachability }) => reachability.length > 0 && reachability.every(({ result }) => result === 'proven'),
  },
}

/** The words among `words` that did not come true. */
export const unmetExpectations = (report: IceReport, words: readonly string[]): string[] =>
  words.filter((word) => iceExpectations[word]?.met(report) !== true)
