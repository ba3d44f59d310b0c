/** Runs the check-up of this host: one at a time, however many pages ask, and told live to all of them. */
import type { CheckedHost, HostCheck } from './options.ts'

/** What a page needs to show the run that is under way, or the last one. */
export interface HostState {
  readonly running: boolean
  /** Of the run under way, oldest first. */
  readonly progress: readonly object[]
  readonly report: object | null
  readonly error: string | null
}

/** More events than any run has; beyond it only the report counts. */
const mostEvents = 2000

export class HostChecks {
  readonly #check: HostCheck
  readonly #tell: (event: 'host-progress' | 'host', data: object) => void
  readonly #onChecked: (checked: CheckedHost) => void
  #state: HostState = { running: false, progress: [], report: null, error: null }
  #abort = new AbortController()

  constructor(
    check: HostCheck,
    tell: (event: 'host-progress' | 'host', data: object) => void,
    onChecked: (checked: CheckedHost) => void,
  ) {
    this.#check = check
    this.#tell = tell
    this.#onChecked = onChecked
  }

  get state(): HostState {
    return this.#state
  }

  /** Starts a run; false: one is under way, and does for this one too. */
  start(): boolean {
    if (this.#state.running) return false
    this.#abort = new AbortController()
    this.#set({ running: true, progress: [], report: this.#state.report, error: null })
    void this.#run()
    return true
  }

  stop(): void {
    this.#abort.abort()
  }

  async #run(): Promise<void> {
    try {
      const checked = await this.#check.run((event) => this.#onProgress(event), this.#abort.signal)
      this.#onChecked(checked)
      this.#set({ running: false, progress: [], report: checked.report, error: null })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      this.#set({ running: false, progress: [], report: this.#state.report, error: message })
    }
  }

  #onProgress(event: object): void {
    if (!this.#state.running || this.#state.progress.length >= mostEvents) return
    this.#state = { ...this.#state, progress: [...this.#state.progress, event] }
    this.#tell('host-progress', event)
  }

  #set(state: HostState): void {
    this.#state = state
    this.#tell('host', state)
  }
}
