/** Whom clients may reach, by the file and in truth. */
import { familyOf, type IpAddress } from '../../../core/index.ts'
import type { Conf } from '../../../coturn/conf.ts'
import { deniedSamples, embeddedForms, permits, rareForms } from '../../../coturn/live/reach.ts'
import { claim, type Claim, type Compared, type Judged, notShown, same } from './claim.ts'

/** Public, and nobody's relay: DNS services. */
const publicPeers: readonly IpAddress[] = ['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111']
const multicast: readonly IpAddress[] = ['224.0.0.1', 'ff02::1']
const loopback: readonly IpAddress[] = ['127.0.0.1', '::1']

/** Every address whose permission is asked for. */
export function peersToAsk(conf: Conf): IpAddress[] {
  const denied = deniedSamples(conf)
  const hidden = denied.filter((ip) => familyOf(ip) === 4).flatMap((ip) => [...embeddedForms(ip), ...rareForms(ip)])
  return [...new Set([...denied, ...hidden, ...publicPeers, ...multicast, ...loopback])]
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

export function deniedPeers(compared: Compared): Claim {
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

export function hiddenPeers(compared: Compared): Claim {
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
export function ownPeers(compared: Compared): Claim {
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

export function openPeers(compared: Compared): Claim {
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
