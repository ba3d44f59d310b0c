/** File and reality side by side: what a configuration says, what its server was seen to do, and whether that is the same. */
import { familyOf, formatAddress } from '../../../core/index.ts'
import { addressesOf } from '../../../coturn/live/listening.ts'
import { permits } from '../../../coturn/live/reach.ts'
import { isSince } from '../../../coturn/version.ts'
import type { CheckObservation, TurnCheckId } from '../../../probe/turn/index.ts'
import type { Quota } from './ask.ts'
import { claim, type Claim, type Compared, notShown, same } from './claim.ts'
import { deniedPeers, hiddenPeers, openPeers, ownPeers } from './peers.ts'

/** Beyond these a check would take longer than anybody waits, and disturb others. */
export const mostAllocations = 64

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
