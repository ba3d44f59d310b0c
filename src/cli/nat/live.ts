/** The live line while probing: on stderr, and only where a person looks on. */
import type { NatProgress } from '../../probe/nat/index.ts'
import type { CliIo } from '../io.ts'

/** Redrawing oftener than this flickers and costs the probe time. */
const redrawMs = 80

export class LiveLine {
  readonly #io: CliIo
  #sent = 0
  #received = 0
  #words = 'looking up servers'
  #drawnAt = 0
  #drawn = false

  constructor(io: CliIo) {
    this.#io = io
  }

  show(event: NatProgress): void {
    if (!this.#io.stderrIsTty) return
    if (event.kind === 'stage') {
      this.#words = `IPv${event.family}: ${event.words}${event.fraction === null ? '' : ` ${bar(event.fraction)}`}`
    } else if (event.kind === 'sent') this.#sent++
    else this.#received++
    const now = performance.now()
    if (event.kind !== 'stage' && now - this.#drawnAt < redrawMs) return
    this.#drawnAt = now
    const line = `${this.#words} · ${this.#sent} sent, ${this.#received} received`
    // One column short: a cursor behind the last one may have wrapped, and then the line could not be taken back.
    this.#io.err(`\r\x1b[K${line.slice(0, (this.#io.stderrColumns ?? 80) - 1)}`)
    this.#drawn = true
  }

  clear(): void {
    if (this.#drawn) this.#io.err('\r\x1b[K')
    this.#drawn = false
  }
}

function bar(fraction: number): string {
  const width = 20
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * width)
  return `[${'#'.repeat(full)}${'.'.repeat(width - full)}]`
}
