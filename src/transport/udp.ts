/** UDP sockets as the ports `DatagramEndpoint` and `ConnectedDatagramEndpoint`. */
import { createSocket, type Socket } from 'node:dgram'
import {
  type AddressFamily,
  addressFamily,
  type ConnectedDatagramEndpoint,
  type DatagramEndpoint,
  type DatagramHandlers,
  type DatagramOptions,
  type IpAddress,
  NatcheckError,
  parseIp,
  type TransportAddress,
} from '../core/index.ts'
import { hasSpareDescriptors } from './descriptors.ts'
import { bindError, icmpFailureReason, mayBePending, routeError, sendFailureReason, systemWord } from './failures.ts'

/** Binds an unconnected socket. */
export async function openDatagram(options: DatagramOptions, handlers: DatagramHandlers): Promise<DatagramEndpoint> {
  const { family, ip, port = 0, receiveBuffer, spareDescriptors = 0 } = options
  const socket = newSocket(family)
  await bind(socket, family, ip, port)
  if (spareDescriptors > 0 && !hasSpareDescriptors(spareDescriptors)) {
    socket.close()
    throw bindError({ code: 'EMFILE' }, family, ip, port)
  }
  if (receiveBuffer !== undefined) enlarge(socket, receiveBuffer)
  const local = canonical(socket.address())
  const listening = listen(socket, handlers, undefined)
  const report = (error: unknown, to: TransportAddress): void => {
    const detail = systemWord(error)
    if (listening.open) handlers.onFailure({ to, reason: sendFailureReason(detail), detail })
  }
  return {
    local,
    send(bytes, to) {
      if (!listening.open) return
      if (addressFamily(to) !== family) return queueMicrotask(() => report({ code: 'EAFNOSUPPORT' }, to))
      attempt(
        (done) => socket.send(bytes, to.port, to.ip, done),
        (error) => report(error, to),
      )
    },
    close: () => listening.close(),
  }
}

/** Binds a socket and connects it, so that it hears one address only and the ICMP errors on the way there. */
export async function connectDatagram(
  to: TransportAddress,
  options: { ip?: IpAddress },
  handlers: DatagramHandlers,
): Promise<ConnectedDatagramEndpoint> {
  const family = addressFamily(to)
  const socket = newSocket(family)
  await bind(socket, family, options.ip, 0)
  await connect(socket, to, family, options.ip)
  const local = canonical(socket.address())
  const listening = listen(socket, handlers, to)
  const report = (detail: string, reason: ReturnType<typeof sendFailureReason>): void => {
    if (listening.open) handlers.onFailure({ to, reason, detail })
  }
  return {
    local,
    remote: to,
    send(bytes) {
      if (!listening.open) return
      attempt(
        (done) => socket.send(bytes, done),
        (first) => {
          const detail = systemWord(first)
          if (!mayBePending(detail)) return report(detail, sendFailureReason(detail))
          if (!listening.open) return
          // A pending ICMP error makes the next send fail *instead of* sending: that error belongs to an earlier datagram,
          // and this one has not left yet. An error of the routing table would come again.
          attempt(
            (done) =>
              socket.send(bytes, (second, sent) => {
                if (!second) report(detail, icmpFailureReason(detail))
                done(second, sent)
              }),
            (second) => report(systemWord(second), sendFailureReason(systemWord(second))),
          )
        },
      )
    },
    close: () => listening.close(),
  }
}

/** `ipv6Only`, because a dual-stack socket reports IPv4 addresses in IPv6 clothes and blurs what is being measured. */
function newSocket(family: AddressFamily): Socket {
  return createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    ipv6Only: family === 6,
    // Every address is a literal here. Without this, each datagram would take the round trip of a name lookup.
    lookup: (ip, _options, callback) => callback(null, ip, family),
  })
}

/** Linux grants what it may; other systems refuse what is too much, and then theirs has to do. */
function enlarge(socket: Socket, receiveBuffer: number): void {
  try {
    socket.setRecvBufferSize(receiveBuffer)
  } catch {
    // A smaller buffer loses packets sooner, and nothing else.
  }
}

const canonical = ({ address, port }: { address: string; port: number }): TransportAddress => ({
  ip: parseIp(address) ?? address,
  port,
})

function bind(socket: Socket, family: AddressFamily, ip: IpAddress | undefined, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      socket.close()
      reject(bindError(error, family, ip, port))
    }
    socket.once('error', failed)
    // `exclusive`: in a cluster, workers would otherwise share one socket and steal each other's answers.
    socket.bind({ address: ip ?? (family === 4 ? '0.0.0.0' : '::'), port, exclusive: true }, () => {
      socket.off('error', failed)
      resolve()
    })
  })
}

function connect(
  socket: Socket,
  to: TransportAddress,
  family: AddressFamily,
  localIp: IpAddress | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void => {
      socket.close()
      reject(
        routeError(error, to, family, localIp) ??
          new NatcheckError('NO_ROUTE', `can't reach ${to.ip} port ${to.port} (${systemWord(error)})`, {
            cause: error,
          }),
      )
    }
    // dgram throws for a port outside 1–65535; the callback gets what the system says.
    try {
      socket.connect(to.port, to.ip, (error?: Error | null) => (error ? failed(error) : resolve()))
    } catch (error) {
      failed(error)
    }
  })
}

/** Hands over what arrives until `close`; afterwards no handler is called any more. */
function listen(
  socket: Socket,
  handlers: DatagramHandlers,
  remote: TransportAddress | undefined,
): { readonly open: boolean; close(): void } {
  let open = true
  // Packets come in runs of one sender, and its address is text that takes time to check.
  let lastText: string | undefined
  let lastIp = ''
  socket.on('message', (message, from) => {
    // A plain view, not a Buffer: Buffer's slice() shares memory where Uint8Array's copies.
    const bytes = new Uint8Array(message.buffer, message.byteOffset, message.byteLength)
    if (from.address !== lastText) {
      lastText = from.address
      lastIp = canonical(from).ip
    }
    if (open) handlers.onDatagram(bytes, { ip: lastIp, port: from.port })
  })
  socket.on('error', (error) => {
    const detail = systemWord(error)
    if (open) handlers.onFailure({ to: remote, reason: icmpFailureReason(detail), detail })
  })
  return {
    get open() {
      return open
    },
    close() {
      if (!open) return
      open = false
      socket.close()
    },
  }
}

/** One send. dgram throws for a bad argument (port 0), and tells everything else to the callback: both end in `failed`. */
function attempt(
  send: (done: (error: Error | null, bytes?: number) => void) => void,
  failed: (error: unknown) => void,
): void {
  try {
    send((error) => {
      if (error) failed(error)
    })
  } catch (error) {
    queueMicrotask(() => failed(error))
  }
}
