/** TCP and TLS connections as the port `StreamConnection`. */
import { X509Certificate } from 'node:crypto'
import { isIP, connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, type TLSSocket } from 'node:tls'
import {
  addressFamily,
  formatAddress,
  NatcheckError,
  parseIp,
  type StreamConnection,
  type StreamHandlers,
  type StreamOptions,
  TlsError,
  type TlsSession,
  type TransportAddress,
} from '../core/index.ts'
import {
  certificateChain,
  certificateProblem,
  handshakeProblem,
  isMissingAuthority,
  type Problem,
} from './certificate.ts'
import { routeError, systemWord } from './failures.ts'

type TlsOptions = NonNullable<StreamOptions['tls']>

/**
 * Connects, and for TLS shakes hands and verifies the certificate, all within `timeoutMs`.
 * `tls.ca` (PEM) replaces the well-known authorities, as curl's --cacert does.
 */
export async function connectStream(options: StreamOptions, handlers: StreamHandlers): Promise<StreamConnection> {
  const { to, tls, timeoutMs } = options
  let socket: Socket | undefined
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(timeoutError(to, tls, socket)), timeoutMs)
  })
  try {
    socket = await Promise.race([openTcp(options, (opening) => (socket = opening)), deadline])
    options.onConnected?.()
    if (!tls) return wrap(socket, to, handlers)
    const connectedAt = performance.now()
    const secured = await Promise.race([startTls(socket, to, tls), deadline])
    socket = secured
    const handshakeMs = performance.now() - connectedAt
    const session = { version: secured.getProtocol() ?? '', handshakeMs, chain: certificateChain(secured) }
    return wrap(secured, to, handlers, session)
  } catch (error) {
    // Late errors of a socket that nobody waits for any more.
    socket?.on('error', () => {}).destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

function openTcp({ to, localIp }: StreamOptions, opening: (socket: Socket) => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void => reject(connectError(error, to, localIp))
    try {
      const socket = connectTcp({
        host: to.ip,
        port: to.port,
        family: addressFamily(to),
        noDelay: true,
        ...(localIp === undefined ? {} : { localAddress: localIp }),
      })
      opening(socket)
      socket.once('error', failed)
      socket.once('connect', () => {
        socket.off('error', failed)
        resolve(socket)
      })
    } catch (error) {
      failed(error) // a port outside 0–65535
    }
  })
}

function startTls(tcp: Socket, to: TransportAddress, { serverName, ca }: TlsOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const failed = ([problem, message]: Problem, fix: string | undefined, cause: unknown): void => {
      const chain = tls ? certificateChain(tls) : []
      tls?.destroy()
      reject(new TlsError(problem, `TLS with ${formatAddress(to)}: ${message}`, { fix, cause, chain }))
    }
    const closed = (): void =>
      failed(['closed', 'the server closed the connection during the handshake'], undefined, undefined)
    let tls: TLSSocket | undefined
    try {
      // Made first, because a broken PEM throws here, whereas in connect it would be an error like the network's.
      const secureContext = createSecureContext(ca === undefined ? {} : { ca: readable(ca) })
      tls = connectTls({
        socket: tcp,
        secureContext,
        // An address literal is no SNI (RFC 6066 §3).
        servername: isIP(serverName) ? '' : serverName,
        // Verification is on. The verdict is read below instead of by Node, which discards the certificate
        // before one could say what is wrong with it.
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      })
    } catch (error) {
      return failed(
        ['bad-ca', `the given CA certificate can't be read (${systemWord(error)})`],
        'give a PEM file',
        error,
      )
    }
    const secured = tls
    secured.on('error', (error) =>
      failed(handshakeProblem(error), 'check that this is the TLS port of the server', error),
    )
    secured.once('end', closed)
    secured.once('secureConnect', () => {
      secured.off('end', closed)
      const problem = certificateProblem(secured, serverName)
      if (problem === undefined) return resolve(secured)
      failed(
        problem,
        isMissingAuthority(secured)
          ? 'give the authority that signed it as CA, or install a certificate of a public one'
          : `install a valid certificate for ${serverName}, or ask for a name that it holds`,
        secured.authorizationError,
      )
    })
  })
}

/** Throws unless `pem` holds a certificate: Node would silently trust nobody. */
function readable(pem: string): string {
  void new X509Certificate(pem)
  return pem
}

/** Hands the open socket over. `onClose` is called exactly once, also after our own close(). */
function wrap(socket: Socket, to: TransportAddress, handlers: StreamHandlers, tls?: TlsSession): StreamConnection {
  let open = true
  let failure: unknown
  socket.on('error', (error) => (failure ??= error))
  socket.on('data', (chunk: Buffer) => {
    if (open) handlers.onData(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength))
  })
  socket.once('close', () => {
    const orderly = !open || failure === undefined
    open = false
    handlers.onClose(orderly ? undefined : closeError(failure, to))
  })
  return {
    local: { ip: parseIp(socket.localAddress ?? '') ?? '', port: socket.localPort ?? 0 },
    remote: to,
    tls,
    send(bytes) {
      // Node keeps the chunk until it is written, but the caller may reuse its buffer.
      if (open && socket.writable) socket.write(new Uint8Array(bytes))
    },
    close() {
      if (!open) return
      open = false
      // What was sent still leaves, but a peer that never reads must not keep this process alive.
      socket.unref()
      socket.destroySoon()
    },
  }
}

function connectError(error: unknown, to: TransportAddress, localIp: string | undefined): NatcheckError {
  const word = systemWord(error)
  const where = formatAddress(to)
  switch (word) {
    case 'ECONNREFUSED':
      return new NatcheckError('CONNECTION_REFUSED', `${where} refused the TCP connection`, {
        fix: 'check the port, and that the server listens on TCP',
        cause: error,
      })
    case 'EHOSTUNREACH':
    case 'EHOSTDOWN':
    case 'ECONNRESET':
      return new NatcheckError('UNREACHABLE', `${where} can't be reached by TCP (${word})`, {
        fix: 'check the address, and whether a firewall on the way rejects TCP',
        cause: error,
      })
    case 'ETIMEDOUT':
      return timeoutError(to, undefined, undefined)
    default:
      return (
        routeError(error, to, addressFamily(to), localIp) ??
        new NatcheckError('UNREACHABLE', `the TCP connection to ${where} failed (${word})`, { cause: error })
      )
  }
}

function timeoutError(to: TransportAddress, tls: TlsOptions | undefined, socket: Socket | undefined): NatcheckError {
  const handshake = tls !== undefined && socket !== undefined && !socket.connecting
  if (handshake) {
    return new TlsError(
      'timeout',
      `${formatAddress(to)} accepted the TCP connection but not the TLS handshake in time`,
      {
        fix: 'check that this is the TLS port of the server',
      },
    )
  }
  return new NatcheckError('TIMEOUT', `${formatAddress(to)} did not answer the TCP connection in time`, {
    fix: 'check the address and port, and whether a firewall drops TCP',
  })
}

export function closeError(error: unknown, to: TransportAddress): NatcheckError {
  return new NatcheckError('CONNECTION_CLOSED', `${formatAddress(to)} broke the connection (${systemWord(error)})`, {
    cause: error,
  })
}
