/**
 * The ports through which probes and relays see the world. `transport` binds them to the machine,
 * `lab` to a virtual network with virtual time. Nothing above them opens a socket or reads a clock.
 */
import type { TransportAddress } from './address.ts'
import type { AddressFamily, IpAddress } from './ip.ts'
import type { Instant, WallTime } from './time.ts'
import type { TlsSession } from './tls.ts'

export interface Clock {
  now(): Instant
  wallTime(): WallTime
  /** Runs `task` once at `at` (or as soon as possible when that has passed). Returns what cancels it. */
  schedule(at: Instant, task: () => void): Cancel
}

export type Cancel = () => void

/** Unpredictable on real machines, seeded in the lab. */
export interface Random {
  /** `length` random bytes. */
  bytes(length: number): Uint8Array
  /** An integer in [min, max], both included, evenly spread. */
  integer(min: number, max: number): number
}

/**
 * Why datagrams to `to` don't arrive, as told by this host's routing table, its firewall or an ICMP error.
 * `admin-prohibited`: a firewall said so (ICMP type 3 codes 9, 10, 13; ICMPv6 type 1 codes 1, 5, 6).
 */
export type DeliveryFailureReason =
  | 'port-unreachable'
  | 'host-unreachable'
  | 'network-unreachable'
  | 'admin-prohibited'
  | 'no-route' // this machine knows no way there
  | 'local-firewall' // this machine's own firewall refused to send
  | 'message-too-big'
  | 'other'

export interface DeliveryFailure {
  readonly to: TransportAddress | undefined
  readonly reason: DeliveryFailureReason
  /** The operating system's word, such as ECONNREFUSED. */
  readonly detail: string
}

export interface DatagramHandlers {
  onDatagram(bytes: Uint8Array, from: TransportAddress): void
  onFailure(failure: DeliveryFailure): void
}

/** A bound UDP socket. Sending never throws: failures arrive at `onFailure`. `bytes` given to a handler are the handler's to keep. */
export interface DatagramEndpoint {
  /** The address really bound: the wildcard address when none was asked for. */
  readonly local: TransportAddress
  send(bytes: Uint8Array, to: TransportAddress): void
  close(): void
}

/**
 * A UDP socket connected to one address. It hears only that address, and, unlike an unconnected
 * socket, also the ICMP errors that its datagrams cause. `local` is the address the routing table picked.
 */
export interface ConnectedDatagramEndpoint {
  readonly local: TransportAddress
  readonly remote: TransportAddress
  send(bytes: Uint8Array): void
  close(): void
}

export interface StreamHandlers {
  onData(bytes: Uint8Array): void
  /** Once, when the stream has ended; `error` is absent after an orderly close. */
  onClose(error: Error | undefined): void
}

/** A connected TCP or TLS stream. */
export interface StreamConnection {
  readonly local: TransportAddress
  readonly remote: TransportAddress
  /** What the server showed, where we connected by TLS. */
  readonly tls?: TlsSession | undefined
  send(bytes: Uint8Array): void
  close(): void
}

export interface DatagramOptions {
  readonly family: AddressFamily
  /** Default: the wildcard address. */
  readonly ip?: IpAddress
  /** Default: a port the system picks. */
  readonly port?: number
  /** Bytes that may wait to be read; the system may grant less. Default: the system's. */
  readonly receiveBuffer?: number | undefined
  /** Refuse, as where none is left, when the process could open fewer than so many more descriptors after it. Default 0. */
  readonly spareDescriptors?: number | undefined
}

export interface StreamOptions {
  readonly to: TransportAddress
  readonly localIp?: IpAddress | undefined
  /** Speak TLS; `serverName` is checked against the certificate and sent as SNI (not for address literals). */
  readonly tls?: { readonly serverName: string; readonly ca?: string | undefined } | undefined
  /** Milliseconds until the attempt fails with TIMEOUT: connecting and the TLS handshake together. */
  readonly timeoutMs: number
  /** TCP has connected; with TLS the handshake begins. */
  readonly onConnected?: (() => void) | undefined
}

/** A stream that somebody else opened. */
export interface AcceptedStream extends StreamConnection {
  /** Bytes given to `send` that have not left yet: what a reader too slow for us makes us hold. */
  readonly unsent: number
  /** Reads no more, so that the sender has to wait; some data may still come. */
  pause(): void
  resume(): void
}

/** Called for every stream that has connected (with TLS: shaken hands); answers with who listens to it. */
export type AcceptStream = (stream: AcceptedStream) => StreamHandlers

