/** A process and a network in a test's hand. */
import { instant, wallTime } from '../../src/core/index.ts'
import type { CliIo } from '../../src/cli/io.ts'
import type { NatWorld } from '../../src/cli/nat/world.ts'
import type { FamilyObservations } from '../../src/probe/nat/index.ts'
import type { NatReport } from '../../src/report/index.ts'
import { natObservations, startedAt } from '../report/observed.ts'

export class FakeIo implements CliIo {
  readonly env: Record<string, string | undefined> = {}
  cwd = '/nonexistent'
  stdoutIsTty = false
  stderrIsTty = false
  columns: number | undefined
  stderrColumns: number | undefined
  stdin = ''
  stdout = ''
  stderr = ''
  interrupt: () => void = () => {}
  readonly #onSignal = new Map<NodeJS.Signals, Set<() => void>>()

  readStdin(): Promise<string> {
    return Promise.resolve(this.stdin)
  }

  async out(text: string): Promise<void> {
    this.stdout += text
  }

  err(text: string): void {
    this.stderr += text
  }

  onInterrupt(callback: () => void): () => void {
    this.interrupt = callback
    return () => {}
  }

  /** Sends the process a signal, as kill(1) would. */
  signal(name: NodeJS.Signals): void {
    for (const callback of this.#onSignal.get(name) ?? []) callback()
  }

  onSignal(signal: NodeJS.Signals, callback: () => void): () => void {
    const callbacks = this.#onSignal.get(signal) ?? new Set()
    this.#onSignal.set(signal, callbacks.add(callback))
    return () => void callbacks.delete(callback)
  }

  get json(): NatReport {
    return JSON.parse(this.stdout) as NatReport
  }
}

export const home = natObservations({ mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' })
export const open = natObservations({ mapping: 'none', filtering: 'endpoint-independent' })

export interface FakeWorld extends NatWorld {
  readonly asked: Parameters<NatWorld['probe']>[0][]
  selfTests: number
}

/** A world whose probe returns `observations`, and whose self-test passes. */
export function fakeWorld(
  observations: readonly FamilyObservations[] | NatWorld['probe'],
  selfTest: readonly FamilyObservations[] = [open],
  problem: string | null = null,
): FakeWorld {
  const world: FakeWorld = {
    asked: [],
    selfTests: 0,
    clock: { now: () => instant(0), wallTime: () => wallTime(Date.parse(startedAt)), schedule: () => () => {} },
    probe: (options) => {
      world.asked.push(options)
      return typeof observations === 'function' ? observations(options) : Promise.resolve(observations)
    },
    selfTest: () => {
      world.selfTests++
      return Promise.resolve({ server: '127.0.0.1 and 127.0.0.2', problem, observations: selfTest })
    },
  }
  return world
}
