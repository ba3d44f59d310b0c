/** The two processes of the relay benchmark, for tests: a relay that tells of itself, and clients by the thousand. */
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { type Daemon, startDaemon } from './process.ts'

export interface BenchOptions {
  readonly datapath: 'dgram' | 'mmsg'
  readonly lifetimes?: { readonly allocation?: number }
}

/** The relay's, the clients' and the peer's addresses differ, so that no port that one binds is in another's way. */
const relayIp = '127.0.0.1'
const loadIp = '127.0.0.2'
const ports = { min: 20_000, max: 32_000 }
const credentials = { user: 'alice', password: 'wonderland', realm: 'test' }
/** For 10,000 sockets and all else that a process opens. */
const descriptors = 12_000

export class RelayBench {
  readonly #relay: LineProcess
  readonly #load: LineProcess

  private constructor(relay: LineProcess, load: LineProcess) {
    this.#relay = relay
    this.#load = load
  }

  static async start(options: BenchOptions): Promise<RelayBench> {
    const relay = new LineProcess('server-main.mjs', { ...options, port: 0, relayIp, ports, ...credentials })
    const port = Number(/\d+$/.exec(await relay.next())?.[0])
    const load = new LineProcess('generator-main.mjs', { server: { ip: relayIp, port }, ip: loadIp, ...credentials })
    await load.next()
    return new RelayBench(relay, load)
  }

  /** See the commands of generator-main.mjs. Rejects with what went wrong. */
  async load(command: { readonly do: string; readonly count?: number; readonly lifetime?: number }): Promise<void> {
    const answer = await this.#load.ask(JSON.stringify(command))
    const { error } = answer as { error?: string }
    if (error !== undefined) throw new Error(error)
  }

  async counts(): Promise<{ readonly allocations: number; readonly channels: number }> {
    return (await this.#relay.ask('counts')) as { allocations: number; channels: number }
  }

  async stats(): Promise<{ readonly allocationsEnded: { readonly expired?: number } }> {
    return (await this.#relay.ask('stats')) as { allocationsEnded: { expired?: number } }
  }

  /** Bytes that the relay's JavaScript holds, in all its threads, after a collection. */
  async heldBytes(): Promise<number> {
    return Number(await this.#relay.ask('memory'))
  }

  get residentBytes(): number {
    const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.#relay.pid}/status`, 'utf8'))?.[1]
    return Number(kilobytes) * 1024
  }

  get descriptors(): number {
    return readdirSync(`/proc/${this.#relay.pid}/fd`).length
  }

  async stop(): Promise<void> {
    await Promise.all([this.#relay.stop(), this.#load.stop()])
  }
}

/** A script of the benchmark, asked by lines and answering in JSON. */
class LineProcess {
  readonly #daemon: Daemon
  readonly #lines: AsyncIterator<string>

  constructor(script: string, settings: unknown) {
    const path = new URL(`../bench/relay/${script}`, import.meta.url).pathname
    const argv = [process.execPath, '--expose-gc', path, JSON.stringify(settings)]
    this.#daemon = startDaemon(['prlimit', `--nofile=${descriptors}`, ...argv])
    this.#lines = createInterface({ input: this.#daemon.child.stdout })[Symbol.asyncIterator]()
  }

  get pid(): number {
    return this.#daemon.pid
  }

  async next(): Promise<string> {
    const { value, done } = await this.#lines.next()
    if (done === true) throw new Error(`the process has ended: ${this.#daemon.output()}`)
    return value
  }

  async ask(line: string): Promise<unknown> {
    this.#daemon.child.stdin.write(`${line}\n`)
    return JSON.parse(await this.next())
  }

  async stop(): Promise<void> {
    await this.#daemon.stop('SIGKILL')
  }
}
