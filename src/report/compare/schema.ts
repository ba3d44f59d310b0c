/** The JSON Schema of `natcheck compare --json`. Loads typebox: import it only where a schema is really needed. */
import Type, { type Static, type TSchema } from 'typebox'
import type { Described } from '../described.ts'
import type { CompareReport } from './report.ts'

const text = Type.String()
const nullable = <T extends TSchema>(type: T) => Type.Union([type, Type.Null()])
const closed = { additionalProperties: false }
const behaviors = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const

const family = Type.Object(
  {
    family: Type.Enum([4, 6]),
    udp: Type.Enum(['usable', 'blocked', 'absent', 'untested', 'unknown']),
    why: nullable(text),
    tcp: nullable(Type.Boolean()),
    localIp: nullable(text),
    publicIp: nullable(text),
    mappings: Type.Array(Type.Enum(['none', ...behaviors]), { description: 'all that it may be' }),
    filterings: Type.Array(Type.Enum([...behaviors]), { description: 'all that it may be' }),
    arbitraryPooling: Type.Boolean(),
    predictablePorts: Type.Boolean(),
    hairpinning: nullable(Type.Enum(['off', 'internal-source', 'external-source'])),
    cgnat: nullable(Type.Enum(['none', 'carrier-grade-nat', 'double-nat'])),
  },
  closed,
)

const side = Type.Object(
  {
    file: text,
    startedAt: Type.String({ description: 'ISO 8601, UTC' }),
    network: Type.Object(
      {
        families: Type.Array(family),
        redacted: Type.Boolean(),
        relays: nullable(
          Type.Array(Type.Enum(['udp', 'tcp', 'tls']), {
            description: 'transports over which its TURN servers gave a working relay; null: none were asked',
          }),
        ),
      },
      closed,
    ),
  },
  closed,
)

const candidate = Type.Enum(['host', 'srflx', 'prflx'])
const relay = Type.Enum(['udp', 'tcp', 'none', 'unknown'])

const verdict = Type.Object(
  {
    outcome: Type.Enum(['direct', 'relay', 'none', 'unknown']),
    connects: nullable(Type.Boolean({ description: 'directly or by relay; null: the reports do not tell' })),
    summary: text,
    family: nullable(Type.Enum(['ipv4', 'ipv6'])),
    candidates: nullable(Type.Object({ a: candidate, b: candidate }, closed)),
    first: nullable(Type.Enum(['either', 'a', 'b', 'both'], { description: 'who has to send first' })),
    relay: Type.Object({ a: relay, b: relay }, { ...closed, description: 'how each side reaches a TURN server' }),
    reasoning: Type.Array(text),
    advice: Type.Array(text),
  },
  closed,
)

const report = Type.Object(
  {
    schemaVersion: Type.Literal(1),
    command: Type.Literal('compare'),
    a: nullable(side),
    b: nullable(side),
    verdict: nullable(verdict),
    error: nullable(Type.Object({ code: text, message: text, fix: nullable(text) }, closed)),
  },
  {
    ...closed,
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'natcheck compare report',
    description: 'What `natcheck compare --json` prints: schemaVersion 1.',
  },
)

const typeFitsSchema = (value: CompareReport): Described<Static<typeof report>> => value
const schemaFitsType = (value: Described<Static<typeof report>>): CompareReport => value
void typeFitsSchema
void schemaFitsType

/** What `natcheck schema compare` prints. */
export const compareReportSchema: TSchema = report
