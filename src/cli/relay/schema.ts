/** The settings file's schema. Loads typebox, which is slow: import it only where there is a file. */
import Type, { type TSchema } from 'typebox'

const text = Type.String({ minLength: 1 })
const texts = Type.Union([text, Type.Array(text, { minItems: 1 })])
const count = Type.Integer({ minimum: 1 })
/** `30s`, `10m`, or a number of seconds. */
const duration = Type.Union([Type.String({ pattern: '^\\d+ ?[smhdSMHD]?$' }), Type.Integer({ minimum: 0 })])
const closed = { additionalProperties: false }

/** Every key is optional, and named as its flag, in camel case. */
const keys: Readonly<Record<string, TSchema>> = {
  engine: Type.Enum(['native', 'node-turn', 'coturn']),
  listen: texts,
  tlsListen: texts,
  cert: text,
  key: text,
  altIp: text,
  relayIp: texts,
  externalIp: texts,
  ports: Type.String({ pattern: '^\\d+-\\d+$' }),
  realm: text,
  user: texts,
  usersFile: text,
  authSecretFile: text,
  nonceKeyFile: text,
  noAuth: Type.Boolean(),
  allowPeer: texts,
  denyPeer: texts,
  userQuota: count,
  totalQuota: count,
  maxBps: count,
  datapath: Type.Enum(['auto', 'dgram', 'mmsg']),
  threads: count,
  metrics: text,
  stunOnly: Type.Boolean(),
  drainTimeout: duration,
  logLevel: Type.Enum(['debug', 'info', 'warn', 'error', 'silent']),
  lifetimes: Type.Object(
    {
      allocation: Type.Optional(duration),
      maxAllocation: Type.Optional(duration),
      permission: Type.Optional(duration),
      channel: Type.Optional(duration),
      nonce: Type.Optional(duration),
    },
    closed,
  ),
}

/** The JSON Schema of natcheck.yaml (draft 2020-12). */
export const relayFileSchema: TSchema = Type.Object(
  Object.fromEntries(Object.entries(keys).map(([name, type]) => [name, Type.Optional(type)])),
  closed,
)
