/** A relay on loopback for WebRTC clients that keeps them from meeting anywhere but in it. */
import { createRequire } from 'node:module'
import type { createRelay as CreateRelay, Relay, RelayEvent, ServerCertificate } from '../../src/index.ts'
import type { IceServer } from '../support/data-channel.ts'

/** libwebrtc refreshes at half of lifetimes below two minutes. */
export const lifetimeSeconds = 4
/** Enough for two Refreshes. */
export const holdSeconds = 5

/** The mmsg datapath's worker is JavaScript, so all of it comes from the build. */
const { createRelay } = createRequire(import.meta.url)('../../dist/index.js') as { createRelay: typeof CreateRelay }

export interface RelayForClients {
  readonly relay: Relay
  readonly iceServers: (transport: 'udp' | 'tcp' | 'tls', credential?: string) => IceServer[]
  /** Fills while it runs. */
  readonly ended: Extract<RelayEvent, { kind: 'allocation-ended' }>[]
}

/**
 * Relayed addresses are those of 127.0.0.2, and no other peer is permitted: a client that looks for a shorter way, as
 * libjuice does, finds none. `seconds`: the lifetime of allocations, the RFC's by default.
 */
export async function relayForClients(
  datapath: 'dgram' | 'mmsg',
  certificate: ServerCertificate,
  seconds?: number,
): Promise<RelayForClients> {
  const ended: Extract<RelayEvent, { kind: 'allocation-ended' }>[] = []
  const ip = '127.0.0.1'
  const relayIp = '127.0.0.2'
  const relay = await createRelay({
    datapath,
    listen: [{ ip, port: 0 }],
    tlsListen: [{ ip, port: 0 }],
    certificate,
    users: [{ username: 'alice', password: 'wonderland' }],
    relayIps: [relayIp],
    allowPeers: [relayIp],
    lifetimes: { allocation: seconds, maxAllocation: seconds },
    onEvent: (event) => {
      if (event.kind === 'allocation-ended') ended.push(event)
    },
  })
  return {
    relay,
    ended,
    iceServers: (transport, credential = 'wonderland') => {
      const isOne = (url: string): boolean =>
        transport === 'tls' ? url.startsWith('turns:') : url.startsWith('turn:') && url.endsWith(`=${transport}`)
      return relay.urls.filter(isOne).map((urls) => ({ urls, username: 'alice', credential }))
    },
  }
}
