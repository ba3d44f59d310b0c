/** Whom the server lets its clients reach: an allocation must not be a way into the server's own network. RFC 8656 §21.4 */
import { type IpAddress, scopeOf } from '../../core/index.ts'
import { Method, attribute, xorPeerAddress } from '../../wire/index.ts'
import type { TurnSession } from '../../proto/turn-client/index.ts'
import { limitOf, type Subject } from './examination.ts'

/** What no relay on the internet should reach for a stranger: itself, its neighbours, its cloud's metadata. */
const dangerous: readonly IpAddress[] = [
  '127.0.0.1',
  '0.0.0.0',
  '10.0.0.1',
  '172.16.0.1',
  '192.168.0.1',
  '100.64.0.1',
  '169.254.169.254',
]

const dangerous6: readonly IpAddress[] = [
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:169.254.169.254',
  '64:ff9b::7f00:1',
  '2002:7f00:1::1',
  'fe80::1',
  'fd00:ec2::254',
]

/** The discard port: what ended up there would do no harm. Nothing is sent. */
const port = 9

/** Asks for permissions and sends nothing. One each: a request that names several stands or falls with all of them. */
export async function checkForbiddenPeers(
  subject: Pick<Subject, 'notes' | 'options' | 'target'>,
  session: Pick<TurnSession, 'exchange'>,
  family: 4 | 6,
): Promise<void> {
  const id = family === 4 ? 'forbidden-peers' : 'forbidden-peers-ipv6'
  const peers = family === 4 ? dangerous : dangerous6
  const answers = await Promise.all(
    peers.map(async (ip) => {
      const attributes = [attribute(xorPeerAddress, { ip, port })]
      const outcome = await session.exchange(
        { method: Method.createPermission, attributes, meetChallenges: true },
        limitOf(subject),
      )
      return { ip, outcome }
    }),
  )
  const granted = answers.flatMap(({ ip, outcome }) => (outcome.ok && !outcome.value.error ? [ip] : []))
  const codes = answers.flatMap(({ outcome }) => (outcome.ok && outcome.value.error ? [outcome.value.error.code] : []))
  const silent = answers.length - granted.length - codes.length
  const facts = { granted, refused: codes.length, codes: [...new Set(codes)].map(String), silent }
  const { to } = subject.target
  // A server inside a private network is there for peers inside it.
  const own = scopeOf(to.ip)
  const open = granted.filter((ip) => own === 'global' || own === 'reserved' || scopeOf(ip) !== own)
  const { notes } = subject
  if (open.length > 0) {
    return notes.note(id, 'no', `it relays to ${open.join(', ')}`, { ...facts, open })
  }
  if (granted.length > 0) {
    return notes.note(id, 'warning', `it relays to ${granted.join(', ')}, of its own network`, facts)
  }
  if (codes.length === 0) return notes.note(id, 'inconclusive', 'requests for such peers were not answered', facts)
  const unclear = silent > 0 ? `, ${silent} not answered` : ''
  notes.note(
    id,
    'yes',
    `${codes.length} of ${peers.length} addresses refused (${facts.codes.join(', ')})${unclear}`,
    facts,
  )
}
