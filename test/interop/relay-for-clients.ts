/** A relay on loopback for WebRTC clients, with lifetimes so short that each call outlives them by Refreshes only. */
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

export async function relayForClients(
  datapath: 'dgram' | 'mmsg',
  certificate: ServerCertificate,
): Promise<RelayForClients> {
  const ended: Extract<RelayEvent, { kind: 'allocation-ended' }>[] = []
  const ip = '127.0.0.1'
  const relay = await createRelay({
    datapath,
    listen: [{ ip, port: 0 }],
    tlsListen: [{ ip, port: 0 }],
    certificate,
    users: [{ username: 'alice', password: 'wonderland' }],
    allowPeers: ['127.0.0.0/8'],
    lifetimes: { allocation: lifetimeSeconds, maxAllocation: lifetimeSeconds },
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
