/** What no engine runs with: refused in one line before anything is opened. */
import { NatcheckError, scopeOf } from '../core/index.ts'
import { checkServerCertificate } from './certificate.ts'
import { shortestSecretBytes } from './credentials.ts'
import type { RelayOptions, ReloadableOptions } from './options.ts'
import type { RelayCallbacks, RelayPorts } from './relay.ts'

/** Until when the certificate of the TLS listeners is valid. Throws USAGE or BAD_FILE. */
export function checkedCertificate(
  { clock }: RelayPorts,
  { tlsListen = [], certificate }: RelayOptions,
): Date | undefined {
  if (tlsListen.length === 0) return undefined
  if (certificate) return checkServerCertificate(certificate, clock.wallTime())
  throw new NatcheckError('USAGE', 'a TLS listener needs a certificate and its key', { fix: 'give both' })
}

/** Throws USAGE. */
export function checkOptions(options: RelayOptions, { hooks }: RelayCallbacks): void {
  const { users = [], authSecrets = [], noAuth, stunOnly, listen = [], tlsListen = [], ports, totalQuota } = options
  const refuse = (message: string, fix: string): never => {
    throw new NatcheckError('USAGE', message, { fix })
  }
  if (authSecrets.some((secret) => Buffer.byteLength(secret) < shortestSecretBytes)) {
    refuse(`a secret needs ${shortestSecretBytes} bytes`, 'make one: openssl rand -hex 32')
  }
  const named = users.length > 0 || authSecrets.length > 0 || hooks?.authenticate !== undefined
  const exposed = [...listen, ...tlsListen].find(({ ip }) => scopeOf(ip) !== 'loopback')
  if (!named && !noAuth && !stunOnly) {
    const where = exposed ? ` on ${exposed.ip}` : ''
    refuse(`a relay${where} without users would serve everybody`, 'give users or secrets, or say noAuth')
  }
  if (ports && (ports.min > ports.max || ports.min < 1 || ports.max > 65_535)) {
    refuse(`${ports.min}-${ports.max} is no range of ports`, 'give min and max from 1 to 65535')
  }
  if (ports && totalQuota !== undefined && totalQuota > ports.max - ports.min + 1) {
    refuse(`${ports.min}-${ports.max} has too few ports for ${totalQuota} allocations`, 'widen the range')
  }
}

/** Only what a reload names: what is undefined stays as it is. */
export const given = (changes: ReloadableOptions): ReloadableOptions =>
  Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
