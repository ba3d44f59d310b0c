/** UDP sockets inside a network namespace, for tests that look at single packets. */
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { formatAddress, type TransportAddress } from '../../src/core/index.ts'
import type { Namespace } from './netns.ts'
import type { Daemon } from './process.ts'

const program = fileURLToPath(new URL('./udp-agent-main.mjs', import.meta.url))

export interface Datagram {
  /** One character a byte. */
  readonly text: string
  readonly from: TransportAddress
}

type AgentEvent =
  | { readonly event: 'ready' }
  | { readonly event: 'open'; readonly socket: number; readonly local: TransportAddress }
  | { readonly event: 'datagram'; readonly socket: number; readonly text: string; readonly from: TransportAddress }
  | { readonly event: 'failure'; readonly socket: number; readonly code: string }
  | { readonly event: 'tcp'; readonly id: number; readonly outcome: string }
  | { readonly event: 'listening'; readonly ip: string; readonly port: number }

/** How long to wait for what has to come. Only a failing test ever waits this long. */
const PATIENCE_MS = 5000

/** One process that holds sockets in a namespace. */
export class UdpAgent {
  readonly #daemon: Daemon
  readonly #listeners = new Set<(event: AgentEvent) => void>()
  #nextId = 1

  private constructor(daemon: Daemon) {
    this.#daemon = daemon
    createInterface({ input: daemon.child.stdout }).on('line', (line) => {
      const event = JSON.parse(line) as AgentEvent
      for (const listener of this.#listeners) listener(event)
    })
  }

  static async start(namespace: Namespace): Promise<UdpAgent> {
    const agent = new UdpAgent(namespace.start([process.execPath, program]))
    await agent.#next((event) => event.event === 'ready')
    return agent
  }

  /** `connect`: a connected socket, which hears of ICMP errors and of nobody but its peer. */
  async open(ip: string, port = 0, connect?: TransportAddress): Promise<AgentSocket> {
    const id = this.#nextId++
    const socket = new AgentSocket(id, (command) => this.#tell(command))
    this.#listeners.add((event) => {
      if (event.event === 'datagram' && event.socket === id) socket.hear({ text: event.text, from: event.from })
      if (event.event === 'failure' && event.socket === id) socket.fail(event.code)
    })
    const opened = this.#next((event) => event.event === 'open' && event.socket === id)
    this.#tell({ do: 'open', socket: id, ip, port, connect })
    const event = await opened
    if (event.event === 'open') socket.local = event.local
    return socket
  }

  /** `connected`, or the error code of the attempt. */
  async tcp(to: TransportAddress): Promise<string> {
    const id = this.#nextId++
    const answer = this.#next((event) => event.event === 'tcp' && event.id === id)
    this.#tell({ do: 'tcp', id, to })
    const event = await answer
    return event.event === 'tcp' ? event.outcome : ''
  }

  async listenTcp(at: TransportAddress): Promise<void> {
    const answer = this.#next((event) => event.event === 'listening' && event.ip === at.ip && event.port === at.port)
    this.#tell({ do: 'listen', ...at })
    await answer
  }

  async stop(): Promise<void> {
    await this.#daemon.stop()
  }

  #tell(command: Readonly<Record<string, unknown>>): void {
    this.#daemon.child.stdin.write(`${JSON.stringify(command)}\n`)
  }

  #next(matches: (event: AgentEvent) => boolean): Promise<AgentEvent> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#listeners.delete(look)
        reject(new Error(`the agent did not answer:\n${this.#daemon.output()}`))
      }, PATIENCE_MS)
      const look = (event: AgentEvent): void => {
        if (!matches(event)) return
        clearTimeout(timer)
        this.#listeners.delete(look)
        resolve(event)
      }
      this.#listeners.add(look)
    })
  }
}

export class AgentSocket {
  local: TransportAddress = { ip: '', port: 0 }
  /** Everything that arrived, in order. */
  readonly received: Datagram[] = []
  /** Error codes this socket was told, in order. */
  readonly failures: string[] = []
  readonly #id: number
  readonly #tell: (command: Readonly<Record<string, unknown>>) => void
  readonly #waiting = new Set<() => void>()

  constructor(id: number, tell: (command: Readonly<Record<string, unknown>>) => void) {
    this.#id = id
    this.#tell = tell
  }

  send(text: string, to?: TransportAddress): void {
    this.#tell({ do: 'send', socket: this.#id, text, to })
  }

  close(): void {
    this.#tell({ do: 'close', socket: this.#id })
  }

  /** The datagram with this text: the one that is here already, or the one to come. */
  async datagram(text: string): Promise<Datagram> {
    return await this.#until(`"${text}"`, () => this.received.find((datagram) => datagram.text === text))
  }

  async firstDatagram(): Promise<Datagram> {
    return await this.#until('any datagram', () => this.received[0])
  }

  async failure(): Promise<string> {
    return await this.#until('a failure', () => this.failures[0])
  }

  /** For the agent. */
  hear(datagram: Datagram): void {
    this.received.push(datagram)
    for (const wake of this.#waiting) wake()
  }

  /** For the agent. */
  fail(code: string): void {
    this.failures.push(code)
    for (const wake of this.#waiting) wake()
  }

  #until<T>(what: string, find: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = find()
        if (found === undefined) return
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve(found)
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(look)
        const seen = this.received.map(({ text, from }) => `"${text}" from ${formatAddress(from)}`)
        reject(new Error(`${formatAddress(this.local)} waited for ${what}, and has ${seen.join(', ') || 'nothing'}`))
      }, PATIENCE_MS)
      this.#waiting.add(look)
      look()
    })
  }
}
