/** A relay of ours and clients of it on the virtual network. */
import type { TransportAddress, TransportProtocol } from '../../../src/core/index.ts'
import { type Host, type LinkOptions, SeededRandom, VirtualClock, VirtualNetwork } from '../../../src/lab/index.ts'
import {
  openTurnSession,
  type TurnOutcome,
  type TurnSession,
  type TurnSessionOptions,
} from '../../../src/proto/turn-client/index.ts'
import { startRelay } from '../../../src/relay/start.ts'
import type { Relay, RelayCallbacks } from '../../../src/relay/relay.ts'
import type { RelayOptions } from '../../../src/relay/options.ts'

export const serverIp = '50.0.0.1'
export const serverIp6 = '2a00:50::1'
export const secondIp = '50.0.0.2'
export const alice = { username: 'alice', password: 'secret' }

export interface TurnLab {
  readonly clock: VirtualClock
  readonly network: VirtualNetwork
  readonly client: Host
  readonly server: Host
  readonly peer: Host
  relay(options?: Partial<RelayOptions> & RelayCallbacks): Promise<Relay>
  open(options?: Partial<TurnSessionOptions>): Promise<TurnOutcome<TurnSession>>
  /** Opens, or throws. */
  session(options?: Partial<TurnSessionOptions>): Promise<TurnSession>
}

export interface TurnLabOptions extends LinkOptions {
  readonly seed?: number | string
}

/** client — 20 ms — internet — server, peer. */
export function turnLab({ seed = 1, ...link }: TurnLabOptions = {}): TurnLab {
  const clock = new VirtualClock()
  const random = new SeededRandom(seed)
  const network = new VirtualNetwork({ clock, random })
  const client = network.addHost({
    name: 'client',
    addresses: ['80.0.0.10', '2a00:80::10'],
    link: { latencyMs: 10, ...link },
  })
  const server = network.addHost({ name: 'server', addresses: [serverIp, secondIp, serverIp6] })
  const peer = network.addHost({ name: 'peer', addresses: ['60.0.0.1', '2a00:60::1'] })
  const to = { ip: serverIp, port: 3478 }
  const open = (options: Partial<TurnSessionOptions> = {}): Promise<TurnOutcome<TurnSession>> =>
    openTurnSession(
      { network: client.network, clock, random: random.fork('client') },
      { to, protocol: 'udp', credentials: alice, connectTimeoutMs: 2000, ...options },
    )
  return {
    clock,
    network,
    client,
    server,
    peer,
    relay: ({ hooks, onEvent, ...options } = {}) =>
      startRelay(
        { network: server.network, clock, random: random.fork('relay') },
        { listen: [to, { ip: serverIp6, port: 3478 }], users: [alice], datapath: 'dgram', ...options },
        { hooks, onEvent },
      ),
    open,
    session: async (options) => value(await open(options)),
  }
}

/** The value, or an error that says what failed. */
export function value<T>(outcome: TurnOutcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.failure.stage}: ${outcome.failure.cause}: ${outcome.failure.why}`)
  return outcome.value
}

export const protocols: readonly TransportProtocol[] = ['udp', 'tcp']

export const first = ({ relayed: [address] }: { readonly relayed: readonly TransportAddress[] }): TransportAddress => {
  if (!address) throw new Error('no relayed address')
  return address
}
