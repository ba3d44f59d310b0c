/** STUN methods and classes, and how a message type carries both. RFC 8489 §5 */

export type MessageClass = 'request' | 'indication' | 'success' | 'error'

/** The IANA registry of STUN methods. */
export const Method = {
  binding: 0x001, // RFC 8489 §3
  sharedSecret: 0x002, // RFC 3489 §9.3; reserved today
  allocate: 0x003, // RFC 8656 §7
  refresh: 0x004, // RFC 8656 §8
  send: 0x006, // RFC 8656 §11
  data: 0x007, // RFC 8656 §11
  createPermission: 0x008, // RFC 8656 §10
  channelBind: 0x009, // RFC 8656 §12
  connect: 0x00a, // RFC 6062 §4.3
  connectionBind: 0x00b, // RFC 6062 §4.3
  connectionAttempt: 0x00c, // RFC 6062 §4.4
} as const

/** A 12-bit number, one of `Method` or somebody else's. */
export type Method = number

const classes = ['request', 'indication', 'success', 'error'] as const satisfies readonly MessageClass[]

/** The 14 bits `M11…M7 C1 M6…M4 C0 M3…M0`. RFC 8489 §5, figure 3 */
export function encodeMessageType(messageClass: MessageClass, method: Method): number {
  const classBits = classes.indexOf(messageClass)
  return (
    ((method & 0xf80) << 2) |
    ((classBits & 0b10) << 7) |
    ((method & 0x070) << 1) |
    ((classBits & 0b01) << 4) |
    (method & 0x00f)
  )
}

export const classOfType = (type: number): MessageClass =>
  classes[((type >> 7) & 0b10) | ((type >> 4) & 0b01)] ?? 'request'

export const methodOfType = (type: number): Method => ((type >> 2) & 0xf80) | ((type >> 1) & 0x070) | (type & 0x00f)
