/** The JSON Schema of CheckupReport. Loads typebox, which is slow: import it only where a schema is really needed. */
import Type, { type Static, type TSchema, type TUnsafe } from 'typebox'
import type { CheckupReport } from './checkup.ts'
import type { Described } from './described.ts'
import type { IceReport } from './ice-report.ts'
import { iceReportSchema, turnReportSchema } from './ice-schema.ts'
import type { NatReport } from './nat-report.ts'
import { natReportSchema } from './schema.ts'
import type { TurnReport } from './turn-report.ts'
import { closed, nullable } from './schema-parts.ts'

const text = Type.String()

/** A report inside the report: `$schema` belongs to whole documents. */
function embedded<T>(schema: TSchema): TUnsafe<T> {
  const inner: Record<string, unknown> = { ...schema }
  delete inner['$schema']
  return Type.Unsafe<T>(inner)
}

const report = Type.Object(
  {
    schemaVersion: Type.Literal(1),
    command: Type.Literal('checkup'),
    startedAt: Type.String({ description: 'ISO 8601, UTC' }),
    durationMs: Type.Number({ minimum: 0 }),
    serversFrom: Type.Enum(['configured', 'public']),
    verdict: Type.Object({ kind: Type.Enum(['ready', 'degraded', 'not-ready', 'unknown']), summary: text }, closed),
    path: Type.Array(
      Type.Object(
        {
          kind: Type.Enum(['host', 'nat', 'carrier-nat', 'firewall', 'internet', 'stun', 'turn']),
          name: text,
          addresses: Type.Array(text),
        },
        closed,
      ),
      { description: 'from this machine to the servers that answered; empty: none did' },
    ),
    findings: Type.Array(
      Type.Object(
        {
          severity: Type.Enum(['error', 'warning', 'hint']),
          code: text,
          subject: text,
          message: text,
          fix: nullable(text),
        },
        closed,
      ),
      { description: 'the most severe first' },
    ),
    nat: embedded<NatReport>(natReportSchema),
    ice: embedded<IceReport>(iceReportSchema),
    turn: Type.Array(embedded<TurnReport>(turnReportSchema)),
    expectations: Type.Array(
      Type.Object({ flag: Type.Enum(['expect', 'fail-on']), word: text, meaning: text, ok: Type.Boolean() }, closed),
    ),
    failed: Type.Array(text, { description: 'the words of the expectations that failed' }),
    error: nullable(Type.Object({ code: text, message: text, fix: nullable(text) }, closed)),
    redacted: Type.Boolean(),
  },
  {
    ...closed,
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'natcheck check-up report',
    description: 'What `natcheck --json` prints: schemaVersion 1.',
  },
)

const typeFitsSchema = (value: CheckupReport): Described<Static<typeof report>> => value
const schemaFitsType = (value: Described<Static<typeof report>>): CheckupReport => value
void typeFitsSchema
void schemaFitsType

/** The report's JSON Schema: what `natcheck schema checkup` prints. */
export const checkupReportSchema: TSchema = report
