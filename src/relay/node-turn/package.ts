/** The package node-turn 0.0.6 as far as the engine uses it, and how it is loaded. */
import { NatcheckError } from '../../core/index.ts'

/** What it takes for a dgram socket. */
export interface TheirSocket {
  address(): { readonly address: string; readonly port: number }
  on(): void
  send(bytes: Uint8Array, port: number, ip: string): void
}

export interface TheirAddress {
  readonly address: string
  readonly port: number
}

export interface TheirTransport {
  readonly src: TheirAddress
  readonly dst: TheirAddress
  readonly socket: TheirSocket
  /** The key of its table. */
  get5Tuple(): string
}

export interface TheirMessage {
  readonly transport: TheirTransport
  allocation: TheirAllocation | null
  class: number
  method: number
  transactionID: string
  read(bytes: Buffer): boolean
  reply(): TheirMessage
  getAttribute(name: string): unknown
  addAttribute(name: string, value: unknown): void
  toBuffer(): Buffer
  reject(code: number, reason: string): void
}

export interface TheirAllocation {
  readonly transactionID: string
  /** Seconds. */
  readonly lifetime: number
  readonly transport: TheirTransport
  readonly sockets: readonly TheirSocket[]
  readonly relayedTransportAddress: TheirAddress
  readonly timer: NodeJS.Timeout
  /** Until when, in milliseconds since the epoch. */
  readonly permissions: Record<string, number>
  readonly channelBindings: Record<number, TheirAddress>
  update: (seconds?: number) => void
  permit: (ip: string) => void
}

export interface TheirServer {
  readonly allocations: Record<string, TheirAllocation>
  readonly allocate: {
    allocateUdp: (request: TheirMessage) => Promise<readonly TheirSocket[]>
    allocateUdpEven: (request: TheirMessage) => Promise<readonly TheirSocket[]>
  }
  defaultLifetime?: number
  maxAllocateTimeout?: number
  emit(event: 'message', message: TheirMessage): void
}

export interface TheirConfig {
  readonly authMech: 'none'
  readonly listeningIps: readonly string[]
  readonly externalIps: Readonly<Record<string, string>> | null
  readonly defaultAllocatetLifetime: number
  readonly maxAllocateLifetime: number
  readonly log: (line: unknown) => void
}

export interface NodeTurn {
  readonly Server: new (config: TheirConfig) => TheirServer
  readonly Message: new (server: TheirServer, transport: TheirTransport) => TheirMessage
  readonly Transport: new (
    protocol: number,
    src: TheirAddress,
    dst: TheirAddress,
    socket: TheirSocket,
  ) => TheirTransport
  readonly Address: new (ip: string, port: number) => TheirAddress
  readonly ChannelMessage: new (channel: number, data: Buffer) => { write(): Buffer }
}

/** Numbers of its lib/constants.js. */
export const protocolUdp = 0x11
export const classIndication = 1
export const methodData = 7

/** Rejects with UNSUPPORTED where the package, which is optional, is not installed. */
export async function loadNodeTurn(): Promise<NodeTurn> {
  try {
    const [server, message, transport, address, channelMessage] = await Promise.all([
      import('node-turn'),
      import('node-turn/lib/message.js'),
      import('node-turn/lib/transport.js'),
      import('node-turn/lib/address.js'),
      import('node-turn/lib/channelMessage.js'),
    ])
    return {
      Server: server.default as NodeTurn['Server'],
      Message: message.default as NodeTurn['Message'],
      Transport: transport.default as NodeTurn['Transport'],
      Address: address.default as NodeTurn['Address'],
      ChannelMessage: channelMessage.default as NodeTurn['ChannelMessage'],
    }
  } catch (cause) {
    throw new NatcheckError('UNSUPPORTED', 'the engine node-turn needs the package node-turn', {
      fix: 'npm install node-turn@0.0.6',
      cause,
    })
  }
}
