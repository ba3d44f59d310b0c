/** The JSON Schemas of IceReport and TurnReport. Loads typebox, which is slow: import it only where a schema is really needed. */
import Type, { type Static, type TSchema } from 'typebox'
import { turnCheckIds } from '../probe/turn/observations.ts'
import type { Described } from './described.ts'
import type { IceReport } from './ice-report.ts'
import { closed, nullable } from './schema-parts.ts'
import type { TurnReport } from './turn-report.ts'

const text = Type.String()
const count = Type.Integer({ minimum: 0 })
const address = Type.String({ description: 'ip:port, IPv6 in brackets' })
const port = Type.Integer({ minimum: 0, maximum: 65_535 })
const milliseconds = Type.Number({ description: 'milliseconds since the start' })
const transport = Type.Enum(['udp', 'tcp', 'tls'])
const severity = Type.Enum(['error', 'warning'])
const stageName = Type.Enum([
  'dns',
  'connect',
  'tls',
  'binding',
  'challenge',
  'allocate',
  'permission',
  'channel',
  'data',
])

const candidate = Type.Object(
  {
    atMs: milliseconds,
    type: Type.Enum(['host', 'srflx', 'prflx', 'relay']),
    protocol: Type.Enum(['udp', 'tcp']),
    tcpType: nullable(Type.Enum(['active', 'passive', 'so'])),
    ip: text,
    port,
    related: nullable(Type.Object({ ip: text, port }, closed)),
    priority: count,
    foundation: text,
    component: count,
    line: Type.String({ description: 'candidate:…, RFC 8839 §5.1' }),
    interface: nullable(text),
    interfaceKind: Type.Enum(['physical', 'vpn', 'container', 'loopback', 'unknown']),
    temporary: nullable(Type.Boolean()),
    attempt: nullable(count),
    relayProtocol: nullable(transport),
    browserOmits: nullable(text),
  },
  closed,
)

const causeCode = Type.Enum([
  'unknown-host',
  'dns-failed',
  'no-route',
  'blocked',
  'refused',
  'connect-timeout',
  'closed',
  'not-tls',
  'tls-failed',
  'certificate-expired',
  'certificate-not-yet-valid',
  'certificate-wrong-name',
  'certificate-self-signed',
  'certificate-untrusted',
  'not-stun',
  'no-answer',
  'other-source',
  'not-turn',
  'no-credentials',
  'wrong-credentials',
  'expired-credentials',
  'bad-integrity',
  'forbidden',
  'allocation-mismatch',
  'stale-nonce-loop',
  'quota',
  'no-capacity',
  'redirect',
  'error-response',
  'unsupported',
  'relay-address-loopback',
  'relay-address-private',
  'peer-denied',
  'one-way-to-peer',
  'one-way-from-peer',
  'no-data',
  'cancelled',
])

const server = Type.Object(
  {
    uri: text,
    scheme: Type.Enum(['stun', 'stuns', 'turn', 'turns']),
    transport,
    family: nullable(Type.Enum([4, 6])),
    address: nullable(address),
    local: nullable(address),
    stages: Type.Array(
      Type.Object(
        { stage: stageName, startMs: milliseconds, endMs: nullable(milliseconds), ok: Type.Boolean(), detail: text },
        closed,
      ),
    ),
    rttMs: nullable(Type.Number()),
    mapped: nullable(address),
    relayed: nullable(address),
    software: nullable(text),
    realm: nullable(text),
    tls: nullable(
      Type.Object(
        {
          version: nullable(text),
          names: Type.Array(text),
          issuer: text,
          validFrom: Type.String({ description: 'ISO 8601, UTC' }),
          validTo: Type.String({ description: 'ISO 8601, UTC' }),
        },
        closed,
      ),
    ),
    causes: Type.Array(
      Type.Object(
        {
          code: causeCode,
          stage: stageName,
          severity,
          facts: Type.Record(text, Type.Union([text, Type.Number(), Type.Array(text)])),
        },
        closed,
      ),
    ),
    ok: Type.Boolean(),
  },
  closed,
)

