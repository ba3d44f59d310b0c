/** core's endpoints in the clothes of dgram sockets: node-turn runs on any Network, and no send of it can throw. */
import type { DatagramEndpoint, TransportAddress } from '../../core/index.ts'
import type { TheirSocket } from './package.ts'

export class EndpointSocket implements TheirSocket {
  readonly endpoint: DatagramEndpoint

  constructor(endpoint: DatagramEndpoint) {
    this.endpoint = endpoint
  }

  address(): { readonly address: string; readonly port: number } {
    const { ip, port } = this.endpoint.local
    return { address: ip, port }
  }

  /** Its own listener dies of short datagrams and swallows what looks like ChannelData: see `NodeTurnServer`. */
  on(): void {}

  send(bytes: Uint8Array, port: number, ip: string): void {
    this.endpoint.send(bytes, { ip, port })
  }
}

/** The socket of a relayed address. What arrives before there is an allocation to take it is lost. */
export class RelaySocket extends EndpointSocket {
  deliver: (bytes: Uint8Array, from: TransportAddress) => void = () => {}
}
