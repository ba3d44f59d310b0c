/** Why a server fails, in words: each cause is one sentence, and comes with what to do about it. */
import type { AttemptObservation, Cause, CauseCode } from '../probe/ice/index.ts'

export interface Explanation {
  readonly message: string
  /** One imperative sentence. */
  readonly fix: string
}

type Words = (fact: (name: string) => string, where: Place) => Explanation

/** The attempt as its sentences name it. */
interface Place {
  readonly host: string
  /** `UDP 3478`: what a firewall rule would name. */
  readonly port: string
  readonly transport: string
}

export function explainCause(cause: Cause, attempt: AttemptObservation): Explanation {
  const place = placeOf(attempt)
  return words[cause.code]((name) => factOf(cause, name), place)
}

const factOf = ({ facts }: Cause, name: string): string => {
  const fact = Object.hasOwn(facts, name) ? facts[name] : undefined
  return Array.isArray(fact) ? fact.join(', ') : String(fact ?? '')
}

function placeOf({ uri, address, transport }: AttemptObservation): Place {
  const authority = uri.replace(/^\w+:/, '').replace(/\?.*$/, '')
  const host = /^\[.*?\]|^[^:]*/.exec(authority)?.[0] ?? authority
  const port = /:(\d+)$/.exec(address ?? authority)?.[1] ?? ''
  return { host, port: `${transport === 'udp' ? 'UDP' : 'TCP'} ${port}`.trim(), transport: transport.toUpperCase() }
}

/** Seconds as people say them: the largest unit that leaves at least two of it. */
export function spell(seconds: number): string {
  const units: readonly (readonly [number, string])[] = [
    [86_400, 'days'],
    [3600, 'hours'],
    [60, 'minutes'],
  ]
  const unit = units.find(([size]) => seconds >= 2 * size)
  return unit ? `${Math.floor(seconds / unit[0])} ${unit[1]}` : `${Math.round(seconds)} seconds`
}

const withReason = (code: string, reason: string): string => `${code} ${reason}`.trim()

function blockedHow(fact: (name: string) => string): string {
  if (fact('reason') === 'local-firewall') return " by this machine's own firewall"
  if (fact('reason') === 'admin-prohibited') return ': a firewall on the way says so (ICMP)'
  return ` on the way, or shut at the server: nothing comes back${fact('worksOver') && `, while ${fact('worksOver')} gets through`}`
}

const certificateFix = 'renew the certificate on the server, chain included, and reload it'

