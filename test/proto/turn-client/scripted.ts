/** Servers that say what a test wants them to, signed as alice's where that is wanted. */
import type { DatagramEndpoint, TransportAddress } from '../../../src/core/index.ts'
import type { Host } from '../../../src/lab/index.ts'
import {
  attribute,
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  get,
  lifetime,
  longTermKey,
  messageIntegrity,
  has,
  nonce,
  realm,
  type StunMessage,
  xorMappedAddress,
  xorRelayedAddress,
} from '../../../src/wire/index.ts'
import { alice } from './lab.ts'

export const key: Uint8Array = longTermKey({ ...alice, realm: 'example.org' }, 'md5')
export const relayed: TransportAddress = { ip: '50.0.0.1', port: 50_000 }

export interface Reply {
  /** Absent: a success. */
  readonly code?: number
  readonly attributes?: readonly EncodableAttribute[]
  /** Default: signed where the request was, and it is no challenge. */
  readonly signedWith?: Uint8Array | 'nothing'
}

export const challenge = (code: 401 | 438 = 401, value = 'nonce'): Reply => ({
  code,
  attributes: [attribute(realm, 'example.org'), attribute(nonce, value)],
})

export const granted = (seconds = 600): Reply => ({
  attributes: [
    attribute(xorRelayedAddress, relayed),
    attribute(xorMappedAddress, { ip: '80.0.0.10', port: 40_000 }),
    attribute(lifetime, seconds),
  ],
})

/** The first request without credentials is challenged; what else comes is answered by `reply`. */
export const afterChallenge =
  (reply: (request: StunMessage, nth: number) => Reply | undefined): Script =>
  (request, nth) =>
    has(request, messageIntegrity) ? reply(request, nth) : challenge()

/** `nth` counts from 0. Nothing: silence. */
export type Script = (request: StunMessage, nth: number) => Reply | undefined

export function replyBytes(request: StunMessage, { code, attributes = [], signedWith }: Reply): Uint8Array {
  const error = code === undefined ? [] : [attribute(errorCode, { code, reason: `reason ${code}` })]
  const usual = has(request, messageIntegrity) && code !== 401 && code !== 438 ? key : 'nothing'
  const signing = signedWith ?? usual
  return encodeMessage({
    class: code === undefined ? 'success' : 'error',
    method: request.method,
    transactionId: request.transactionId,
    attributes: [...error, ...attributes],
    ...(signing === 'nothing' ? {} : { integrity: { key: signing } }),
  })
}

/** Answers on UDP; keeps the requests it heard. */
export async function serve(
  host: Host,
  { ip, port }: TransportAddress,
  script: Script,
  /** Where answers leave from, instead of from where the request came in. */
  answerFrom?: DatagramEndpoint,
): Promise<StunMessage[]> {
  const heard: StunMessage[] = []
  const endpoint = await host.openDatagram(
    { family: ip.includes(':') ? 6 : 4, ip, port },
    {
      onDatagram: (bytes, from) => {
        const decoded = decodeMessage(bytes)
        if (!decoded.ok || decoded.value.class !== 'request') return
        const request = decoded.value
        const reply = script(request, heard.push(request) - 1)
        if (reply) (answerFrom ?? endpoint).send(replyBytes(request, reply), from)
      },
      onFailure: () => undefined,
    },
  )
  return heard
}

export const lifetimeOf = (request: StunMessage): number | undefined => get(request, lifetime)
