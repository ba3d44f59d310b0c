/** File and reality side by side: what a configuration says, what its server was seen to do, and whether that is the same. */
import { familyOf, formatAddress, type IpAddress } from '../../../core/index.ts'
import type { Conf } from '../../../coturn/conf.ts'
import { addressesOf } from '../../../coturn/live/listening.ts'
import { deniedSamples, embeddedForms, permits, rareForms } from '../../../coturn/live/reach.ts'
import { isSince } from '../../../coturn/version.ts'
import type { CheckObservation, TurnCheckId } from '../../../probe/turn/index.ts'
import type { Access } from './access.ts'
import type { Answers, Quota } from './ask.ts'
import type { CertificateClaim } from './certificate.ts'

/** `not-shown`: nothing was seen that tells. */
export type ClaimResult = 'same' | 'differs' | 'warning' | 'not-shown'

export interface Claim {
  readonly id: string
  readonly title: string
  /** What the file says. */
  readonly file: string
  /** What the server does. */
  readonly reality: string
  readonly result: ClaimResult
  /** Where there is something to change. */
  readonly fix: string | null
}

export interface Compared {
  /** The file that was named. */
  readonly conf: Conf
  /** What the server that was asked runs with: the private copy, or the file itself. */
  readonly running: Conf
  readonly access: Access
  readonly certificate: CertificateClaim
  readonly answers: Answers
}

/** Public, and nobody's relay: DNS services. */
export const publicPeers: readonly IpAddress[] = ['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111']
const multicast: readonly IpAddress[] = ['224.0.0.1', 'ff02::1']
const loopback: readonly IpAddress[] = ['127.0.0.1', '::1']
/** Beyond these a check would take longer than anybody waits, and disturb others. */
export const mostAllocations = 64

/** Every address whose permission is asked for. */
export function peersToAsk(conf: Conf): IpAddress[] {
  const denied = deniedSamples(conf)
  const hidden = denied.filter((ip) => familyOf(ip) === 4).flatMap((ip) => [...embeddedForms(ip), ...rareForms(ip)])
  return [...new Set([...denied, ...hidden, ...publicPeers, ...multicast, ...loopback])]
}

export function claimsOf(compared: Compared): Claim[] {
  const { running, answers } = compared
  if (!running.relays) return [...listeners(compared), stunOnly(compared)]
  const relaying = [
    authentication(compared),
    realm(compared),
    tlsClaim(compared),
    deniedPeers(compared),
    hiddenPeers(compared),
    ownPeers(compared),
    openPeers(compared),
    ports(compared),
    lifetime(compared),
    quota('user-quota', compared, answers.userQuota),
    quota('total-quota', compared, answers.totalQuota),
    tcpRelay(compared),
    hairpin(compared),
    nonce(compared),
    discovery(compared),
    software(compared),
    amplification(compared),
  ]
  return [...listeners(compared), ...relaying]
}

type Judged = Pick<Claim, 'file' | 'reality' | 'result'> & { readonly fix?: string }

const claim = (id: string, title: string, { fix, ...rest }: Judged): Claim => ({
  id,
  title,
  ...rest,
  fix: rest.result === 'same' || rest.result === 'not-shown' ? null : (fix ?? null),
})

const same = (is: boolean): ClaimResult => (is ? 'same' : 'differs')
const notShown = (file: string, reality: string): Judged => ({ file, reality, result: 'not-shown' })

function check({ answers }: Compared, id: TurnCheckId): CheckObservation | undefined {
  return answers.turn?.checks.find((each) => each.id === id)
}

/** Neither asked nor answered. */
const isUnknown = (each: CheckObservation | undefined): boolean =>
  each === undefined || each.result === 'not-tested' || each.result === 'inconclusive'

function listeners({ answers, conf, running }: Compared): Claim[] {
  return answers.reached
    .filter(({ protocol }) => protocol !== 'tls')
    .map(({ protocol, to, ok, why }) =>
      claim(`listens-${protocol}`, `listens on ${protocol.toUpperCase()}`, {
        file: `port ${conf.port('listening-port')}`,
        reality: ok ? `answers on ${formatAddress(to)}` : `${formatAddress(to)}: ${why}`,
        result: same(ok || !running.relays),
        fix: 'look at the log of turnserver: an address or port that it can’t have, or credentials that it does not take',
      }),
    )
}

