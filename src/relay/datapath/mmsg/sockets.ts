/** UDP sockets and the epoll set that waits for them. */
import { type AddressFamily, familyOf, type TransportAddress } from '../../../core/index.ts'
import { readAddress, writeAddress } from './destination.ts'
import * as linux from './layout.ts'
import { Memory } from './memory.ts'
import type { System } from './system.ts'

export interface SocketOptions {
  readonly receiveBuffer?: number | undefined
  readonly sendBuffer?: number | undefined
  /** Several threads listen on the same address. */
  readonly reusePort?: boolean | undefined
  /** Let the kernel hand joined datagrams over as they are. */
  readonly gro?: boolean | undefined
  /** Keep what ICMP tells, for `ErrorQueue`. */
  readonly errors?: boolean | undefined
  /** Refuse (EMFILE) when fewer descriptors than these would be left. Default 0. */
  readonly spareDescriptors?: number | undefined
}

export type BoundSocket =
  | { readonly ok: true; readonly fd: number; readonly local: TransportAddress }
  | { readonly ok: false; readonly errno: number }

/** Sockets that one `wait` can tell of. */
export const READY_AT_ONCE = 64
/** struct epoll_event is packed on x86-64 alone. */
const eventSize = process.arch === 'x64' ? 12 : 16
const eventData = process.arch === 'x64' ? 4 : 8

export class Sockets {
  readonly #system: System
  readonly #memory: Memory
  readonly #epoll: number
  readonly #events = 0
  /** Room for a sockaddr and its length, an option's value, an event. */
  readonly #scratch = READY_AT_ONCE * 16

  constructor(system: System) {
    this.#system = system
    this.#memory = new Memory(system, READY_AT_ONCE * 16 + 64)
    this.#epoll = system.epollCreate(0)
  }

  open(address: TransportAddress, options: SocketOptions): BoundSocket {
    const family = familyOf(address.ip)
    const type = linux.SOCK_DGRAM | linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC
    const fd = this.#system.socket(family === 4 ? linux.AF_INET : linux.AF_INET6, type, 0)
    if (fd < 0) return { ok: false, errno: this.#system.errno() }
    // The system gives the lowest free number: all below it are in use.
    if (options.spareDescriptors && fd + options.spareDescriptors >= this.#descriptorLimit()) {
      this.#system.close(fd)
      return { ok: false, errno: linux.errno.EMFILE }
    }
    if (family === 6) this.#set(fd, linux.IPPROTO_IPV6, linux.IPV6_V6ONLY, 1)
    if (options.reusePort) this.#set(fd, linux.SOL_SOCKET, linux.SO_REUSEPORT, 1)
    // Beyond net.core.rmem_max, which is some 500 small packets on most machines, only CAP_NET_ADMIN gets.
    if (options.receiveBuffer) this.#setFirst(fd, [linux.SO_RCVBUFFORCE, linux.SO_RCVBUF], options.receiveBuffer)
    if (options.sendBuffer) this.#setFirst(fd, [linux.SO_SNDBUFFORCE, linux.SO_SNDBUF], options.sendBuffer)
    if (options.errors && family === 4) this.#set(fd, linux.IPPROTO_IP, linux.IP_RECVERR, 1)
    if (options.errors && family === 6) this.#set(fd, linux.IPPROTO_IPV6, linux.IPV6_RECVERR, 1)
    if (options.gro) this.#set(fd, linux.SOL_UDP, linux.UDP_GRO, 1)
    const { view, base } = this.#memory
    const length = writeAddress(view, this.#scratch, address.ip, address.port)
    if (this.#system.bind(fd, base + this.#scratch, length) < 0) {
      const errno = this.#system.errno()
      this.#system.close(fd)
      return { ok: false, errno }
    }
    return { ok: true, fd, local: this.#nameOf(fd) }
  }

  /** `tag` is what `wait` tells when there is something to read. */
  watch(fd: number, tag: number): boolean {
    const { view, base } = this.#memory
    view.setUint32(this.#scratch, linux.EPOLLIN, true)
    view.setUint32(this.#scratch + eventData, tag, true)
    view.setUint32(this.#scratch + eventData + 4, 0, true)
    return this.#system.epollCtl(this.#epoll, linux.EPOLL_CTL_ADD, fd, base + this.#scratch) === 0
  }

  /** Also takes it out of the set. */
  close(fd: number): void {
    this.#system.close(fd)
  }

  /** Does `work` while datagrams of this socket leave with DF set, whole or not at all. */
  withoutFragments(fd: number, family: AddressFamily, work: () => void): void {
    const { IPPROTO_IP, IPPROTO_IPV6, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO } = linux
    const [level, name] = family === 4 ? [IPPROTO_IP, IP_MTU_DISCOVER] : [IPPROTO_IPV6, IPV6_MTU_DISCOVER]
    // What it was before depends on the system's settings (net.ipv4.ip_no_pmtu_disc).
    const before = this.#get(fd, level, name)
    this.#set(fd, level, name, PMTUDISC_DO)
    work()
    this.#set(fd, level, name, before)
  }

  /** Waits until sockets are readable; returns how many, to be asked for with `tagAt`. */
  wait(timeoutMs: number): number {
    return this.#system.epollWait(this.#epoll, this.#memory.base + this.#events, READY_AT_ONCE, timeoutMs)
  }

  tagAt(index: number): number {
    return this.#memory.view.getUint32(this.#events + index * eventSize + eventData, true)
  }

  /** Whether the socket has errors to be taken: it is not quiet before they are. */
  failedAt(index: number): boolean {
    return (this.#memory.view.getUint32(this.#events + index * eventSize, true) & linux.EPOLLERR) !== 0
  }

  end(): void {
    this.#system.close(this.#epoll)
  }

  /** Asked each time, for it may be changed from outside (prlimit). */
  #descriptorLimit(): number {
    const { view, base } = this.#memory
    const failed = this.#system.getrlimit(linux.RLIMIT_NOFILE, base + this.#scratch) !== 0
    // Its upper half is 0 unless there is no limit.
    return failed || view.getUint32(this.#scratch + 4, true) !== 0
      ? Number.POSITIVE_INFINITY
      : view.getUint32(this.#scratch, true)
  }

  #nameOf(fd: number): TransportAddress {
    const { view, base } = this.#memory
    const lengthAt = this.#scratch + linux.sockaddr.size
    view.setUint32(lengthAt, linux.sockaddr.size, true)
    this.#system.getsockname(fd, base + this.#scratch, base + lengthAt)
    return readAddress(this.#memory, this.#scratch)
  }

  /** The first of these options that we are allowed to set. */
  #setFirst(fd: number, names: readonly number[], value: number): void {
    names.some((name) => this.#set(fd, linux.SOL_SOCKET, name, value))
  }

  #get(fd: number, level: number, name: number): number {
    const { view, base } = this.#memory
    view.setInt32(this.#scratch, 0, true)
    view.setUint32(this.#scratch + 4, 4, true)
    this.#system.getsockopt(fd, level, name, base + this.#scratch, base + this.#scratch + 4)
    return view.getInt32(this.#scratch, true)
  }

  /** A refusal changes nothing that matters: a buffer stays smaller, datagrams stay single. */
  #set(fd: number, level: number, name: number, value: number): boolean {
    const { view, base } = this.#memory
    view.setInt32(this.#scratch, value, true)
    return this.#system.setsockopt(fd, level, name, base + this.#scratch, 4) === 0
  }
}
