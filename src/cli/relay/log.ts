/** The relay's log: one JSON object a line on stderr, without secrets; client addresses only at debug. */
import { pino } from 'pino'
import { formatAddress } from '../../core/index.ts'
import type { RelayAllocation, RelayEvent } from '../../relay/relay.ts'
import type { LogLevel } from './settings.ts'

export interface RelayLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
  event(event: RelayEvent): void
}

/** `write` gets whole lines. */
export function relayLog(level: LogLevel, write: (line: string) => void): RelayLog {
  // No pid and host name: whoever collects logs adds their own.
  const logger = pino({ level, base: null, formatters: { level: (label) => ({ level: label }) } }, { write })
  const shows = (allocation: RelayAllocation): Record<string, unknown> => ({
    username: allocation.username,
    protocol: allocation.protocol,
    relayed: allocation.relayed.map(formatAddress),
    ...(logger.isLevelEnabled('debug') ? { client: formatAddress(allocation.client) } : {}),
  })
  return {
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
    event: (event) => {
      switch (event.kind) {
        case 'allocation-created':
          return logger.info(shows(event.allocation), 'allocation created')
        case 'allocation-ended': {
          const { ageSeconds, toPeer, toClient } = event.allocation
          const counts = { toPeerBytes: toPeer.bytes, toClientBytes: toClient.bytes }
          const fields = { ...shows(event.allocation), why: event.why, seconds: Math.round(ageSeconds), ...counts }
          return logger.info(fields, 'allocation ended')
        }
        case 'auth-failure':
          // What an attacker can cause at will is no news; the metrics count it.
          return logger.debug(
            {
              why: event.why,
              username: event.username,
              protocol: event.protocol,
              client: formatAddress(event.client),
            },
            'authentication failed',
          )
        case 'relay-failed':
          return logger.warn({ why: event.why }, relayFailures[event.why])
        case 'warning':
          return logger.warn(event.message)
        case 'log':
          return logger[event.level === 'debug' ? 'debug' : 'warn']({ from: 'engine' }, event.message)
        case 'failed':
          return logger.error(event.error.message)
      }
    },
  }
}

const relayFailures: Readonly<Record<(RelayEvent & { kind: 'relay-failed' })['why'], string>> = {
  'no-descriptors': 'a client was refused (508): no file descriptor left; raise the limit (ulimit -n, LimitNOFILE=)',
  'no-port': 'a client was refused (508): no port left; widen --ports',
  'address-in-use': 'a client was refused (508): the ports tried are in use; widen --ports',
  timeout: 'a client was refused (508): opening its port took too long',
  other: 'a client was refused (508): its port could not be opened',
}
