/** What the machine wants done, in order, and the answers to requests among it. */
import type { TransportProtocol } from '../../core/index.ts'
import {
  attribute,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  errorReason,
  type IntegrityOptions,
  software,
  transactionKey,
} from '../../wire/index.ts'
import type { ClientPath, DropReason, TurnEffect, TurnEvent } from './types.ts'

/** A request as far as its answer depends on it. Holds no view of the request's bytes, so it may be kept. */
export interface Inquiry {
  readonly path: ClientPath
  readonly method: number
  readonly transactionId: Uint8Array
  /** What the request was sealed with, and its answer will be. */
  readonly integrity: IntegrityOptions | undefined
  readonly fingerprint: boolean
}

/** The transaction as a key: two requests with the same are one request, retransmitted. RFC 8489 §6.3.1 */
export const transactionOf = ({ method, transactionId }: { method: number; transactionId: Uint8Array }): string =>
  `${method} ${transactionKey(transactionId)}`

export class Outbox {
  #effects: TurnEffect[] = []
  #next = 0
  readonly #software: readonly EncodableAttribute[]

  constructor(softwareName: string | undefined) {
    this.#software = softwareName === undefined ? [] : [attribute(software, softwareName)]
  }

  push(effect: TurnEffect): void {
    this.#effects.push(effect)
  }

  poll(): TurnEffect | undefined {
    const effect = this.#effects[this.#next++]
    if (effect === undefined) {
      this.#effects = []
      this.#next = 0
    }
    return effect
  }

  tell(event: TurnEvent): void {
    this.push({ kind: 'event', event })
  }

  drop(from: 'client' | 'peer', reason: DropReason): void {
    this.tell({ kind: 'drop', from, reason })
  }

  send(path: ClientPath, bytes: Uint8Array): void {
    this.push({ kind: 'send-to-client', path, bytes })
  }

  /** Answers, and returns the answer for whoever has to repeat it. */
  succeed(inquiry: Inquiry, attributes: readonly EncodableAttribute[] = []): Uint8Array {
    const bytes = this.#encode(inquiry, 'success', attributes)
    this.send(inquiry.path, bytes)
    this.tell({ kind: 'success-response', path: inquiry.path, method: inquiry.method })
    return bytes
  }

  /** `reason` in place of the registered phrase, where one code stands for several mistakes. */
  fail(inquiry: Inquiry, code: number, attributes: readonly EncodableAttribute[] = [], reason?: string): void {
    const error = attribute(errorCode, { code, reason: reason ?? errorReason(code) })
    this.send(inquiry.path, this.#encode(inquiry, 'error', [error, ...attributes]))
    this.tell({ kind: 'error-response', path: inquiry.path, method: inquiry.method, code })
  }

  #encode(inquiry: Inquiry, messageClass: 'success' | 'error', attributes: readonly EncodableAttribute[]): Uint8Array {
    const { method, transactionId, integrity, fingerprint } = inquiry
    return encodeMessage({
      class: messageClass,
      method,
      transactionId,
      attributes: [...attributes, ...this.#software],
      integrity,
      fingerprint,
    })
  }
}

/** Streams want ChannelData in multiples of 4 bytes. RFC 8656 §12.5 */
export const padsChannelData = (protocol: TransportProtocol): boolean => protocol !== 'udp'
