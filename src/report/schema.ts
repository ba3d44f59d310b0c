/** The JSON Schema of the report. Loads typebox, which is slow: import it only where a schema is really needed. */
import Type, { type Static, type TSchema } from 'typebox'
import type { Described } from './described.ts'
import type { NatReport } from './nat-report.ts'
import { closed, nullable } from './schema-parts.ts'

const text = Type.String()
/** `192.0.2.1:3478` or `[2001:db8::1]:3478` */
const address = Type.String({ description: 'ip:port, IPv6 in brackets' })
const count = Type.Integer({ minimum: 0 })
const milliseconds = Type.Number({ description: 'milliseconds since the first packet' })
const change = Type.Enum(['none', 'port', 'ip-and-port'])
const errorCode = Type.Enum([
  'USAGE',
  'BAD_URI',
  'BAD_FILE',
  'BAD_ADDRESS',
  'ADDRESS_IN_USE',
  'PERMISSION_DENIED',
  'UNKNOWN_HOST',
  'NO_ADDRESS',
  'DNS_FAILED',
  'NO_ROUTE',
  'UNREACHABLE',
  'CONNECTION_REFUSED',
  'CONNECTION_CLOSED',
  'TIMEOUT',
  'TLS_FAILED',
  'NOT_STUN',
  'STUN_ERROR',
  'UNSUPPORTED',
  'CANCELLED',
])

/** value is null unless kind is observed; why is one sentence. */
const finding = <T extends TSchema>(value: T) =>
  Type.Union([
    Type.Object({ kind: Type.Literal('observed'), value, why: text }, closed),
    Type.Object({ kind: Type.Literal('inconclusive'), value: Type.Null(), why: text }, closed),
    Type.Object({ kind: Type.Literal('not-tested'), value: Type.Null(), why: text }, closed),
  ])

const behaviours = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const

const classicStep = Type.Object(
  {
    test: Type.Enum(['I', 'II', "I'", 'III']),
    from: address,
    to: address,
    change,
    sentAtMs: Type.Array(milliseconds),
    reply: nullable(Type.Object({ atMs: milliseconds, from: address, mapped: nullable(address) }, closed)),
  },
  closed,
)

const classicValue = Type.Enum([
  'udp-blocked',
  'open-internet',
  'symmetric-udp-firewall',
  'full-cone',
  'restricted-cone',
  'port-restricted-cone',
  'symmetric',
])
const trace = Type.Array(classicStep)
const classic = Type.Union([
  Type.Object({ kind: Type.Literal('observed'), value: classicValue, why: text, trace }, closed),
  Type.Object({ kind: Type.Literal('inconclusive'), value: Type.Null(), why: text, trace }, closed),
  Type.Object({ kind: Type.Literal('not-tested'), value: Type.Null(), why: text, trace }, closed),
])

const portAssignment = Type.Object(
  {
    kind: Type.Enum(['preservation', 'parity', 'sequential', 'random']),
    delta: nullable(Type.Number()),
    predictable: Type.Boolean(),
  },
  closed,
)

const family = Type.Object(
  {
    local: nullable(address),
    mapped: nullable(address),
    behindNat: nullable(Type.Boolean()),
    mapping: finding(Type.Enum([...behaviours, 'none'])),
    filtering: finding(Type.Enum([...behaviours])),
    rfc3489: classic,
    hairpinning: finding(Type.Enum(['off', 'internal-source', 'external-source'])),
    portAssignment: finding(portAssignment),
    pooling: finding(Type.Enum(['paired', 'arbitrary'])),
    lifetime: finding(Type.Number({ description: 'seconds a mapping survives without traffic' })),
    cgnat: finding(Type.Enum(['none', 'carrier-grade-nat', 'double-nat'])),
    alg: finding(Type.Boolean()),
    fragments: finding(Type.Enum(['pass', 'blocked'])),
    nat64: finding(Type.String({ description: 'the NAT64 prefix, or none' })),
    confidence: Type.Enum(['high', 'medium', 'low']),
    disagreement: nullable(text),
  },
  closed,
)

const reply = Type.Object(
  {
    atMs: milliseconds,
    from: address,
    mapped: nullable(address),
    mappedPlain: nullable(address),
    otherAddress: nullable(address),
    bytes: count,
    errorCode: nullable(Type.Integer()),
  },
  closed,
)

const failure = Type.Object(
  {
    atMs: milliseconds,
    reason: Type.Enum([
      'port-unreachable',
      'host-unreachable',
      'network-unreachable',
      'admin-prohibited',
      'no-route',
      'local-firewall',
      'message-too-big',
      'other',
    ]),
    detail: text,
  },
  closed,
)

