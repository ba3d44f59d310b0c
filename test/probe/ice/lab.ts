/** Gathering on the virtual network: one client, servers where a test puts them. */
import type { IpAddress, ServerCertificate } from '../../../src/core/index.ts'
import {
  type Host,
  type LinkOptions,
  type Router,
  SeededRandom,
  VirtualClock,
  VirtualNetwork,
} from '../../../src/lab/index.ts'
import {
  type AttemptObservation,
  gatherIce,
  type IceObservations,
  type IceOptions,
  readIceServers,
} from '../../../src/probe/ice/index.ts'
import type { RelayOptions } from '../../../src/relay/options.ts'
import type { Relay, RelayCallbacks } from '../../../src/relay/relay.ts'
import { startRelay } from '../../../src/relay/start.ts'
import { certificate } from '../../transport/certificates.ts'

export const alice = { username: 'alice', password: 'wonderland' } as const
const { cert, key } = certificate({ commonName: 'turn.example', names: ['turn.example', '50.0.0.1'] })
/** For turn.example and 50.0.0.1. */
export const serverCertificate: ServerCertificate = { cert, key }

export interface IceLabOptions extends LinkOptions {
  readonly seed?: number | string
  /** Default: one of each family, public. */
  readonly addresses?: readonly IpAddress[]
  /** Default: the internet. */
  readonly behind?: (network: VirtualNetwork) => Router
}

export class IceLab {
  readonly clock: VirtualClock = new VirtualClock()
  readonly network: VirtualNetwork
  readonly client: Host
  readonly #random: SeededRandom

  constructor({ seed = 1, addresses = ['80.0.0.10'], behind, ...link }: IceLabOptions = {}) {
    this.#random = new SeededRandom(seed)
    this.network = new VirtualNetwork({ clock: this.clock, random: this.#random })
    const parent = behind?.(this.network)
    this.client = this.network.addHost({ name: 'client', addresses, link, ...(parent && { parent }) })
  }

  host(name: string, rttMs: number, ...addresses: readonly IpAddress[]): Host {
    return this.network.addHost({ name, addresses, link: { latencyMs: rttMs / 2 } })
  }

  /** Our relay on UDP and TCP 3478 and, with a certificate, TLS 5349. User alice. */
  async relay(host: Host, options: Partial<RelayOptions> & RelayCallbacks = {}): Promise<Relay> {
    const { hooks, onEvent, ...rest } = options
    const listen = host.addresses.map((ip) => ({ ip, port: 3478 }))
    const tlsListen = host.addresses.map((ip) => ({ ip, port: 5349 }))
    return await startRelay(
      { network: host.network, clock: this.clock, random: this.#random.fork(host.name) },
      { listen, tlsListen, certificate: serverCertificate, users: [alice], datapath: 'dgram', ...rest },
      { hooks, onEvent },
    )
  }

  /** `urls` with alice's credentials, or others. */
  gather(
    urls: readonly string[],
    options: Partial<IceOptions> & { readonly user?: { readonly username: string; readonly password: string } } = {},
  ): Promise<IceObservations> {
    const { user = alice, ...rest } = options
    const servers =
      urls.length === 0 ? [] : readIceServers([{ urls, username: user.username, credential: user.password }])
    return this.clock.run(
      gatherIce(
        { network: this.client.network, clock: this.clock, random: this.#random.fork('gather') },
        { servers, policy: 'all', families: [4, 6], timeoutMs: 10_000, ...rest },
      ),
    )
  }

  /** Nothing may be left that happens by itself, but what servers keep. */
  async settle(): Promise<void> {
    await this.clock.advance(5000)
  }
}

export const codes = ({ causes }: AttemptObservation): string[] => causes.map(({ code }) => code)

/** `stage` where it was good, `stage!` where it failed. */
export const stagesOf = ({ stages }: AttemptObservation): string =>
  stages.map(({ stage, ok }) => `${stage}${ok ? '' : '!'}`).join(' ')

export const only = <T>([first, ...rest]: readonly T[]): T => {
  if (first === undefined || rest.length > 0) throw new Error(`one was expected, not ${rest.length + (first ? 1 : 0)}`)
  return first
}
