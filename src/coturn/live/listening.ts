/** Where a configuration makes coturn listen. */
import { type IpAddress, parseIp } from '../../core/index.ts'
import type { Conf } from '../conf.ts'

export interface Listening {
  readonly protocol: 'udp' | 'tcp' | 'tls'
  /** Absent: all addresses of the machine. */
  readonly ip?: IpAddress
  readonly port: number
}

/** The addresses of an option, without what is none. */
export const addressesOf = (conf: Conf, name: string): IpAddress[] => [
  ...new Set(conf.all(name).flatMap(({ value }) => parseIp(value) ?? [])),
]

/** The first ports only: alternate ones and auxiliary servers come and go with them. */
export function listeningOf(conf: Conf): Listening[] {
  const ips = addressesOf(conf, 'listening-ip')
  const plain = conf.port('listening-port')
  const ports = [
    ...(conf.isOn('no-udp') ? [] : [{ protocol: 'udp', port: plain } as const]),
    ...(conf.isOn('no-tcp') ? [] : [{ protocol: 'tcp', port: plain } as const]),
    ...(conf.hasTls ? [{ protocol: 'tls', port: conf.port('tls-listening-port') } as const] : []),
  ]
  return ports.flatMap((port) => (ips.length === 0 ? [port] : ips.map((ip) => ({ ...port, ip }))))
}