const stunOnly = ({ answers }: Compared): Claim => {
  const granted = answers.reached.some(({ ok }) => ok)
  return claim('stun-only', 'relays', {
    file: 'stun-only: not at all',
    reality: granted ? 'it gives allocations' : 'it gives no allocation',
    result: same(!granted),
  })
}

function authentication(compared: Compared): Claim {
  const { access, answers } = compared
  const seen = check(compared, 'authentication')
  const file = access.demanded ? access.mechanism : 'nobody is asked (open relay)'
  if (!seen || isUnknown(seen))
    return claim('auth', 'authentication', notShown(file, 'no allocation, so nothing shows'))
  const asks = seen.result === 'yes'
  const wrong = answers.wrongPassword
  const reality = asks
    ? `401 to strangers; ${wrong === 'granted' ? 'a wrong password is accepted' : 'a wrong password is refused'}; let in: ${access.who}`
    : 'an allocation for whoever asks'
  return claim('auth', 'authentication', {
    file,
    reality,
    result: access.demanded ? same(asks && wrong !== 'granted') : asks ? 'differs' : 'warning',
    fix: 'set lt-cred-mech with user, or use-auth-secret with static-auth-secret, and no no-auth',
  })
}

function realm(compared: Compared): Claim {
  const said = compared.running.value('realm')
  const seen = compared.answers.realm
  if (seen === undefined) return claim('realm', 'realm', notShown(said ?? 'none', 'it asks for no credentials'))
  if (said === undefined) {
    return claim('realm', 'realm', {
      file: 'none',
      reality: seen === '' ? 'an empty one' : seen,
      result: 'warning',
      fix: 'set realm: without it coturn takes the name of the machine',
    })
  }
  const fix = 'a line of its own, without quotes or comment behind it: realm=example.org'
  return claim('realm', 'realm', { file: said, reality: seen, result: same(said === seen), fix })
}

function tlsClaim({ certificate }: Compared): Claim {
  return claim('certificate', 'TLS certificate', certificate)
}

/** `3 of 60 granted: 10.0.0.0, …` */
function grantedOf({ answers }: Compared, peers: readonly IpAddress[]): { granted: IpAddress[]; silent: number } {
  const granted = peers.filter((ip) => answers.peers.get(ip) === 'granted')
  const silent = peers.filter((ip) => (answers.peers.get(ip) ?? 'silent') === 'silent').length
  return { granted, silent }
}

const few = (ips: readonly string[]): string =>
  `${ips.slice(0, 4).join(', ')}${ips.length > 4 ? ` and ${ips.length - 4} more` : ''}`

function refused(compared: Compared, peers: readonly IpAddress[], file: string, fix: string): Judged {
  if (peers.length === 0) return notShown('nothing', 'nothing to ask for')
  const { granted, silent } = grantedOf(compared, peers)
  if (granted.length > 0) return { file, reality: `lets clients reach ${few(granted)}`, result: 'differs', fix }
  if (silent === peers.length) return notShown(file, 'not answered')
  const unclear = silent > 0 ? `, ${silent} not answered` : ''
  return { file, reality: `${peers.length - silent} addresses refused${unclear}`, result: 'same' }
}

function deniedPeers(compared: Compared): Claim {
  const { running } = compared
  const said = compared.conf.all('denied-peer-ip').length
  const samples = deniedSamples(running)
  const file = said === 0 ? 'nobody is denied' : `${said} denied ranges, both ends of each`
  const fix = 'write each range as FIRST-LAST: natcheck coturn lint says what is wrong with it'
  if (said === 0) {
    const reality = 'clients reach whatever this machine does'
    return claim('denied-peers', 'denied peers', {
      file,
      reality,
      result: 'warning',
      fix: 'deny what is not public: natcheck coturn lint --fix adds the ranges',
    })
  }
  if (samples.length === 0) {
    const reality = 'coturn takes none of them for a range, or something allows them all'
    return claim('denied-peers', 'denied peers', { file, reality, result: 'differs', fix })
  }
  return claim('denied-peers', 'denied peers', refused(compared, samples, file, fix))
}

function hiddenPeers(compared: Compared): Claim {
  const denied = deniedSamples(compared.running).filter((ip) => familyOf(ip) === 4)
  const file = 'the denied IPv4 ranges, in 8 forms of IPv6'
  const fix =
    'deny them as the files of natcheck coturn init do, range for range: coturn compares IPv6 addresses byte by byte'
  const common = refused(compared, [...new Set(denied.flatMap(embeddedForms))], file, fix)
  const all = refused(
    compared,
    [...new Set(denied.flatMap((ip) => [...embeddedForms(ip), ...rareForms(ip)]))],
    file,
    fix,
  )
  const isRare = common.result === 'same' && all.result === 'differs'
  return claim('denied-peers-in-ipv6', 'the same in IPv6', isRare ? { ...all, result: 'warning' } : all)
}

