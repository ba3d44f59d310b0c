/** A StunClient on a socket of its own, over UDP, TCP or TLS: what asks one server from one port. */
import {
  type Clock,
  type ConnectedDatagramEndpoint,
  formatAddress,
  type IpAddress,
  type Network,
  type Random,
  type StreamConnection,
  type TlsSession,
  type TransportAddress,
  type TransportProtocol,
} from '../../core/index.ts'
import { decodeMessage, StreamDecoder, type StreamFrame } from '../../wire/index.ts'
import { StunClient, type StunClientOptions } from './request.ts'

/** The world as this needs it. */
export interface StunPorts {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
}

export interface StunConnectionOptions
  extends Pick<StunClientOptions, 'credentials' | 'timing' | 'rtt' | 'fingerprint'> {
  readonly to: TransportAddress
  readonly protocol: TransportProtocol
  /** The name that a TLS certificate has to be for. Default: the IP address. */
  readonly serverName?: string | undefined
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined
  readonly localIp?: IpAddress | undefined
  /** Milliseconds for TCP and TLS to connect. */
  readonly connectTimeoutMs: number
  /** TCP has connected; with TLS the handshake begins. */
  readonly onConnected?: (() => void) | undefined
}

export interface StunConnection {
  readonly client: StunClient
  readonly local: TransportAddress
  readonly remote: TransportAddress
  readonly tls: TlsSession | undefined
  /** Something came back that is no STUN. */
  readonly foreign: boolean
  /** Ends every open request with `cancelled`. */
  close(): void
}

/**
 * Rejects as `Network.connectDatagram` and `Network.connectStream` do. Over UDP the socket is connected, so ICMP errors
 * end a request at once, and answers from another address than `to` are not heard at all.
 */
export function openStunConnection(ports: StunPorts, options: StunConnectionOptions): Promise<StunConnection> {
  return options.protocol === 'udp' ? openDatagram(ports, options) : openStream(ports, options)
}

// The client is there before its socket: something may arrive before we hold what to send with.

async function openDatagram(ports: StunPorts, options: StunConnectionOptions): Promise<StunConnection> {
  const { to, localIp } = options
  const heard = { foreign: false }
  let socket: ConnectedDatagramEndpoint | undefined
  const client = new StunClient({ ...options, ...ports, send: (bytes) => socket?.send(bytes) })
  socket = await ports.network.connectDatagram(to, localIp === undefined ? {} : { ip: localIp }, {
    onDatagram: (bytes, from) => {
      const decoded = decodeMessage(bytes)
      if (decoded.ok) client.receive(decoded.value, from)
      heard.foreign ||= !isReply(decoded)
    },
    onFailure: (failure) => client.fail(failure),
  })
  return connection(client, socket, heard)
}

/** A server that sends requests back is an echo service. */
const isReply = (decoded: ReturnType<typeof decodeMessage>): boolean => decoded.ok && decoded.value.class !== 'request'

async function openStream(ports: StunPorts, options: StunConnectionOptions): Promise<StunConnection> {
  const { to, localIp, protocol, serverName = to.ip, ca, connectTimeoutMs, onConnected } = options
  const heard = { foreign: false }
  let socket: StreamConnection | undefined
  const client = new StunClient({ ...options, ...ports, reliable: true, send: (bytes) => socket?.send(bytes) })
  // Without TURN there is no ChannelData, and its absence tells HTTP and TLS servers from STUN ones.
  const decoder = new StreamDecoder({ channelData: false })
  const tls = protocol === 'tls' ? { serverName, ca } : undefined
  const handleFrame = (frame: StreamFrame): void => {
    if (frame.kind === 'message') client.receive(frame.message, to)
    if (frame.kind !== 'broken') return
    heard.foreign = true
    client.closed(`${formatAddress(to)} does not speak STUN: ${frame.why}`)
  }
  socket = await ports.network.connectStream(
    { to, localIp, tls, timeoutMs: connectTimeoutMs, onConnected },
    {
      onData: (bytes) => decoder.push(bytes).forEach(handleFrame),
      onClose: (error) => client.closed(error ? error.message : `${formatAddress(to)} closed the connection`),
    },
  )
  return connection(client, socket, heard)
}

const connection = (
  client: StunClient,
  socket: Pick<StreamConnection, 'local' | 'remote' | 'tls' | 'close'>,
  heard: { readonly foreign: boolean },
): StunConnection => ({
  client,
  local: socket.local,
  remote: socket.remote,
  tls: socket.tls,
  get foreign() {
    return heard.foreign
  },
  close: () => {
    client.cancel()
    socket.close()
  },
})
