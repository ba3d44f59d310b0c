/** How many allocations there are and whose, over all threads of a relay: so that quotas hold for all of them together. */
import { createHash } from 'node:crypto'
import type { AllocationLedger } from '../../proto/turn-server/index.ts'

/** Twice as many as there can be allocations with one relayed address each. A power of two. */
const SLOTS = 2 ** 17
/** Two words of the name's hash and the count. */
const WORDS = 3
const LOCK = 0
const TOTAL = 1
const USED = 2
const FIRST = 4

/** The memory of a ledger, to be given to every thread. */
export const ledgerMemory = (slots: number = SLOTS): SharedArrayBuffer =>
  new SharedArrayBuffer((FIRST + slots * WORDS) * Int32Array.BYTES_PER_ELEMENT)

/** A hash table in shared memory, behind a lock that is held for a fraction of a microsecond. */
export class SharedLedger implements AllocationLedger {
  readonly #words: Int32Array
  readonly #mask: number

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
    this.#mask = (this.#words.length - FIRST) / WORDS - 1
  }

  get total(): number {
    return Atomics.load(this.#words, TOTAL)
  }

  countOf(identity: string): number {
    const [high, low] = hashOf(identity)
    // Asking for a name must not put it into the table: whoever asks has proven it, but may not get in.
    return this.#locked(() => this.#words[this.#probe(high, low) + 2] ?? 0)
  }

  add(identity: string): void {
    this.#change(identity, 1)
  }

  remove(identity: string): void {
    this.#change(identity, -1)
  }

  #change(identity: string, by: 1 | -1): void {
    const [high, low] = hashOf(identity)
    this.#locked(() => {
      const at = this.#find(high, low)
      this.#words[at + 2] = (this.#words[at + 2] ?? 0) + by
      Atomics.add(this.#words, TOTAL, by)
    })
  }

  /** Where the name is; it is put there if it is new. */
  #find(high: number, low: number): number {
    const words = this.#words
    if ((words[USED] ?? 0) > this.#mask * 0.75) this.#rebuild()
    const at = this.#probe(high, low)
    if (words[at] !== 0) return at
    words[at] = high
    words[at + 1] = low
    words[USED] = (words[USED] ?? 0) + 1
    return at
  }

  #probe(high: number, low: number): number {
    for (let slot = low & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = FIRST + slot * WORDS
      if (this.#words[at] === 0 || (this.#words[at] === high && this.#words[at + 1] === low)) return at
    }
  }

  /** Names whose allocations are all gone keep their places until room is needed. */
  #rebuild(): void {
    const live: (readonly [high: number, low: number, count: number])[] = []
    for (let at = FIRST; at < this.#words.length; at += WORDS) {
      const count = this.#words[at + 2] ?? 0
      if (count > 0) live.push([this.#words[at] ?? 0, this.#words[at + 1] ?? 0, count])
    }
    this.#words.fill(0, FIRST)
    this.#words[USED] = live.length
    for (const [high, low, count] of live) {
      const at = this.#probe(high, low)
      this.#words.set([high, low, count], at)
    }
  }

  #locked<T>(work: () => T): T {
    // Whoever holds the lock is done before a wait could begin to pay; the timeout is for a lost wake-up.
    while (Atomics.compareExchange(this.#words, LOCK, 0, 1) !== 0) Atomics.wait(this.#words, LOCK, 1, 1)
    try {
      return work()
    } finally {
      Atomics.store(this.#words, LOCK, 0)
      Atomics.notify(this.#words, LOCK, 1)
    }
  }
}

/** 63 bits of a hash: names that share all of them would be a quarrel of billions of users. Never 0 in the first word. */
function hashOf(identity: string): [high: number, low: number] {
  const digest = createHash('sha256').update(identity).digest()
  return [digest.readInt32LE(0) | 1, digest.readInt32LE(4)]
}
