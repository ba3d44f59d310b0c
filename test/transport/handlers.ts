/** Handlers that keep what they were called with, and can be awaited. */
import type { DatagramHandlers, DeliveryFailure, StreamHandlers, TransportAddress } from '../../src/core/index.ts'

/** Resolves when `ready` holds; asked after each call of a handler. */
class Watch {
  #waiting: (() => void)[] = []

  notify(): void {
    for (const look of this.#waiting.splice(0)) look()
  }

  async until(ready: () => boolean): Promise<void> {
    // No time limit: the test's own is the one that counts.
    while (!ready()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

export class RecordedDatagrams implements DatagramHandlers {
  readonly datagrams: { readonly text: string; readonly bytes: Uint8Array; readonly from: TransportAddress }[] = []
  readonly failures: DeliveryFailure[] = []
  readonly #watch = new Watch()

  onDatagram(bytes: Uint8Array, from: TransportAddress): void {
    this.datagrams.push({ text: new TextDecoder().decode(bytes), bytes, from })
    this.#watch.notify()
  }

  onFailure(failure: DeliveryFailure): void {
    this.failures.push(failure)
    this.#watch.notify()
  }

  hasDatagrams(count: number): Promise<void> {
    return this.#watch.until(() => this.datagrams.length >= count)
  }

  hasDatagram(text: string): Promise<void> {
    return this.#watch.until(() => this.datagrams.some((datagram) => datagram.text === text))
  }

  hasFailures(count: number): Promise<void> {
    return this.#watch.until(() => this.failures.length >= count)
  }
}

export class RecordedStream implements StreamHandlers {
  received = ''
  readonly closes: (Error | undefined)[] = []
  readonly #watch = new Watch()

  onData(bytes: Uint8Array): void {
    this.received += new TextDecoder().decode(bytes)
    this.#watch.notify()
  }

  onClose(error: Error | undefined): void {
    this.closes.push(error)
    this.#watch.notify()
  }

  hasReceived(text: string): Promise<void> {
    return this.#watch.until(() => this.received.includes(text))
  }

  hasClosed(): Promise<void> {
    return this.#watch.until(() => this.closes.length > 0)
  }
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