/** What a TLS server shows and what proves it: PEM, the chain after the certificate. */
export interface ServerCertificate {
  readonly cert: string
  readonly key: string
}

export interface ListenOptions {
  readonly family: AddressFamily
  /** Default: the wildcard address. */
  readonly ip?: IpAddress | undefined
  /** Default: a port the system picks. */
  readonly port?: number | undefined
  /** Speak TLS. */
  readonly tls?: ServerCertificate | undefined
  /** Close what connects when the process could open fewer than so many more descriptors. Default 0. */
  readonly spareDescriptors?: number | undefined
}

export interface StreamListener {
  readonly local: TransportAddress
  /** For handshakes from now on; open streams keep theirs. Throws BAD_FILE, and keeps the old one, when the PEM is bad. */
  replaceCertificate(certificate: ServerCertificate): void
  /** Accepts no more. Accepted streams live on. */
  close(): void
}

/** An interface address of this host. */
export interface InterfaceAddress {
  readonly name: string
  readonly ip: IpAddress
  readonly internal: boolean
  /** An IPv6 privacy address (RFC 8981), which the system will replace; undefined: the system does not say. */
  readonly temporary?: boolean | undefined
}

/**
 * A host's view of its network. Every method rejects with a NatcheckError, within its deadline.
 */
export interface Network {
  /** Rejects with ADDRESS_IN_USE, BAD_ADDRESS, PERMISSION_DENIED or UNSUPPORTED (no such family here). */
  openDatagram(options: DatagramOptions, handlers: DatagramHandlers): Promise<DatagramEndpoint>
  /** Rejects with NO_ROUTE when the routing table has no way to `to`; otherwise as openDatagram. */
  connectDatagram(
    to: TransportAddress,
    options: { ip?: IpAddress },
    handlers: DatagramHandlers,
  ): Promise<ConnectedDatagramEndpoint>
  /** Rejects with CONNECTION_REFUSED, UNREACHABLE, NO_ROUTE, TIMEOUT, or a TlsError (TLS_FAILED). */
  connectStream(options: StreamOptions, handlers: StreamHandlers): Promise<StreamConnection>
  /** Rejects as openDatagram does, and with BAD_FILE for a certificate or key that can't be read. */
  listenStream(options: ListenOptions, accept: AcceptStream): Promise<StreamListener>
  /** A and AAAA records in the resolver's order. Rejects with UNKNOWN_HOST or DNS_FAILED. */
  resolveHost(name: string, timeoutMs: number): Promise<readonly IpAddress[]>
  /** SRV records by priority and weight (RFC 2782); empty when there are none. Rejects with DNS_FAILED. */
  resolveService(name: string, timeoutMs: number): Promise<readonly ServiceRecord[]>
  interfaces(): readonly InterfaceAddress[]
  /** The default router of a family, when there is one. */
  defaultGateway(family: AddressFamily): Promise<IpAddress | undefined>
}

export interface ServiceRecord {
  readonly host: string
  readonly port: number
  readonly priority: number
  readonly weight: number
}

/** Programs of this machine. */
export interface Processes {
  /** The full path of a program that PATH leads to; undefined when it is not installed. */
  find(name: string): string | undefined
  /**
   * Starts a program, without a shell, with a bare environment, apart from this terminal's signals. Never throws: what
   * can't start ends at once.
   */
  start(command: ProcessCommand, handlers: ProcessHandlers): RunningProcess
  /** Whether the kernel ends what was started when this process dies, even by SIGKILL. */
  readonly endWithUs: boolean
}

export interface ProcessCommand {
  readonly path: string
  /** Everybody on the machine can read them: no secrets. */
  readonly args: readonly string[]
  /** For its stdin, which is closed after it. */
  readonly input?: string | undefined
}

export interface ProcessHandlers {
  /** A line of stdout or stderr, without its end. */
  onLine(line: string): void
  /** Once, after the last line. */
  onEnd(end: ProcessEnd): void
}

export interface ProcessEnd {
  /** Undefined when a signal ended it, or when it did not start. */
  readonly code: number | undefined
  /** What ended it, in words: `exit code 1`, `SIGKILL`, `ENOENT`. */
  readonly why: string
}

export interface RunningProcess {
  readonly pid: number | undefined
  signal(name: 'SIGTERM' | 'SIGKILL' | 'SIGUSR1' | 'SIGUSR2'): void
}
