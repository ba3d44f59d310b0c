/** A way to a TURN server: UDP, TCP or TLS, over core's Network. */
import {
  type ConnectedDatagramEndpoint,
  type DeliveryFailure,
  formatAddress,
  type IpAddress,
  type Network,
  type Random,
  type TlsSession,
  type TransportAddress,
  type TransportProtocol,
} from '../../core/index.ts'
import { encodeMessage, Method, newTransactionId } from '../../wire/index.ts'

export interface LinkOptions {
  readonly to: TransportAddress
  readonly protocol: TransportProtocol
  /** The name that a TLS certificate has to be for. Default: the IP address. */
  readonly serverName?: string | undefined
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined
  readonly localIp?: IpAddress | undefined
  /** TCP has connected; with TLS the handshake begins. */
  readonly onConnected?: (() => void) | undefined
}

export interface LinkHandlers {
  readonly onBytes: (bytes: Uint8Array, from: TransportAddress) => void
  readonly onFailure: (failure: DeliveryFailure) => void
  readonly onClosed: (why: string) => void
}

export interface Link {
  readonly local: TransportAddress
  readonly tls: TlsSession | undefined
  send(bytes: Uint8Array): void
  /** Asks the network why nothing comes back. */
  inquire(): void
  close(): void
}

/** Rejects as `Network.connectDatagram`, `openDatagram` and `connectStream` do, `timeoutMs` being for streams. */
export const openLink = (
  ports: { readonly network: Network; readonly random: Random },
  options: LinkOptions,
  timeoutMs: number,
  handlers: LinkHandlers,
): Promise<Link> =>
  options.protocol === 'udp'
    ? openDatagrams(ports, options, handlers)
    : openStream(ports.network, options, timeoutMs, handlers)

/**
 * Two sockets. The one that talks is not connected, or it would not hear a server that answers from another address. The
 * other is, because only a connected socket hears ICMP errors and learns our address; it sends Binding indications,
 * which nobody answers.
 */
async function openDatagrams(
  { network, random }: { readonly network: Network; readonly random: Random },
  { to, localIp }: LinkOptions,
  { onBytes, onFailure }: LinkHandlers,
): Promise<Link> {
  const scout: ConnectedDatagramEndpoint = await network.connectDatagram(
    to,
    localIp === undefined ? {} : { ip: localIp },
    {
      onDatagram: () => undefined,
      onFailure,
    },
  )
  try {
    const { ip } = scout.local
    const family = ip.includes(':') ? 6 : 4
    const socket = await network.openDatagram({ family, ip }, { onDatagram: onBytes, onFailure })
    return {
      local: socket.local,
      tls: undefined,
      send: (bytes) => socket.send(bytes, to),
      inquire: () =>
        scout.send(
          encodeMessage({ class: 'indication', method: Method.binding, transactionId: newTransactionId(random) }),
        ),
      close: () => {
        scout.close()
        socket.close()
      },
    }
  } catch (error) {
    scout.close()
    throw error
  }
}

async function openStream(
  network: Network,
  { to, localIp, protocol, serverName = to.ip, ca, onConnected }: LinkOptions,
  timeoutMs: number,
  { onBytes, onClosed }: LinkHandlers,
): Promise<Link> {
  const tls = protocol === 'tls' ? { serverName, ca } : undefined
  const stream = await network.connectStream(
    { to, localIp, tls, timeoutMs, onConnected },
    {
      onData: (bytes) => onBytes(bytes, to),
      onClose: (error) => onClosed(error ? error.message : `${formatAddress(to)} closed the connection`),
    },
  )
  return {
    local: stream.local,
    tls: stream.tls,
    send: (bytes) => stream.send(bytes),
    inquire: () => undefined,
    close: () => stream.close(),
  }
}