const exchange = Type.Object(
  {
    test: Type.Enum([
      'reachability',
      'mapping-1',
      'mapping-2',
      'mapping-3',
      'filtering-1',
      'filtering-2',
      'filtering-3',
      'open-alternate',
      'open-port',
      'prove-alternate',
      'prove-port',
      'port-assignment',
      'hairpin',
      'lifetime-create',
      'lifetime-probe',
      'fragment-control',
      'fragment',
    ]),
    socket: text,
    local: address,
    server: count,
    to: address,
    change,
    sentAtMs: Type.Array(milliseconds),
    replies: Type.Array(reply),
    failure: nullable(failure),
  },
  closed,
)

const router = Type.Object(
  {
    protocol: Type.Enum(['upnp', 'nat-pmp', 'pcp']),
    outcome: Type.Enum(['answered', 'no-answer', 'unsupported', 'refused', 'malformed', 'not-sent']),
    externalIp: Type.Optional(text),
    server: Type.Optional(text),
    rttMs: Type.Optional(Type.Number()),
    epochSeconds: Type.Optional(Type.Number()),
    detail: Type.Optional(text),
  },
  closed,
)

const observations = Type.Object(
  {
    family: Type.Enum([4, 6]),
    localIp: nullable(text),
    localInterface: nullable(text),
    servers: Type.Array(
      Type.Object(
        {
          uri: text,
          address: nullable(address),
          problem: nullable(Type.Object({ code: errorCode, message: text }, closed)),
          asked: Type.Boolean(),
        },
        closed,
      ),
    ),
    exchanges: Type.Array(exchange),
    streams: Type.Array(
      Type.Object({ server: count, to: address, connected: Type.Boolean(), problem: nullable(errorCode) }, closed),
    ),
    notStun: Type.Array(address),
    unmatched: Type.Array(address),
    router: Type.Array(router),
    hairpinArrivals: Type.Array(Type.Object({ atMs: milliseconds, sender: text, from: address }, closed)),
    lifetime: Type.Array(Type.Object({ idleSeconds: Type.Number(), alive: nullable(Type.Boolean()) }, closed)),
    nat64Prefix: Type.Optional(nullable(text)),
    endedAtMs: milliseconds,
  },
  closed,
)

const report = Type.Object(
  {
    schemaVersion: Type.Literal(1),
    command: Type.Literal('nat'),
    startedAt: Type.String({ description: 'ISO 8601, UTC' }),
    durationMs: Type.Number({ minimum: 0, description: 'from the first packet to the verdict' }),
    servers: Type.Array(
      Type.Object(
        {
          uri: text,
          ok: Type.Boolean(),
          rttMs: nullable(Type.Number()),
          rfc5780: nullable(Type.Boolean()),
          problem: nullable(text),
        },
        closed,
      ),
    ),
    nat: Type.Object({ ipv4: nullable(family), ipv6: nullable(family) }, closed),
    verdict: Type.Object(
      {
        summary: text,
        p2p: Type.Enum(['direct', 'limited', 'relay-only', 'blocked', 'unknown']),
        family: nullable(Type.Enum(['ipv4', 'ipv6'])),
        directWith: text,
        relayFor: text,
        advice: Type.Array(text),
      },
      closed,
    ),
    selfTest: nullable(
      Type.Object(
        {
          passed: Type.Boolean(),
          server: text,
          problem: nullable(text),
          unreachable: Type.Array(
            Type.Object(
              { uri: text, cause: Type.Enum(['dns', 'no-route', 'udp-blocked', 'no-answer', 'other']), why: text },
              closed,
            ),
          ),
          nat: nullable(family),
          observations: Type.Array(observations),
        },
        closed,
      ),
    ),
    failed: Type.Array(text, { description: 'the words of --fail-on that came true' }),
    error: nullable(Type.Object({ code: text, message: text, fix: nullable(text) }, closed)),
    redacted: Type.Boolean(),
    observations: Type.Array(observations),
  },
  {
    ...closed,
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'natcheck nat report',
    description: 'What `natcheck nat --json` prints: schemaVersion 1.',
  },
)

const typeFitsSchema = (value: NatReport): Described<Static<typeof report>> => value
const schemaFitsType = (value: Described<Static<typeof report>>): NatReport => value
void typeFitsSchema
void schemaFitsType

/** The report's JSON Schema: what `natcheck schema nat` prints. */
export const natReportSchema: TSchema = report
