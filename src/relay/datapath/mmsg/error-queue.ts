/** What ICMP told of datagrams that a socket sent: the kernel keeps it in a queue beside the socket (IP_RECVERR). */
import { sameAddress, type TransportAddress } from '../../../core/index.ts'
import type { IcmpError } from '../../../wire/index.ts'
import { readAddress } from './destination.ts'
import {
  AF_INET,
  AF_INET6,
  cmsg,
  errno,
  extendedError,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVERR,
  mmsghdr,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  sockaddr,
} from './layout.ts'
import { Memory } from './memory.ts'
import type { System } from './system.ts'

export interface PeerError {
  /** Where the datagram was going. Port 0: the kernel refused to send it, and does not say where to. */
  readonly peer: TransportAddress
  readonly icmp: IcmpError
}

/** Errors taken in one call: packets get their turn, and epoll tells of the rest. */
const AT_ONCE = 16
/** The error with the address of who sent it, and as much again for what the kernel may add one day. */
const CONTROL = 128

const Origin = { local: 1, icmp: 2, icmp6: 3 } as const

export class ErrorQueue {
  readonly #system: System
  readonly #memory: Memory
  readonly #names = AT_ONCE * mmsghdr.size
  readonly #controls = AT_ONCE * (mmsghdr.size + sockaddr.size)

  constructor(system: System) {
    this.#system = system
    this.#memory = new Memory(system, AT_ONCE * (mmsghdr.size + sockaddr.size + CONTROL))
  }

  /**
   * Takes some errors of this socket, and with them the pending one that its next call would have failed with. Of equal
   * ones that follow each other, as many datagrams to a closed port cause, one.
   */
  take(fd: number): PeerError[] {
    const { base, view } = this.#memory
    for (let index = 0; index < AT_ONCE; index++) {
      const header = index * mmsghdr.size
      this.#memory.pointer(header + mmsghdr.name, base + this.#nameOf(index))
      view.setUint32(header + mmsghdr.nameLength, sockaddr.size, true)
      // The datagram itself comes back too; without an iovec none of it is copied.
      view.setUint32(header + mmsghdr.iovLength, 0, true)
      this.#memory.pointer(header + mmsghdr.control, base + this.#controlOf(index))
      view.setUint32(header + mmsghdr.controlLength, CONTROL, true)
    }
    const count = this.#system.recvmmsg(fd, base, AT_ONCE, MSG_ERRQUEUE | MSG_DONTWAIT, 0)
    const errors: PeerError[] = []
    for (let index = 0; index < count; index++) {
      const length = view.getUint32(index * mmsghdr.size + mmsghdr.controlLength, true)
      const error = readPeerError(this.#memory, this.#nameOf(index), this.#controlOf(index), Math.min(length, CONTROL))
      if (error && !isSame(error, errors.at(-1))) errors.push(error)
    }
    return errors
  }

  #nameOf(index: number): number {
    return this.#names + index * sockaddr.size
  }

  #controlOf(index: number): number {
    return this.#controls + index * CONTROL
  }
}

/** The error among `length` bytes of control messages; undefined when there is none that a TURN client is told of. */
export function readPeerError(memory: Memory, name: number, control: number, length: number): PeerError | undefined {
  const { view } = memory
  const family = view.getUint16(name, true)
  if (family !== AF_INET && family !== AF_INET6) return undefined
  const [level, type] = family === AF_INET ? [IPPROTO_IP, IP_RECVERR] : [IPPROTO_IPV6, IPV6_RECVERR]
  for (let at = control; at + cmsg.header <= control + length; ) {
    // The upper half of the length is 0 in anything of this size.
    const size = view.getUint32(at + cmsg.length, true)
    if (size < cmsg.header || at + size > control + length) return undefined
    const isError = view.getUint32(at + cmsg.level, true) === level && view.getUint32(at + cmsg.type, true) === type
    if (isError && size >= cmsg.header + extendedError.size) {
      const icmp = readIcmp(view, at + cmsg.data, family === AF_INET)
      return icmp && { peer: readAddress(memory, name), icmp }
    }
    at += Math.ceil(size / 8) * 8
  }
  return undefined
}

const isSame = (one: PeerError, other: PeerError | undefined): boolean =>
  other !== undefined &&
  sameAddress(one.peer, other.peer) &&
  one.icmp.type === other.icmp.type &&
  one.icmp.code === other.icmp.code &&
  one.icmp.data === other.icmp.data

/** RFC 8656 §11.5: destination unreachable and time exceeded, of ICMPv6 packet too big also. */
function readIcmp(view: DataView, at: number, inet: boolean): IcmpError | undefined {
  const origin = view.getUint8(at + extendedError.origin)
  const type = view.getUint8(at + extendedError.type)
  const code = view.getUint8(at + extendedError.code)
  const info = view.getUint32(at + extendedError.info, true)
  const tooBig = inet ? { type: 3, code: 4 } : { type: 2, code: 0 }
  if (origin === Origin.local) {
    // The kernel knows that the path takes no packet of this size, and answers in the router's place.
    return view.getUint32(at + extendedError.errno, true) === errno.EMSGSIZE ? { ...tooBig, data: info } : undefined
  }
  if (origin !== (inet ? Origin.icmp : Origin.icmp6)) return undefined
  if (!(inet ? type === 3 || type === 11 : type >= 1 && type <= 3)) return undefined
  return { type, code, data: type === tooBig.type && code === tooBig.code ? info : 0 }
}
