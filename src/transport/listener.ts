/** Listening for TCP and TLS connections, as the port `StreamListener`. */
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import {
  type AcceptedStream,
  type AcceptStream,
  type AddressFamily,
  type IpAddress,
  type ListenOptions,
  NatcheckError,
  parseIp,
  type ServerCertificate,
  type StreamListener,
} from '../core/index.ts'
import { hasSpareDescriptors } from './descriptors.ts'
import { bindError, systemWord } from './failures.ts'
import { closeError } from './stream.ts'

/**
 * A client has this long for its handshake. Ten seconds: three retransmissions of a lost segment (1 + 2 + 4 s), and
 * not so long that whoever connects and says nothing costs much.
 */
const HANDSHAKE_TIMEOUT_MS = 10_000

/** What was sent before a close has this long to leave: who never reads would otherwise keep the descriptor. */
const LINGER_MS = 10_000

/** Of one listener, those that are still shaking hands among them: each costs some 50 KB. */
const MAX_CONNECTIONS = 16_384

/** Connections the kernel finishes before we have taken them: a flood of new clients is no reason to refuse some. */
const BACKLOG = 1024

export async function listenStream(options: ListenOptions, accept: AcceptStream): Promise<StreamListener> {
  const { family, ip, port = 0, tls, spareDescriptors = 0 } = options
  const secure = tls && secureServer(tls)
  const server = secure ?? createTcpServer({ noDelay: true })
  server.maxConnections = MAX_CONNECTIONS
  await listen(server, family, ip, port)
  // Out of descriptors or the like: the connection is lost, the listener lives on.
  server.on('error', () => undefined)
  server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => take(socket, accept))
  if (spareDescriptors > 0) {
    server.prependListener('connection', (socket: Socket) => {
      if (!hasSpareDescriptors(spareDescriptors)) socket.destroy()
    })
  }
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('a listening TCP server has an address')
  return {
    local: { ip: parseIp(bound.address) ?? bound.address, port: bound.port },
    replaceCertificate(certificate) {
      try {
        secure?.setSecureContext(contextOptions(certificate))
      } catch (error) {
        throw unreadable(error)
      }
    },
    close: () => void server.close(),
  }
}

/** TLS 1.2 is the least that RFC 8489 §6.2.3 and every browser accept. */
const contextOptions = ({ cert, key }: ServerCertificate): { cert: string; key: string; minVersion: 'TLSv1.2' } => ({
  cert,
  key,
  minVersion: 'TLSv1.2',
})

function secureServer(certificate: ServerCertificate): TlsServer {
  try {
    const server = createTlsServer({
      ...contextOptions(certificate),
      noDelay: true,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    })
    // Whoever can't shake hands is gone; Node has destroyed the socket.
    return server.on('tlsClientError', () => undefined)
  } catch (error) {
    throw unreadable(error)
  }
}

const unreadable = (cause: unknown): NatcheckError =>
  new NatcheckError('BAD_FILE', `the certificate or its key can't be used (${systemWord(cause)})`, {
    fix: 'give PEM files that belong together, with keys as long as TLS wants them today',
    cause,
  })

function listen(server: Server, family: AddressFamily, ip: IpAddress | undefined, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(bindError(error, family, ip, port))
    server.once('error', failed)
    const host = ip ?? (family === 4 ? '0.0.0.0' : '::')
    server.listen({ host, port, backlog: BACKLOG, exclusive: true, ipv6Only: family === 6 }, () => {
      server.off('error', failed)
      resolve()
    })
  })
}

/** Hands an accepted socket over. `onClose` is called exactly once, also after our own close(). */
function take(socket: Socket, accept: AcceptStream): void {
  const { remoteAddress, remotePort, localAddress, localPort } = socket
  // It was reset before we looked: nobody is there to talk to.
  if (remoteAddress === undefined || remotePort === undefined || localAddress === undefined) {
    socket.on('error', () => undefined).destroy()
    return
  }
  const remote = { ip: parseIp(remoteAddress) ?? remoteAddress, port: remotePort }
  let open = true
  let failure: unknown
  let lingering: NodeJS.Timeout | undefined
  const stream: AcceptedStream = {
    local: { ip: parseIp(localAddress) ?? localAddress, port: localPort ?? 0 },
    remote,
    get unsent() {
      return socket.writableLength
    },
    send(bytes) {
      // Node keeps the chunk until it is written, but the caller may reuse its buffer.
      if (open && socket.writable) socket.write(new Uint8Array(bytes))
    },
    close() {
      if (!open) return
      open = false
      socket.unref()
      socket.destroySoon()
      lingering = setTimeout(() => socket.destroy(), LINGER_MS).unref()
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
  }
  const handlers = accept(stream)
  socket.on('error', (error) => (failure ??= error))
  socket.on('data', (chunk: Buffer) => {
    if (open) handlers.onData(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength))
  })
  socket.once('close', () => {
    const orderly = !open || failure === undefined
    open = false
    clearTimeout(lingering)
    handlers.onClose(orderly ? undefined : closeError(failure, remote))
  })
}