/** What options of their own say. */
function ownPeers(compared: Compared): Claim {
  const { running } = compared
  const peers = [...loopback, ...multicast]
  const expected = peers.filter((ip) => permits(running, ip))
  const file = [
    `allow-loopback-peers ${running.isOn('allow-loopback-peers') ? 'on' : 'off'}`,
    `no-multicast-peers ${running.isOn('no-multicast-peers') ? 'on' : 'off'}`,
  ].join(', ')
  const { granted, silent } = grantedOf(compared, peers)
  if (silent === peers.length) return claim('loopback', 'loopback, multicast', notShown(file, 'not answered'))
  const reality = granted.length === 0 ? 'all refused' : `lets clients reach ${few(granted)}`
  const unexpected = granted.filter((ip) => !expected.includes(ip))
  return claim('loopback', 'loopback, multicast', {
    file,
    reality,
    result: unexpected.length > 0 ? 'differs' : granted.length > 0 ? 'warning' : 'same',
    fix: 'set no-multicast-peers, and leave allow-loopback-peers out',
  })
}

function openPeers(compared: Compared): Claim {
  const { running, answers } = compared
  const said = publicPeers.filter((ip) => permits(running, ip))
  const { granted, silent } = grantedOf(compared, publicPeers)
  const file = said.length === 0 ? 'public peers are denied' : 'public peers may be reached'
  if (silent === publicPeers.length) return claim('open-peers', 'other peers', notShown(file, 'not answered'))
  // Without a relayed IPv6 address nobody is reached by it, whatever the rules say.
  const hasSix = answers.relayed.some(({ ip }) => familyOf(ip) === 6)
  const asked = publicPeers.filter((ip) => hasSix || familyOf(ip) === 4)
  const isAsSaid = asked.every((ip) => said.includes(ip) === granted.includes(ip))
  return claim('open-peers', 'other peers', {
    file,
    reality: granted.length === 0 ? 'all refused' : `may be reached: ${granted.join(', ')}`,
    result: same(isAsSaid),
    fix: 'look for a range that is too wide; from 4.9 on ::ffff:0:0/96 denies all of IPv4',
  })
}

function ports({ running, answers }: Compared): Claim {
  const [min, max] = [running.port('min-port'), running.port('max-port')]
  const file = `${min} to ${max}`
  const seen = answers.relayed.map(({ port }) => port).toSorted((a, b) => a - b)
  const [lowest] = seen
  const highest = seen.at(-1)
  if (lowest === undefined || highest === undefined) return claim('ports', 'relayed ports', notShown(file, 'none seen'))
  return claim('ports', 'relayed ports', {
    file,
    reality: `${lowest} to ${highest}, in ${seen.length} allocations`,
    result: same(lowest >= min && highest <= max),
    fix: 'set min-port below max-port',
  })
}

function lifetime({ running, answers }: Compared): Claim {
  const said = running.number('max-allocate-lifetime') || 3600
  const file = `at most ${said} s`
  const seen = answers.longestSeconds
  if (seen === undefined) return claim('lifetime', 'lifetime', notShown(file, 'no allocation'))
  return claim('lifetime', 'lifetime', {
    file,
    reality: `${seen} s for who asks for a day`,
    result: same(seen <= said),
  })
}

function quota(name: 'user-quota' | 'total-quota', { running, access }: Compared, seen: Quota | undefined): Claim {
  const said = running.number(name) || 0
  const title = name === 'user-quota' ? 'quota of a user' : 'quota of all'
  if (said === 0) {
    return claim(name, title, {
      file: 'no limit',
      reality: 'not tried',
      result: 'warning',
      fix: `set ${name}: one leaked credential takes the whole relay`,
    })
  }
  const file = `${said} allocations`
  if (seen === undefined) {
    const why = said > mostAllocations ? `more than the ${mostAllocations} that are tried` : 'not tried here'
    return claim(name, title, notShown(file, name === 'total-quota' && !access.manyUsers ? 'takes several users' : why))
  }
  const reality =
    seen.code === undefined ? `${seen.granted} granted, none refused` : `${seen.granted}, then ${seen.code}`
  return claim(name, title, { file, reality, result: same(seen.granted === said && seen.code === 486) })
}

