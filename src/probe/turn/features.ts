/** What a server offers besides the plain allocation: each is asked for on an allocation of its own. */
import { familyOf, formatAddress, type TransportAddress } from '../../core/index.ts'
import { openTurnSession, type TurnFailure } from '../../proto/turn-client/index.ts'
import { patientTiming } from '../ice/hosts.ts'
import { limitOf, type Opened, openAnother, ownSignal, saidBy, type Subject } from './examination.ts'
import type { TurnCheckId } from './observations.ts'
import { checkForbiddenPeers } from './peers.ts'

type OpenedAllocation = Extract<Opened, { ok: true }>

export async function checkFeatures(subject: Subject): Promise<void> {
  await Promise.all([checkDualFamily(subject), checkEvenPort(subject), checkMobility(subject)])
}

/** Codes that say "I can't do that", rather than "not now"; 508 is about the pair of ports, which are seldom all taken. */
const unsupported = [400, 405, 420, 440, 442, 508]

/** Notes why an allocation with a wish was not granted. */
export function noteRefusal({ notes }: Pick<Subject, 'notes'>, id: TurnCheckId, failure: TurnFailure): void {
  const { error, cause } = failure
  if (error && unsupported.includes(error.code)) {
    return notes.note(id, 'no', `not offered (${saidBy(failure)})`, { code: error.code })
  }
  const result = cause === 'cancelled' || error?.code === 486 ? 'not-tested' : 'inconclusive'
  notes.note(
    id,
    result,
    cause === 'cancelled' ? 'the run ended first' : saidBy(failure),
    error ? { code: error.code } : {},
  )
}

/** Runs what needs the allocation, and gives it back whatever happens. */
async function using(opened: OpenedAllocation, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } finally {
    await opened.close()
  }
}

/** ADDITIONAL-ADDRESS-FAMILY. RFC 8656 §7.2 */
async function checkDualFamily(subject: Subject): Promise<void> {
  const { notes } = subject
  const opened = await openAnother(subject, { families: [4, 6] })
  const untested = (why: string): void => notes.note('forbidden-peers-ipv6', 'not-tested', why)
  if (!opened.ok) {
    noteRefusal(subject, 'dual-family', opened.failure)
    return untested('no relayed IPv6 address to be had')
  }
  await using(opened, async () => {
    const { relayed, addressErrors } = opened.allocation
    const families = relayed.map(({ ip }) => familyOf(ip))
    const addresses = relayed.map(formatAddress)
    if (families.includes(4) && families.includes(6)) {
      notes.note('dual-family', 'yes', addresses.join(' and '), { addresses })
    } else {
      const [error] = addressErrors
      const missing = families.includes(4) ? 'IPv6' : 'IPv4'
      const why = error ? `${error.code} ${error.reason}`.trim() : 'the wish is passed over'
      notes.note('dual-family', 'no', `no relayed ${missing} address (${why})`, {
        addresses,
        code: error?.code ?? null,
      })
    }
    if (families.includes(6)) await checkForbiddenPeers(subject, opened.session, 6)
    else untested('no relayed IPv6 address to be had')
  })
}

/** EVEN-PORT with the next port reserved, and the claim to it. RFC 8656 §7.2 */
async function checkEvenPort(subject: Subject): Promise<void> {
  const { notes } = subject
  const opened = await openAnother(subject, { evenPort: 'reserve-next' })
  if (!opened.ok) {
    noteRefusal(subject, 'even-port', opened.failure)
    return noteRefusal(subject, 'reservation', opened.failure)
  }
  await using(opened, async () => {
    const { relayed, allocation } = opened
    const even = relayed.port % 2 === 0
    notes.note('even-port', even ? 'yes' : 'no', `${even ? 'an even' : 'an odd'} port, ${relayed.port}`, {
      port: relayed.port,
    })
    const { reservationToken } = allocation
    if (!reservationToken) return notes.note('reservation', 'no', 'no RESERVATION-TOKEN came with the even port')
    const claimed = await openAnother(subject, { reservationToken })
    if (!claimed.ok) {
      return notes.note('reservation', 'no', `the token is not honoured: ${saidBy(claimed.failure)}`)
    }
    await using(claimed, async () => noteClaim(subject, relayed, claimed.relayed))
  })
}

function noteClaim({ notes }: Subject, first: TransportAddress, second: TransportAddress): void {
  const facts = { ports: [String(first.port), String(second.port)] }
  if (second.ip === first.ip && second.port === first.port + 1) {
    return notes.note('reservation', 'yes', `port ${second.port} was kept for its token`, facts)
  }
  notes.note('reservation', 'no', `the token gave ${formatAddress(second)}, and not port ${first.port + 1}`, facts)
}

/** The allocation is taken over from another socket, as after a change of network. RFC 8016 §3 */
async function checkMobility(subject: Subject): Promise<void> {
  const { notes } = subject
  const opened = await openAnother(subject, { mobility: true })
  if (!opened.ok) return noteRefusal(subject, 'mobility', opened.failure)
  await using(opened, async () => {
    const { mobilityTicket } = opened.allocation
    if (!mobilityTicket) return notes.note('mobility', 'no', 'no MOBILITY-TICKET came')
    const { ports, options, target } = subject
    const { username, credential } = target.server
    const next = await openTurnSession(ports, {
      to: opened.session.server,
      protocol: target.attempt.transport,
      serverName: target.serverName,
      ca: options.ca,
      ...(username !== undefined && credential !== undefined && { credentials: { username, password: credential } }),
      timing: patientTiming,
      connectTimeoutMs: limitOf(subject).timeoutMs,
      signal: ownSignal(options.signal),
    })
    if (!next.ok)
      return notes.note('mobility', 'inconclusive', `a ticket came, and no second connection: ${next.failure.why}`)
    const moved = await next.value.move(opened.allocation, limitOf(subject))
    if (moved.ok) notes.note('mobility', 'yes', 'the allocation moved to another socket')
    else notes.note('mobility', 'no', `the ticket is not honoured: ${saidBy(moved.failure)}`)
    await next.value.close()
  })
}
