/** What the main thread and the worker of the mmsg datapath tell each other. */
import type { MessagePort } from 'node:worker_threads'
import type { TransportAddress } from '../../../core/index.ts'
import type { ClientPath } from '../../../proto/turn-server/index.ts'

export interface WorkerSettings {
  /** For createServer, in the worker. */
  readonly settings: unknown
  /** UDP addresses. */
  readonly listen: readonly TransportAddress[]
  /** `first`: nobody else may have the addresses yet. `joined`: another thread has them already. */
  readonly sharing: 'none' | 'first' | 'joined'
  /** Of the ledger of all threads. */
  readonly ledger: SharedArrayBuffer | undefined
  /** Of what all threads together answer to a source without credentials. */
  readonly sourceLimit: SharedArrayBuffer | undefined
  readonly offload: boolean
  readonly coalesceMicroseconds?: number | undefined
  /** The main thread's, so that both have one clock. */
  readonly timeOrigin: number
  readonly port: MessagePort
}

export type ToWorker =
  | { readonly kind: 'request'; readonly id: number; readonly request: unknown }
  | { readonly kind: 'stream-message'; readonly path: ClientPath; readonly bytes: Uint8Array }
  | {
      readonly kind: 'stream-data'
      readonly path: ClientPath
      readonly channel: number
      readonly data: Uint8Array
    }
  | { readonly kind: 'stream-gone'; readonly path: ClientPath }
  /** So much of what `stream-send` brought has been taken. */
  | { readonly kind: 'streams-taken'; readonly cost: number }
  | { readonly kind: 'stop' }

export type FromWorker =
  | { readonly kind: 'ready'; readonly listening: readonly TransportAddress[]; readonly wakeFd: number }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'refusal'; readonly id: number; readonly code: string | undefined; readonly message: string }
  | { readonly kind: 'message'; readonly message: unknown }
  | { readonly kind: 'stream-send'; readonly key: number; readonly bytes: Uint8Array }
  /** So much of what streams have said has been served. */
  | { readonly kind: 'streams-served'; readonly cost: number }
  | { readonly kind: 'stopped' }

/** What a stream's message takes of memory while it waits: its bytes, and what carries them. */
export const costOf = (message: ToWorker | FromWorker): number =>
  512 + ('bytes' in message ? message.bytes.length : 'data' in message ? message.data.length : 0)
