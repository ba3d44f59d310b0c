/**
 * Network namespaces for tests: made with unique names, wired with veth pairs, gone when the test is.
 * Leftovers of test runs that crashed are recognised by the pid in their name and swept by the next run.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { check, type Daemon, type RunOptions, type RunResult, run, startDaemon } from './process.ts'
import { environment } from './requirements.ts'

const prefix = 'natcheck'

/** A set of namespaces that live and die together. */
export class Namespaces {
  readonly #id = `${prefix}-${process.pid}-${randomBytes(3).toString('hex')}`
  readonly #made = new Map<string, Namespace>()
  #reaper: ChildProcess | undefined
  #nextIndex = 10

  /** Namespaces of these short names, with loopback up and no other link. */
  static async create(...names: readonly string[]): Promise<Namespaces> {
    await sweep()
    const set = new Namespaces()
    set.#reaper = reaper(names.map((name) => `${set.#id}-${name}`))
    try {
      for (const name of names) {
        const namespace = new Namespace(`${set.#id}-${name}`)
        await check(['ip', 'netns', 'add', namespace.name])
        set.#made.set(name, namespace)
        await namespace.ip('link set lo up')
        // Until duplicate detection is over, two seconds, a link-local address can't be used, and a router that forwards
        // another's packet has no other to ask for its neighbour with. Nobody here has the same address twice.
        await namespace.sysctl({ 'net.ipv6.conf.all.accept_dad': 0, 'net.ipv6.conf.default.accept_dad': 0 })
      }
      return set
    } catch (error) {
      await set.remove()
      throw error
    }
  }

  get(name: string): Namespace {
    const namespace = this.#made.get(name)
    if (!namespace) throw new Error(`no namespace ${name} here`)
    return namespace
  }

  /** A veth pair between two of the namespaces, both ends up. Addresses are `192.0.2.1/24` or `2001:db8::1/64`. */
  async link(a: LinkEnd, b: LinkEnd): Promise<void> {
    const [from, to] = [this.get(a.in), this.get(b.in)]
    // Distinct interface indexes: when both ends have the same number in their namespaces, Linux takes the pair for
    // one plain device and lets up to a second pass before it uses the link (linkwatch_urgent_event).
    const [index, peerIndex] = [this.#nextIndex++, this.#nextIndex++]
    await from.ip(
      `link add ${a.as} index ${index} type veth peer name ${b.as} index ${peerIndex} netns ${to.name}`,
      ...linkUp(a),
    )
    await to.ip(...linkUp(b))
  }

  /** Ends what runs inside, then removes the namespaces. Safe to call twice. */
  async remove(): Promise<void> {
    for (const [name, namespace] of this.#made) {
      await namespace.stop()
      await run(['ip', 'netns', 'del', namespace.name])
      this.#made.delete(name)
    }
    this.#reaper?.stdin?.end()
  }
}

export interface LinkEnd {
  readonly in: string
  readonly as: string
  readonly addresses: readonly string[]
}

const linkUp = ({ as, addresses }: LinkEnd): string[] => [
  // nodad: usable at once. Without it, even where detection is off, a work queue has to say so first.
  ...addresses.map((address) => `addr add ${address} dev ${as}${address.includes(':') ? ' nodad' : ''}`),
  `link set ${as} up`,
]

/** One network namespace. */
export class Namespace {
  readonly name: string
  readonly #daemons = new Set<Daemon>()

  constructor(name: string) {
    this.name = name
  }

  /** Commands of ip(8) inside, one a line, in one process: `addr add …`, `route add …`. */
  async ip(...commands: readonly string[]): Promise<void> {
    await check(['ip', '-n', this.name, '-batch', '-'], { input: `${commands.join('\n')}\n` })
  }

  /** The same of `ip -6`, for what does not show its family: `rule …`, `route … default`. */
  async ip6(...commands: readonly string[]): Promise<void> {
    await check(['ip', '-6', '-n', this.name, '-batch', '-'], { input: `${commands.join('\n')}\n` })
  }

  /** A script of nft(8), applied as one transaction. */
  async nft(script: string): Promise<void> {
    await check(this.#inside(['nft', '-f', '-']), { input: script })
  }

  async sysctl(settings: Readonly<Record<string, number>>): Promise<void> {
    await check(
      this.#inside(['sysctl', '-q', '-w', ...Object.entries(settings).map(([key, value]) => `${key}=${value}`)]),
    )
  }

  /** Runs a program inside to its end, whatever its exit code. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return await run(this.#inside(argv), options)
  }

  /** Runs a program inside that has to succeed; returns what it printed. */
  async check(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return await check(this.#inside(argv), options)
  }

  /** Starts a program inside that runs until it is stopped, at the latest with the namespace. */
  start(argv: readonly string[], options: RunOptions = {}): Daemon {
    const daemon = startDaemon(this.#inside(argv), options)
    this.#daemons.add(daemon)
    daemon.child.once('close', () => this.#daemons.delete(daemon))
    return daemon
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#daemons].map((daemon) => daemon.stop()))
  }

  #inside(argv: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.name, ...argv]
  }
}

/**
 * Removes the namespaces when this process ends, however it ends: its input then closes. (Test runners end their workers
 * without an exit event.) What runs inside is gone by then: see `launch` in process.ts.
 */
function reaper(names: readonly string[]): ChildProcess {
  const script = 'read -r _; for name in "$@"; do ip netns del "$name"; done'
  const child = spawn('sh', ['-c', script, 'sh', ...names], {
    env: environment(),
    stdio: ['pipe', 'ignore', 'ignore'],
    // In a group of its own: an interrupt typed at the terminal is not meant for it.
    detached: true,
  })
  child.unref()
  if (child.stdin && 'unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref()
  return child
}

let swept: Promise<void> | undefined

/** Once a process is enough. */
function sweep(): Promise<void> {
  swept ??= sweepLeftovers()
  return swept
}

/** Removes what test runs whose process is gone have left behind. */
export async function sweepLeftovers(): Promise<void> {
  const listed = await check(['ip', 'netns', 'list'])
  for (const line of listed.split('\n')) {
    const name = line.split(' ')[0] ?? ''
    const pid = new RegExp(`^${prefix}-(\\d+)-`).exec(name)?.[1]
    if (pid === undefined || isRunning(Number(pid))) continue
    const { stdout } = await run(['ip', 'netns', 'pids', name])
    for (const inside of stdout
      .split('\n')
      .map(Number)
      .filter((value) => value > 1))
      kill(inside)
    await run(['ip', 'netns', 'del', name])
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: somebody else's, so it runs.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself meanwhile.
  }
}
