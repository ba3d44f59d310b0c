/** Virtual time: nothing happens between two events, so waiting costs nothing and every run is the same. */
import {
  after,
  type Cancel,
  type Clock,
  type Instant,
  instant,
  NatcheckError,
  type WallTime,
  wallTime,
} from '../core/index.ts'

interface ScheduledTask {
  readonly at: Instant
  /** Breaks ties: of tasks for the same instant the one scheduled first runs first. */
  readonly order: number
  task: (() => void) | undefined
}

/** How many events pass between two visits to the real event loop, which lets a test runner's time limit strike. */
const EVENTS_PER_BREATH = 20_000

/** More events than this at one instant are a timer that re-arms itself for now, not a simulation. */
const EVENTS_AT_ONE_INSTANT = 1_000_000

/** 2026-01-01T00:00:00Z: where the virtual calendar starts unless told otherwise. */
const DEFAULT_EPOCH = Date.UTC(2026, 0, 1)

export class VirtualClock implements Clock {
  readonly #heap: ScheduledTask[] = []
  readonly #start: number
  #now: Instant = instant(0)
  #order = 0
  #running = false
  #executed = 0
  #executedAtNow = 0

  constructor(options: { readonly epoch?: number } = {}) {
    this.#start = options.epoch ?? DEFAULT_EPOCH
  }

  now(): Instant {
    return this.#now
  }

  wallTime(): WallTime {
    return wallTime(this.#start + this.#now)
  }

  /** How many tasks have run: what a simulation cost. */
  get executed(): number {
    return this.#executed
  }

  schedule(at: Instant, task: () => void): Cancel {
    if (Number.isNaN(at)) throw new RangeError('an event needs an instant')
    const entry: ScheduledTask = { at: at < this.#now ? this.#now : at, order: this.#order++, task }
    push(this.#heap, entry)
    return () => {
      entry.task = undefined
    }
  }

  /** Resolves `milliseconds` later. */
  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.schedule(after(this.#now, milliseconds), resolve)
    })
  }

  /**
   * Lets time pass, event by event, until `work` settles, and answers as `work` does. Time stands still afterwards:
   * what `work` left scheduled waits for the next run. Throws TIMEOUT when `work` waits for something that will never
   * happen, or when `limitMs` of virtual time have passed.
   */
  async run<T>(work: Promise<T>, limitMs = 3_600_000): Promise<T> {
    const end = after(this.#now, limitMs)
    const state = { settled: false }
    const settle = (): void => {
      state.settled = true
    }
    work.then(settle, settle)
    await this.#exclusively(async () => {
      await this.#settlePromises()
      while (!state.settled) {
        const next = this.#next()
        if (!next) {
          // Work may stand in the real event loop for a turn (a dynamic import, a stream): that is not a deadlock yet.
          await breathe()
          if (state.settled || this.#next()) continue
          throw deadlock(this.#now)
        }
        if (next.at > end) throw overtime(this.#now, limitMs)
        this.#execute()
        await this.#settlePromises()
      }
    })
    return work
  }

  /** Lets exactly `milliseconds` pass. */
  async advance(milliseconds: number): Promise<void> {
    const end = after(this.#now, milliseconds)
    await this.#exclusively(async () => {
      await this.#settlePromises()
      for (let next = this.#next(); next && next.at <= end; next = this.#next()) {
        this.#execute()
        await this.#settlePromises()
      }
      this.#now = end
    })
  }

  async #exclusively(body: () => Promise<void>): Promise<void> {
    if (this.#running) {
      throw new NatcheckError('USAGE', 'the virtual clock is already running', {
        fix: 'Await one run or advance before the next, or give both pieces of work to one run.',
      })
    }
    this.#running = true
    try {
      // From here on we stand in a promise reaction, which is what settlePromises needs.
      await Promise.resolve()
      await body()
    } finally {
      this.#running = false
    }
  }

  /**
   * Waits until every promise reaction is done, however long the chains of awaits. A nextTick asked for from a promise
   * reaction runs only when Node's microtask queue is empty, and the queue is drained to the end before; so one tick is
   * enough for any chain, where counting microtask turns would be a guess. It costs a tenth of a setImmediate.
   */
  #settlePromises(): Promise<void> {
    return this.#executed % EVENTS_PER_BREATH === EVENTS_PER_BREATH - 1 ? breathe() : tick()
  }

  /** The earliest task that was not cancelled. */
  #next(): ScheduledTask | undefined {
    for (let top = this.#heap[0]; top; top = this.#heap[0]) {
      if (top.task) return top
      pop(this.#heap)
    }
    return undefined
  }

  #execute(): void {
    const entry = pop(this.#heap)
    if (!entry?.task) return
    this.#executedAtNow = entry.at === this.#now ? this.#executedAtNow + 1 : 0
    if (this.#executedAtNow > EVENTS_AT_ONE_INSTANT) throw standstill(this.#now)
    this.#now = entry.at
    this.#executed++
    entry.task()
  }
}

const tick = (): Promise<void> =>
  new Promise((resolve) => {
    process.nextTick(resolve)
  })

const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

const deadlock = (now: Instant): NatcheckError =>
  new NatcheckError('TIMEOUT', `virtual deadlock at ${now} ms: the work waits, and nothing is left to happen`, {
    fix: 'Look for a promise that only a packet or timer which was never sent or scheduled would settle.',
  })

const overtime = (now: Instant, limitMs: number): NatcheckError =>
  new NatcheckError('TIMEOUT', `the work took more than ${limitMs} ms of virtual time (it is ${now} ms)`, {
    fix: 'Raise the limit, or look for a timer that re-arms itself for ever.',
  })

const standstill = (now: Instant): NatcheckError =>
  new NatcheckError('TIMEOUT', `virtual time stands still at ${now} ms: a million events and no end`, {
    fix: 'Look for a timer that re-arms itself for an instant that has passed.',
  })

const before = (a: ScheduledTask, b: ScheduledTask): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

function push(heap: ScheduledTask[], entry: ScheduledTask): void {
  let index = heap.length
  heap.push(entry)
  while (index > 0) {
    const parentIndex = (index - 1) >> 1
    const parent = heap[parentIndex]
    if (!parent || !before(entry, parent)) break
    heap[index] = parent
    index = parentIndex
  }
  heap[index] = entry
}

function pop(heap: ScheduledTask[]): ScheduledTask | undefined {
  const top = heap[0]
  const last = heap.pop()
  if (!top || !last || heap.length === 0) return top
  let index = 0
  for (;;) {
    let childIndex = 2 * index + 1
    let child = heap[childIndex]
    const right = heap[childIndex + 1]
    if (child && right && before(right, child)) {
      child = right
      childIndex++
    }
    if (!child || !before(child, last)) break
    heap[index] = child
    index = childIndex
  }
  heap[index] = last
  return top
}
