/** One structure for everything that ends some day, so that ten thousand allocations need one timer. */
import type { Instant } from '../../core/index.ts'

export interface Expiring {
  expiresAt: Instant
  /** The heap's own note of where it is; -1 outside. */
  heapIndex: number
}

/** A binary heap whose items know their places: moving one in time costs a logarithm, and the first is always exact. */
export class ExpiryHeap<T extends Expiring> {
  readonly #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  /** The one that ends first. */
  get first(): T | undefined {
    return this.#items[0]
  }

  /** Adds an item, or moves it to another time. */
  set(item: T, expiresAt: Instant): void {
    item.expiresAt = expiresAt
    if (item.heapIndex < 0) {
      item.heapIndex = this.#items.length
      this.#items.push(item)
    }
    this.#settle(item)
  }

  /** Harmless for an item that is not in the heap. */
  remove(item: T): void {
    const index = item.heapIndex
    if (index < 0) return
    item.heapIndex = -1
    const last = this.#items.pop()
    if (last === undefined || last === item) return
    this.#put(last, index)
    this.#settle(last)
  }

  #settle(item: T): void {
    this.#rise(item)
    this.#sink(item)
  }

  #rise(item: T): void {
    while (item.heapIndex > 0) {
      const index = item.heapIndex
      const parent = this.#items[(index - 1) >> 1]
      if (parent === undefined || parent.expiresAt <= item.expiresAt) return
      this.#put(item, parent.heapIndex)
      this.#put(parent, index)
    }
  }

  #sink(item: T): void {
    for (;;) {
      const index = item.heapIndex
      const left = this.#items[2 * index + 1]
      const right = this.#items[2 * index + 2]
      const child = left && right && right.expiresAt < left.expiresAt ? right : left
      if (child === undefined || child.expiresAt >= item.expiresAt) return
      this.#put(item, child.heapIndex)
      this.#put(child, index)
    }
  }

  #put(item: T, index: number): void {
    this.#items[index] = item
    item.heapIndex = index
  }
}
