/** What the lab's tests share: sockets that remember, and a NAT without a network around it. */
import type { DatagramEndpoint, DeliveryFailure, IpAddress, TransportAddress } from '../../src/core/index.ts'
import { formatAddress, instant } from '../../src/core/index.ts'
import {
  type Host,
  Nat,
  type NatBehavior,
  natBehavior,
  type Packet,
  type RoutedPacket,
  SeededRandom,
  type UdpPacket,
} from '../../src/lab/index.ts'

export const at = (ip: IpAddress, port: number): TransportAddress => ({ ip, port })

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

export const bytes = (words: string): Uint8Array => new TextEncoder().encode(words)

/** A bound socket that keeps what it hears, as `payload<address`. */
export interface Socket {
  readonly endpoint: DatagramEndpoint
  readonly heard: string[]
  readonly failures: DeliveryFailure[]
  send(words: string, to: TransportAddress): void
}

export async function openSocket(host: Host, ip?: IpAddress, port = 0): Promise<Socket> {
  const heard: string[] = []
  const failures: DeliveryFailure[] = []
  const family = ip?.includes(':') ? 6 : 4
  const endpoint = await host.network.openDatagram(
    { family, port, ...(ip !== undefined && { ip }) },
    {
      onDatagram: (payload, from) => heard.push(`${text(payload)}<${formatAddress(from)}`),
      onFailure: (failure) => failures.push(failure),
    },
  )
  return { endpoint, heard, failures, send: (words, to) => endpoint.send(bytes(words), to) }
}

/** A socket that answers every datagram with the address it came from. */
export async function openEcho(host: Host, ip: IpAddress, port: number): Promise<Socket> {
  const heard: string[] = []
  const endpoint = await host.network.openDatagram(
    { family: ip.includes(':') ? 6 : 4, ip, port },
    {
      onDatagram: (payload, from) => {
        heard.push(`${text(payload)}<${formatAddress(from)}`)
        endpoint.send(bytes(formatAddress(from)), from)
      },
      onFailure: () => {},
    },
  )
  return { endpoint, heard, failures: [], send: (words, to) => endpoint.send(bytes(words), to) }
}

export const udp = (source: TransportAddress, destination: TransportAddress, words = 'x'): UdpPacket => ({
  kind: 'udp',
  source,
  destination,
  payload: bytes(words),
})

/** A NAT on its own, with 10.0.0.0/8 inside. */
export class LoneNat {
  readonly nat: Nat
  now = 0

  constructor(choices: Partial<NatBehavior> = {}, externalIps: readonly IpAddress[] = ['80.0.0.1'], seed = 1) {
    this.nat = new Nat({
      behavior: natBehavior(choices),
      externalIps,
      isInternal: (ip) => ip.startsWith('10.'),
      random: new SeededRandom(seed),
    })
  }

  out(packet: Packet): readonly RoutedPacket[] {
    return this.nat.outbound(packet, instant(this.now))
  }

  in(packet: Packet): readonly RoutedPacket[] {
    return this.nat.inbound(packet, instant(this.now))
  }

  /** The mapped address of what leaves; throws when nothing does. */
  mapped(source: TransportAddress, destination: TransportAddress): TransportAddress {
    const [routed] = this.out(udp(source, destination))
    if (routed?.packet.kind !== 'udp') throw new Error('nothing left the NAT')
    return routed.packet.source
  }

  /** Does a packet from `remote` to `external` get in? */
  letsIn(remote: TransportAddress, external: TransportAddress): boolean {
    return this.in(udp(remote, external)).length > 0
  }
}