function tcpRelay({ running, answers }: Compared): Claim {
  const isOff = running.isOn('no-tcp-relay')
  const file = isOff ? 'no-tcp-relay' : 'TCP to peers (RFC 6062) too'
  const seen = answers.tcpRelay
  if (seen === undefined || seen === 'silent' || seen === 486) {
    return claim('tcp-relay', 'TCP to peers', notShown(file, 'takes a TCP listener that answers'))
  }
  const reality = seen === 'granted' ? 'TCP allocations are granted' : `refused (${seen})`
  return claim('tcp-relay', 'TCP to peers', { file, reality, result: same((seen === 'granted') !== isOff) })
}

function hairpin(compared: Compared): Claim {
  const { running, answers } = compared
  const seen = check(compared, 'hairpin')
  const address = answers.relayed.find(({ ip }) => familyOf(ip) === 4) ?? answers.relayed[0]
  if (!address) return claim('hairpin', 'relay to relay', notShown('', 'no allocation'))
  const isOpen = permits(running, address.ip)
  const file = isOpen ? `${address.ip} may be reached` : `${address.ip}, its own address, is denied`
  if (!seen || isUnknown(seen)) return claim('hairpin', 'relay to relay', notShown(file, seen?.detail ?? 'not tried'))
  const works = seen.result === 'yes'
  return claim('hairpin', 'relay to relay', {
    file,
    reality: seen.detail,
    result: same(works === isOpen),
    fix: 'two clients of one relay meet at its own address: external-ip=PUBLIC/PRIVATE allows it',
  })
}

function nonce(compared: Compared): Claim {
  const { running } = compared
  const file = running.has('stale-nonce') ? `stale-nonce=${running.value('stale-nonce') || 600}` : 'stale-nonce not set'
  const seen = check(compared, 'stale-nonce')
  if (!seen || isUnknown(seen)) return claim('nonce', 'nonces', notShown(file, seen?.detail ?? 'not tried'))
  return claim('nonce', 'nonces', { file, reality: seen.detail, result: same(seen.result === 'yes') })
}

function discovery(compared: Compared): Claim {
  const { running } = compared
  const isOn = isSince(running.version, '4.7.0') ? running.isOn('rfc5780') : !running.isOn('no-rfc5780')
  const twoIps = addressesOf(running, 'listening-ip').filter((ip) => familyOf(ip) === 4).length > 1
  const file = !isOn ? 'off' : twoIps ? 'on, between two addresses' : 'on, but it takes a second listening-ip'
  const seen = check(compared, 'behavior-discovery')
  if (!seen || isUnknown(seen)) return claim('rfc5780', 'RFC 5780', notShown(file, seen?.detail ?? 'not tried'))
  const answers = seen.result === 'yes'
  return claim('rfc5780', 'RFC 5780', {
    file,
    reality: seen.detail,
    result: same(answers === (isOn && twoIps)),
    fix: 'rfc5780 needs two listening-ip of one family, each with listening-port and alt-listening-port',
  })
}

function software(compared: Compared): Claim {
  const { running } = compared
  const isTold = isSince(running.version, '4.7.0')
    ? running.isOn('software-attribute')
    : !running.isOn('no-software-attribute')
  const file = isTold ? 'tells its version' : 'keeps its version to itself'
  const seen = check(compared, 'software')
  if (!seen || isUnknown(seen)) return claim('software', 'SOFTWARE', notShown(file, 'not tried'))
  const tells = typeof seen.facts['software'] === 'string'
  return claim('software', 'SOFTWARE', {
    file,
    reality: seen.detail,
    result: tells && isTold ? 'warning' : same(tells === isTold),
    fix: 'set no-software-attribute (4.6), or leave software-attribute out (4.7 and newer)',
  })
}

function amplification(compared: Compared): Claim {
  const { running } = compared
  const file = running.isOn('unauthorized-ratelimit') ? 'unauthorized-ratelimit' : 'no limit for strangers'
  const seen = check(compared, 'amplification')
  if (!seen || isUnknown(seen))
    return claim('amplification', 'amplification', notShown(file, seen?.detail ?? 'not tried'))
  const fix =
    'set no-software-attribute, no-rfc5780 and response-origin-only-with-rfc5780 (4.6), unauthorized-ratelimit (4.14)'
  return claim('amplification', 'amplification', {
    file,
    reality: seen.detail,
    result: seen.result === 'yes' ? 'same' : 'warning',
    fix,
  })
}