const words: Readonly<Record<CauseCode, Words>> = {
  'unknown-host': (_, { host }) => ({
    message: `the name ${host} does not exist in DNS`,
    fix: 'check the spelling, or publish an A or AAAA record',
  }),
  'dns-failed': (fact, { host }) => ({
    message: `the name ${host} could not be looked up${fact('detail') && ` (${fact('detail')})`}`,
    fix: 'check the name resolution of this machine, or name the server by its address',
  }),
  'no-route': (fact) => ({
    message: `it can't be reached${fact('detail') && `: ${fact('detail')}`}`,
    fix: 'check the network and its routes, or leave this address family out',
  }),
  blocked: (fact, { port }) => ({
    message: `${port} is blocked${blockedHow(fact)}`,
    fix:
      fact('reason') === 'local-firewall'
        ? `allow ${port} in this machine's own firewall`
        : `open ${port} outbound here and inbound at the server, or offer it on a port that passes, such as TLS on TCP 443`,
  }),
  refused: (_, { port }) => ({
    message: `${port} is refused: nothing listens there, or a firewall says so`,
    fix: 'start the server, mend the port in the URL, or look for a firewall on the way that rejects',
  }),
  'connect-timeout': (_, { port }) => ({
    message: `no connection to ${port}: the attempt is not answered`,
    fix: `check that the server is up, and that a firewall lets ${port} through`,
  }),
  closed: (_, { transport }) => ({
    message: `the server ends the ${transport} connection without an answer`,
    fix: 'check that this port speaks TURN and not, say, HTTP, and whether it limits connections',
  }),
  'not-tls': (_, { port }) => ({
    message: `what answers on ${port} does not speak TLS`,
    fix: 'use turn: with ?transport=tcp for this port, or turn TLS on in the server (certificate and key)',
  }),
  'tls-failed': (fact, { port }) =>
    fact('problem') === 'timeout'
      ? {
          message: `${port} takes the connection and leaves the TLS handshake unanswered`,
          fix: 'use turn: with ?transport=tcp if this port is without TLS; else look for a firewall that keeps TLS out',
        }
      : {
          message: `the TLS handshake on ${port} fails`,
          fix: 'check that the server offers TLS 1.2 or later, usual ciphers, and asks for no client certificate',
        },
  'certificate-expired': (fact) => ({
    message: `its certificate expired ${fact('date')}`,
    fix: certificateFix,
  }),
  'certificate-not-yet-valid': (fact) => ({
    message: `its certificate is valid only from ${fact('date')} on`,
    fix: "check this machine's clock and the certificate",
  }),
  'certificate-wrong-name': (fact, { host }) => ({
    message: `its certificate is for ${fact('names') || 'another name'}, not for ${host}`,
    fix: 'use a name that the certificate has, or get one for this name',
  }),
  'certificate-self-signed': () => ({
    message: 'its certificate is self-signed, and browsers refuse that',
    fix: "install one from a public authority (Let's Encrypt, for instance)",
  }),
  'certificate-untrusted': (fact) => ({
    message: `its certificate is not trusted${fact('issuer') && `: issued by ${fact('issuer')}`}`,
    fix: 'send the whole chain (fullchain.pem), issued by an authority that clients know, or trust yours by --ca',
  }),
  'not-stun': (_, { port }) => ({
    message: `what answers on ${port} does not speak STUN`,
    fix: 'check the port: another service listens there',
  }),
  'no-answer': (_, { transport }) => ({
    message: transport === 'UDP' ? 'no answer' : 'connected, but requests are not answered',
    fix: 'check that a STUN/TURN server runs there and takes this transport',
  }),
  'other-source': (fact) => ({
    message: `it answers from ${fact('from')} instead of the address asked, and clients drop such answers`,
    fix: 'bind the server to its public address, or mend the NAT in front of it (coturn: listening-ip)',
  }),
  'not-turn': () => ({
    message: 'it answers STUN, and knows no Allocate: it is no TURN server, or runs with TURN off',
    fix: 'use it as stun:, or turn relaying on (coturn: remove stun-only)',
  }),
  'no-credentials': () => ({
    message: 'it asks for credentials, and none were given',
    fix: 'give --username and --credential-env, or --ice-servers',
  }),
  'wrong-credentials': (fact) => ({
    message: `it refuses the user name or password (401 again${fact('realm') && `, realm ${fact('realm')}`})`,
    fix: 'check both, the realm, and for REST credentials that the secret is the same on both sides',
  }),
  'expired-credentials': (fact) => ({
    message: `the credentials expired ${spell(Number(fact('seconds')))} ago`,
    fix: 'fetch fresh ones from your application, and check its clock and the TTL it grants',
  }),
  'bad-integrity': () => ({
    message: 'its answers are not signed with the password: something between changes them, or the server is broken',
    fix: 'compare over TLS; if that works, a middlebox rewrites packets',
  }),
  forbidden: (fact) => ({
    message: `it forbids the allocation (${withReason('403', fact('reason'))})`,
    fix: "look in the server's log: the user, the address or the transport is not allowed",
  }),
  'allocation-mismatch': () => ({
    message: 'it says that this address has an allocation already (437)',
    fix: 'something between reuses ports quickly, or the server lost a deletion: try again in ten minutes',
  }),
  'stale-nonce-loop': () => ({
    message: 'it calls every nonce stale (438 again and again), its own fresh ones too',
    fix: 'if several servers share the address, give them the same nonce key; check the clocks',
  }),
  quota: (fact) => ({
    message: `the quota is used up (${withReason('486', fact('reason'))})`,
    fix: 'raise user-quota, or let clients end their allocations; old ones expire within ten minutes',
  }),
  'no-capacity': (fact) => ({
    message: `the server has no relay address left (${withReason('508', fact('reason'))})`,
    fix: 'widen its port range, raise total-quota and its limit of open files, or drain less',
  }),
  redirect: (fact) => ({
    message: `it sends clients elsewhere (300), and that does not work: ${fact('to')}`,
    fix: 'mend alternate-server in its configuration',
  }),
  'error-response': (fact) => ({
    message: `it answers ${withReason(fact('code'), fact('reason'))}`,
    fix: "look in the server's log for the reason",
  }),
  unsupported: () => ({
    message: 'natcheck does not speak TURN over DTLS',
    fix: 'check the same server over TLS: ?transport=tcp',
  }),
  'relay-address-loopback': (fact) => ({
    message: `it relays from ${fact('ip')}, a loopback address that nobody else can reach`,
    fix: 'set its relay-ip and external-ip to the public address',
  }),
  'relay-address-private': (fact) => ({
    message: `it relays from ${fact('ip')}, a private address that peers outside can't reach`,
    fix: 'set external-ip=PUBLIC/PRIVATE on the server (natcheck relay: --external-ip)',
  }),
  'peer-denied': (fact) => ({
    message: `it does not relay to ${fact('peer')} (403)`,
    fix: "if peers live there, allow the address in the server's peer rules",
  }),
  'one-way-to-peer': () => ({
    message: 'data leaves through the relay, and nothing comes back through it',
    fix: "open the relay's port range inbound (UDP 49152-65535) in the server's firewall",
  }),
  'one-way-from-peer': () => ({
    message: 'data comes in through the relay, and none goes out',
    fix: 'let the server send UDP from its relay ports, and check the route from there',
  }),
  'no-data': (fact) => {
    if (fact('via')) {
      return {
        message: `data crosses it by Send indications, and not by ${fact('via')}`,
        fix: "look in the server's log, and for a firewall that knows STUN and nothing else on this port",
      }
    }
    return {
      message: fact('between')
        ? 'it relays between two allocations, but nothing passes between its relay ports and this network'
        : 'the allocation works, and no data crosses it',
      fix: "open the relay's port range (UDP 49152-65535) both ways in the server's firewall, and check external-ip; if your own network lets UDP out to few ports only, check from another",
    }
  },
  cancelled: () => ({ message: 'the check ended before it did', fix: 'give it more time with --timeout' }),
}
