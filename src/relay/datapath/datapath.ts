/**
 * A datapath runs the TURN server machine over sockets: it brings packets to it, performs its effects, and relays what
 * `Forwarding` knows a route for without asking it.
 */
import {
  type AddressFamily,
  type Clock,
  type Instant,
  type IpAddress,
  NatcheckError,
  type Random,
  type ServerCertificate,
  type TransportAddress,
  type TransportProtocol,
} from '../../core/index.ts'
import type {
  AllocationLedger,
  ClientPath,
  CloseReason,
  Forwarding,
  OpenFailure,
  RelayId,
  TurnEffect,
  TurnEvent,
} from '../../proto/turn-server/index.ts'
import type { IcmpError } from '../../wire/index.ts'

export type DatapathName = 'dgram' | 'mmsg'

/** Half a second of 8,000 packets: what a listener holds while we are at something else. The kernel may grant less. */
export const LISTENER_BUFFER: number = 4 * 2 ** 20
/** A frame of video with all that repairs it. The default of Linux holds 277 small packets. */
export const RELAY_BUFFER: number = 512 * 1024

/** What a datapath needs of `TurnServer`. */
export interface ServerMachine {
  readonly forwarding: Forwarding
  handleClient(path: ClientPath, bytes: Uint8Array, now: Instant): void
  handleClientGone(path: ClientPath, now: Instant): void
  handlePeer(relay: RelayId, peer: TransportAddress, bytes: Uint8Array, now: Instant): void
  handlePeerError(relay: RelayId, peer: TransportAddress, icmp: IcmpError, now: Instant): void
  handleRelayOpened(relay: RelayId, now: Instant): void
  handleRelayFailed(relay: RelayId, why: OpenFailure, now: Instant): void
  handleTimeout(now: Instant): void
  pollTimeout(): Instant | undefined
  pollEffect(): TurnEffect | undefined
}

/**
 * Descriptors that neither relayed addresses nor streams may take: whoever watches the relay must get through when it is
 * full, and a reload has files to read.
 */
export const SPARE_DESCRIPTORS = 32

/** Where clients come. */
export interface ListenerOptions {
  readonly protocol: TransportProtocol
  /** No wildcard, because answers leave from the address that was asked. Port 0: one that the system picks. */
  readonly address: TransportAddress
  /** For `tls`. */
  readonly certificate?: ServerCertificate | undefined
}

export interface ListeningAddress {
  readonly protocol: TransportProtocol
  readonly address: TransportAddress
}

/**
 * The machine and what belongs to it, made where the packets are: for `mmsg` that is a worker, so everything that goes in
 * or comes out of it is plain data that structuredClone takes.
 */
export interface DatapathServer {
  readonly machine: ServerMachine
  /** What metrics count, and what is worth telling: `DatapathHost.post` brings that to whoever runs the relay. */
  onEvent(event: TurnEvent, now: Instant): void
  /** What `Datapath.request` asks. May feed the machine; its effects are performed afterwards. May throw. */
  onRequest(request: unknown, now: Instant): unknown
}

export interface DatapathHost {
  readonly clock: Clock
  readonly random: Random
  /** Brings a message to `DatapathHandlers.onMessage`. */
  post(message: unknown): void
  /** Datagrams that the operating system did not take. */
  dropped(): number
  /** Where several threads serve one relay: what the others have allocated too. Quotas are to be measured by it. */
  readonly ledger?: AllocationLedger | undefined
  /** The same for what sources without credentials are answered: see `sourceLimitMemory`. */
  readonly sourceLimit?: SharedArrayBuffer | undefined
}

/** With `mmsg`, `settings` come out of structuredClone: no functions, hence no hooks, in them. */
export type CreateServer<Settings> = (settings: Settings, host: DatapathHost) => DatapathServer

export interface DatapathHandlers {
  onMessage(message: unknown): void
  /** It has ended by itself and can't go on. */
  onFailed(error: Error): void
}

/** A running datapath. */
export interface Datapath {
  readonly name: DatapathName
  /** In the order of the listeners asked for. */
  readonly listening: readonly ListeningAddress[]
  /** Asks `DatapathServer.onRequest`, of every thread in turn. Rejects with what it throws. */
  request(request: unknown): Promise<readonly unknown[]>
  /** For the TLS listeners, from now on. Throws BAD_FILE and keeps the old one. */
  replaceCertificate(certificate: ServerCertificate): void
  /** Closes every socket and forgets the machine. Safe to call twice. */
  close(): Promise<void>
}

/** What the effects of the machine are performed with. */
export interface EffectPorts {
  sendToClient(path: ClientPath, bytes: Uint8Array): void
  sendToPeer(relay: RelayId, peer: TransportAddress, bytes: Uint8Array, dontFragment: boolean): void
  /** Ends in handleRelayOpened or handleRelayFailed, at once or later. */
  openRelayed(relay: RelayId, family: AddressFamily, ip: IpAddress, port: number): void
  closeRelayed(relay: RelayId, why: CloseReason): void
  event(event: TurnEvent): void
}

/** Performs all that the machine wants done. */
export function performEffects(machine: Pick<ServerMachine, 'pollEffect'>, ports: EffectPorts): void {
  for (let effect = machine.pollEffect(); effect !== undefined; effect = machine.pollEffect()) {
    switch (effect.kind) {
      case 'send-to-client':
        ports.sendToClient(effect.path, effect.bytes)
        break
      case 'send-to-peer':
        ports.sendToPeer(effect.relay, effect.peer, effect.bytes, effect.dontFragment)
        break
      case 'open-relayed-address':
        ports.openRelayed(effect.relay, effect.family, effect.ip, effect.port)
        break
      case 'close-relayed-address':
        ports.closeRelayed(effect.relay, effect.why)
        break
      case 'event':
        ports.event(effect.event)
        break
    }
  }
}

/** Why `Network.openDatagram` rejected. EMFILE and ENFILE come as UNSUPPORTED with the system's word in the cause. */
export function openFailure(error: unknown): OpenFailure {
  if (!(error instanceof NatcheckError)) return 'other'
  if (error.code === 'ADDRESS_IN_USE') return 'address-in-use'
  return /\b(?:EMFILE|ENFILE)\b/.test(error.message) ? 'no-descriptors' : 'other'
}