const reachability = Type.Object(
  {
    candidate: Type.Integer({ minimum: 0, description: 'index in candidates' }),
    result: Type.Enum(['proven', 'not-proven', 'failed']),
    peer: nullable(Type.Enum(['mapped-address', 'second-allocation'])),
    bursts: Type.Array(
      Type.Object(
        {
          via: Type.Enum(['binding', 'send-data', 'channel-data']),
          direction: Type.Enum(['round-trip', 'to-peer', 'from-peer']),
          sent: count,
          received: count,
          rttsMs: Type.Array(Type.Number()),
        },
        closed,
      ),
    ),
    sent: count,
    received: count,
    rttMs: nullable(Type.Number()),
    jitterMs: nullable(Type.Number()),
    loss: nullable(Type.Number({ minimum: 0, maximum: 1 })),
    why: text,
  },
  closed,
)

const findings = Type.Array(
  Type.Object({ severity, code: text, subject: text, message: text, fix: nullable(text) }, closed),
)

const error = nullable(Type.Object({ code: text, message: text, fix: nullable(text) }, closed))

const report = Type.Object(
  {
    schemaVersion: Type.Literal(1),
    command: Type.Literal('ice'),
    startedAt: Type.String({ description: 'ISO 8601, UTC' }),
    durationMs: Type.Number({ minimum: 0 }),
    policy: Type.Enum(['all', 'relay']),
    gatheredMs: nullable(milliseconds),
    candidates: Type.Array(candidate),
    servers: Type.Array(server),
    reachability: Type.Array(reachability),
    findings,
    verdict: Type.Object({ kind: Type.Enum(['all-good', 'partly', 'nothing', 'host-only']), summary: text }, closed),
    failed: Type.Array(text, { description: 'the expectations that were not met' }),
    error,
    redacted: Type.Boolean(),
  },
  {
    ...closed,
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'natcheck ice report',
    description: 'What `natcheck ice --json` prints: schemaVersion 1.',
  },
)

const typeFitsSchema = (value: IceReport): Described<Static<typeof report>> => value
const schemaFitsType = (value: Described<Static<typeof report>>): IceReport => value
void typeFitsSchema
void schemaFitsType

/** The report's JSON Schema: what `natcheck schema ice` prints. */
export const iceReportSchema: TSchema = report

const fact = Type.Union([text, Type.Number(), Type.Boolean(), Type.Null(), Type.Array(text)])

const check = Type.Object(
  {
    id: Type.Enum(turnCheckIds),
    group: Type.Enum(['Security', 'Protocol', 'Relaying', 'Features']),
    title: text,
    result: Type.Enum(['yes', 'no', 'warning', 'not-tested', 'inconclusive']),
    severity: nullable(severity),
    detail: text,
    fix: nullable(text),
    facts: Type.Record(text, fact),
  },
  closed,
)

const turnReport = Type.Object(
  {
    schemaVersion: Type.Literal(1),
    command: Type.Literal('turn'),
    startedAt: Type.String({ description: 'ISO 8601, UTC' }),
    durationMs: Type.Number({ minimum: 0 }),
    uri: text,
    transports: Type.Array(
      Type.Object(
        { ...server.properties, named: Type.Boolean({ description: 'the URI says so; false: tried beside it' }) },
        closed,
      ),
    ),
    subject: nullable(Type.Integer({ minimum: 0, description: 'index in transports: the one that the checks used' })),
    checks: Type.Array(check),
    allocations: count,
    findings,
    verdict: Type.Object({ kind: Type.Enum(['good', 'flawed', 'unusable']), summary: text }, closed),
    error,
    redacted: Type.Boolean(),
  },
  {
    ...closed,
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'natcheck turn report',
    description: 'What `natcheck turn --json` prints: schemaVersion 1.',
  },
)

const turnFitsSchema = (value: TurnReport): Described<Static<typeof turnReport>> => value
const schemaFitsTurn = (value: Described<Static<typeof turnReport>>): TurnReport => value
void turnFitsSchema
void schemaFitsTurn

/** What `natcheck schema turn` prints. */
export const turnReportSchema: TSchema = turnReport
