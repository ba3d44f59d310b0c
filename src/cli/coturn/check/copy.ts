/** A turnserver on loopback, with a private copy of the configuration. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type IpAddress, scopeOf, familyOf } from '../../../core/index.ts'
import { Conf } from '../../../coturn/conf.ts'
import { privateCopy, type StandIns } from '../../../coturn/live/copy.ts'
import { listeningOf } from '../../../coturn/live/listening.ts'
import { parseConf } from '../../../coturn/parse.ts'
import { chooseAll } from '../../../relay/addresses.ts'
import { startCoturnFile } from '../../../relay/coturn/file.ts'
import type { RelayPorts } from '../../../relay/relay.ts'
import type { Asked } from './ask.ts'

export interface RunningCopy {
  /** What it runs with. */
  readonly conf: Conf
  readonly version: string
  readonly listeners: Asked['listeners']
  /** Lines of its log that are errors or warnings. */
  readonly complaints: readonly string[]
  close(): Promise<void>
}

const loopback = '127.0.0.1'

/** Rejects with UNSUPPORTED where there is no turnserver, or where it ends at once. Leaves nothing behind. */
export async function startCopy(
  ports: RelayPorts,
  conf: Conf,
  guest: StandIns['guest'],
  signal: AbortSignal,
): Promise<RunningCopy> {
  const own = ports.network.interfaces()
  const hasSix = own.some(({ ip }) => ip === '::1')
  const [plain, alternate, tls] = await chooseAll(
    ports.network,
    Array.from({ length: 3 }, () => ({ ip: loopback, port: 0 })),
  )
  // 0700: secrets are in it.
  const directory = mkdtempSync(join(tmpdir(), 'natcheck-check-'))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  try {
    const text = privateCopy(conf, {
      ports: { plain: plain?.port ?? 0, alternate: alternate?.port ?? 0, tls: tls?.port ?? 0 },
      listening: ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4', ...(hasSix ? ['::1'] : [])],
      relay: [relayIp(own.map(({ ip }) => ip)), ...(hasSix ? ['::1'] : [])],
      pidfile: join(directory, 'pid'),
      database: join(directory, 'turndb'),
      guest,
    })
    const path = join(directory, 'turnserver.conf')
    writeFileSync(path, text, { mode: 0o600 })
    const copy = new Conf(parseConf(text), conf.version)
    const listeners = listeningOf(copy)
      .filter(({ ip }) => ip === loopback)
      .map(({ protocol, port }) => ({ protocol, to: { ip: loopback, port } }))
    const complaints: string[] = []
    const running = await startCoturnFile(
      ports,
      // A certificate that it can't read leaves it without TLS, which is for the check to find out.
      { path, logsToUs: false, listeners: readiness(copy, listeners), signal },
      { onEvent: (event) => event.kind === 'log' && event.level === 'warning' && complaints.push(event.message) },
    )
    const close = async (): Promise<void> => {
      await running.close()
      remove()
    }
    return { conf: copy, version: running.version, listeners, complaints, close }
  } catch (error) {
    remove()
    throw error
  }
}

/** coturn relays to no loopback address but by permission of its own, so that packets between clients need another. */
const relayIp = (own: readonly IpAddress[]): IpAddress =>
  own.find((ip) => familyOf(ip) === 4 && scopeOf(ip) !== 'loopback' && scopeOf(ip) !== 'link-local') ?? loopback

/** What shows that it serves: with no-stun Binding requests stay without an answer. */
export function readiness(
  conf: Conf,
  listeners: Asked['listeners'],
): { readonly protocol: Asked['listeners'][number]['protocol']; readonly address: { ip: IpAddress; port: number } }[] {
  const silent = conf.isOn('no-stun') || conf.isOn('secure-stun')
  return listeners
    .filter(({ protocol }) => protocol === 'tcp' || (protocol === 'udp' && !silent))
    .map(({ protocol, to }) => ({ protocol, address: to }))
}
