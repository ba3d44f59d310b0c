/** The requests of TURN: what each asks, and what makes its success one. RFC 8656 §7–10, §12 */
import type { Instant, TransportAddress } from '../../core/index.ts'
import {
  attribute,
  channelNumber,
  type EncodableAttribute,
  get,
  lifetime,
  Method,
  mobilityTicket,
  type StunMessage,
  xorPeerAddress,
} from '../../wire/index.ts'
import { allocateAttributes, grantedLifetime, readAllocation } from './allocation.ts'
import { incomplete } from './failures.ts'
import type { OutgoingRequest } from './requests.ts'
import type { AllocateOptions, Allocation, ChannelBinding, TurnFailure, TurnStage } from './types.ts'

/** A request and what follows from its success. */
export interface Purpose extends OutgoingRequest {
  readonly stage: TurnStage
  /** Returns what is wrong with a success that lacks what makes it one. */
  onSuccess(reply: StunMessage, now: Instant): TurnFailure | undefined
}

type Granted = (allocation: Allocation, now: Instant) => void

export const allocating = (options: AllocateOptions, granted: Granted): Purpose => ({
  method: Method.allocate,
  stage: 'allocate',
  attributes: allocateAttributes(options),
  onSuccess: (reply, now) => {
    const allocation = readAllocation(reply, now)
    if (!('relayed' in allocation)) return incomplete('allocate', Method.allocate, allocation)
    granted(allocation, now)
    return undefined
  },
})

/** Asks for `seconds` more, or for what the server gives by itself; undefined `allocation`: there is none to refresh. */
export function refreshing(allocation: Allocation | undefined, seconds: number | undefined, granted: Granted): Purpose {
  const ticket = allocation?.mobilityTicket
  const attributes: EncodableAttribute[] = []
  if (seconds !== undefined) attributes.push(attribute(lifetime, seconds))
  if (ticket) attributes.push(attribute(mobilityTicket, ticket))
  return {
    method: Method.refresh,
    stage: 'refresh',
    attributes,
    onSuccess: (reply, now) => {
      const lifetimeSeconds = grantedLifetime(reply)
      if (lifetimeSeconds === undefined) return incomplete('refresh', Method.refresh, ['LIFETIME'])
      if (!allocation) {
        return {
          stage: 'refresh',
          cause: 'invalid-answer',
          why: 'the server refreshed an allocation that is not there',
        }
      }
      // RFC 8016 §3.2: each Refresh brings the ticket of the next.
      granted({ ...allocation, lifetimeSeconds, mobilityTicket: get(reply, mobilityTicket) ?? ticket }, now)
      return undefined
    },
  }
}

export const releasing = (released: () => void): Purpose => ({
  method: Method.refresh,
  stage: 'refresh',
  attributes: [attribute(lifetime, 0)],
  onSuccess: () => {
    released()
    return undefined
  },
})

export const permitting = (peers: readonly TransportAddress[], permitted: (now: Instant) => void): Purpose => ({
  method: Method.createPermission,
  stage: 'permission',
  attributes: peers.map((peer) => attribute(xorPeerAddress, peer)),
  onSuccess: (_reply, now) => {
    permitted(now)
    return undefined
  },
})

export const bindingChannel = ({ channel, peer }: ChannelBinding, bound: (now: Instant) => void): Purpose => ({
  method: Method.channelBind,
  stage: 'channel',
  attributes: [attribute(channelNumber, channel), attribute(xorPeerAddress, peer)],
  onSuccess: (_reply, now) => {
    bound(now)
    return undefined
  },
})
