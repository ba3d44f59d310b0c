/**
 * Datagrams in batches: received by recvmmsg into slots of one block of memory, sent from the same slots by sendmmsg, and
 * equal-sized ones that follow each other to one destination as a single message that the kernel cuts up (UDP_SEGMENT).
 */
import type { Destination } from './destination.ts'
import { cmsg, errno, iovec, MAX_SEGMENTED_BYTES, MAX_SEGMENTS, MSG_DONTWAIT, mmsghdr, sockaddr } from './layout.ts'
import { SOL_UDP, UDP_GRO, UDP_SEGMENT } from './layout.ts'
import { Memory } from './memory.ts'
import type { System } from './system.ts'

/** Datagrams received before they have to be sent. */
const SLOTS = 128
/** Datagrams taken from one socket in one call: others get their turn. */
export const RECEIVE_AT_ONCE = 64
/** Room before a datagram, where the ChannelData header goes. */
const LEAD = 4
/** No UDP datagram is larger. */
const LARGEST = 65_536
/**
 * The largest datagram, with room for the lead. Not a multiple of 4096: slots a whole number of pages apart would fight
 * for the same lines of the cache.
 */
const STRIDE = LARGEST + 17 * 64
/** With GRO one slot holds up to 64 datagrams. */
const ENTRIES = 1024
const SENDS = 64
const HEADER = 4

/** What the kernel makes of ICMP errors (icmp_err_convert, icmpv6_err_convert). */
const icmpErrors: ReadonlySet<number> = new Set([
  errno.EACCES,
  errno.ENONET,
  errno.EPROTO,
  errno.EMSGSIZE,
  errno.ENOPROTOOPT,
  errno.EOPNOTSUPP,
  errno.ENETUNREACH,
  errno.ECONNREFUSED,
  errno.EHOSTDOWN,
  errno.EHOSTUNREACH,
])

/** A socket's datagrams that wait to be sent, as a list of entries. */
export class Outbox {
  readonly fd: number
  head = -1
  tail = -1
  /** Sizes from here on don't go through UDP_SEGMENT: the kernel said so. */
  segmentLimit: number

  constructor(fd: number, segmentation: boolean) {
    this.fd = fd
    this.segmentLimit = segmentation ? MAX_SEGMENTED_BYTES : 0
  }
}

export class Batch {
  readonly memory: Memory
  /** Datagrams that the kernel did not take. */
  dropped = 0
  /** Datagrams that have arrived, joined ones counted as one. */
  received = 0
  readonly #system: System
  readonly #receiveHeaders: number
  readonly #receiveNames: number
  readonly #receiveControls: number
  readonly #copy: number
  readonly #data: number
  readonly #sendHeaders: number
  readonly #sendIovs: number
  readonly #sendNames: number
  readonly #sendControls: number
  readonly #channelHeaders: number
  #filled = 0

  #entries = 0
  readonly #offsets = new Int32Array(ENTRIES)
  readonly #lengths = new Int32Array(ENTRIES)
  /** Where a header stands that is sent before the bytes; 0: none, or it is part of them. */
  readonly #headers = new Int32Array(ENTRIES)
  readonly #next = new Int32Array(ENTRIES)
  readonly #destinations: (Destination | undefined)[] = Array.from({ length: ENTRIES })
  readonly #waiting: Outbox[] = []
  /** The first entry of each message, to find it again when the kernel refuses the message. */
  readonly #firstEntries = new Int32Array(SENDS)
  readonly #counts = new Int32Array(SENDS)

  constructor(system: System) {
    this.#system = system
    let size = 64 // nothing is at offset 0
    const take = (count: number, each: number): number => {
      const at = size
      size += Math.ceil((count * each) / 64) * 64
      return at
    }
    this.#receiveHeaders = take(SLOTS, mmsghdr.size)
    const receiveIovs = take(SLOTS, iovec.size)
    this.#receiveNames = take(SLOTS, sockaddr.size)
    this.#receiveControls = take(SLOTS, cmsg.space)
    this.#sendHeaders = take(SENDS + 1, mmsghdr.size)
    // An entry takes two at most: its header and its bytes. The last message, with two more, is for single datagrams.
    this.#sendIovs = take(ENTRIES * 2 + 2, iovec.size)
    this.#sendNames = take(SENDS + 1, sockaddr.size)
    this.#sendControls = take(SENDS + 1, cmsg.space)
    this.#channelHeaders = take(ENTRIES, HEADER)
    this.#copy = take(1, LARGEST)
    this.#data = take(SLOTS, STRIDE)
    this.memory = new Memory(system, size)
    const { memory } = this
    for (let slot = 0; slot < SLOTS; slot++) {
      const header = this.#receiveHeaders + slot * mmsghdr.size
      const iov = receiveIovs + slot * iovec.size
      memory.pointer(header + mmsghdr.name, memory.base + this.nameOf(slot))
      memory.pointer(header + mmsghdr.iov, memory.base + iov)
      memory.view.setUint32(header + mmsghdr.iovLength, 1, true)
      memory.pointer(header + mmsghdr.control, memory.base + this.#receiveControls + slot * cmsg.space)
      this.#reset(slot)
      memory.pointer(iov + iovec.base, memory.base + this.offsetOf(slot))
      memory.view.setUint32(iov + iovec.length, LARGEST, true)
    }
    for (let send = 0; send <= SENDS; send++) {
      const header = this.#sendHeaders + send * mmsghdr.size
      const control = this.#sendControls + send * cmsg.space
      memory.pointer(header + mmsghdr.name, memory.base + this.#sendNames + send * sockaddr.size)
      memory.pointer(header + mmsghdr.control, memory.base + control)
      memory.view.setUint32(control + cmsg.length, cmsg.header + 2, true)
      memory.view.setUint32(control + cmsg.level, SOL_UDP, true)
      memory.view.setUint32(control + cmsg.type, UDP_SEGMENT, true)
    }
  }

  /** Where a slot's datagram begins. LEAD bytes before it are free. */
  offsetOf(slot: number): number {
    return this.#data + slot * STRIDE + LEAD
  }

  /** Where the address stands that a slot's datagram came from. */
  nameOf(slot: number): number {
    return this.#receiveNames + slot * sockaddr.size
  }

  lengthOf(slot: number): number {
    return this.memory.view.getUint32(this.#receiveHeaders + slot * mmsghdr.size + mmsghdr.length, true)
  }

  /** The size of the datagrams that the kernel joined in this slot (UDP_GRO); the last may be shorter. 0: it is one. */
  segmentOf(slot: number): number {
    const { view } = this.memory
    if (view.getUint32(this.#receiveHeaders + slot * mmsghdr.size + mmsghdr.controlLength, true) === 0) return 0
    const control = this.#receiveControls + slot * cmsg.space
    if (view.getUint32(control + cmsg.level, true) !== SOL_UDP) return 0
    return view.getUint32(control + cmsg.type, true) === UDP_GRO ? view.getUint32(control + cmsg.data, true) : 0
  }

  /** The slot that the next `receive` begins with. */
  get filled(): number {
    return this.#filled
  }

  /**
   * Takes what has arrived, `most` datagrams of it, into the slots from `filled` on. Returns how many; 0: none, or an
   * error of the socket.
   */
  receive(fd: number, most: number): number {
    const count = Math.min(most, this.room)
    const first = this.#receiveHeaders + this.#filled * mmsghdr.size
    const received = this.#system.recvmmsg(fd, this.memory.base + first, count, MSG_DONTWAIT, 0)
    if (received <= 0) return 0
    this.#filled += received
    this.received += received
    return received
  }

  /** Room for an address and for UDP_GRO's word, which the kernel has replaced by what it wrote. */
  #reset(slot: number): void {
    const { view } = this.memory
    const header = this.#receiveHeaders + slot * mmsghdr.size
    view.setUint32(header + mmsghdr.nameLength, sockaddr.size, true)
    view.setUint32(header + mmsghdr.controlLength, cmsg.space, true)
  }

  /** How many datagrams `receive` could take. */
  get room(): number {
    return SLOTS - this.#filled
  }

  /** Queues bytes of a slot. They must not change until `flush`. */
  enqueue(outbox: Outbox, destination: Destination, offset: number, length: number): void {
    this.#push(outbox, destination, offset, length, 0)
  }

  /** Queues bytes with a ChannelData header before them that is written elsewhere: for datagrams that the kernel joined. */
  enqueueChannelData(outbox: Outbox, destination: Destination, offset: number, length: number, channel: number): void {
    if (this.#entries === ENTRIES) this.send()
    const header = this.#channelHeaders + this.#entries * HEADER
    this.memory.view.setUint16(header, channel)
    this.memory.view.setUint16(header + 2, length)
    this.#push(outbox, destination, offset, length, header)
  }

  #push(outbox: Outbox, destination: Destination, offset: number, length: number, header: number): void {
    if (this.#entries === ENTRIES) this.send()
    const entry = this.#entries++
    this.#offsets[entry] = offset
    this.#lengths[entry] = length
    this.#headers[entry] = header
    this.#next[entry] = -1
    this.#destinations[entry] = destination
    if (outbox.head < 0) {
      outbox.head = entry
      this.#waiting.push(outbox)
    } else this.#next[outbox.tail] = entry
    outbox.tail = entry
  }

  /** Sends all that is queued; the slots are free again. */
  flush(): void {
    if (this.#entries > 0) this.send()
    for (let slot = 0; slot < this.#filled; slot++) this.#reset(slot)
    this.#filled = 0
  }

  /** Sends all that is queued; what was received stays. */
  send(): void {
    for (const outbox of this.#waiting) {
      for (let entry = outbox.head; entry >= 0; ) entry = this.#sendSome(outbox, entry)
      outbox.head = -1
    }
    this.#waiting.length = 0
    this.#entries = 0
  }

  /** Sends what one call can hold, beginning with `first`. Returns the entry that is next. */
  #sendSome(outbox: Outbox, first: number): number {
    let entry = first
    let messages = 0
    let iov = this.#sendIovs
    while (entry >= 0 && messages < SENDS) {
      const start = entry
      const firstIov = iov
      const size = this.#sizeOf(start)
      const destination = this.#destinations[start]
      let count = 0
      let total = 0
      let last = size
      // A shorter one ends the run, and an empty one would get lost in it.
      do {
        const length = this.#lengths[entry] ?? 0
        const header = this.#headers[entry] ?? 0
        if (header !== 0) {
          this.#writeIov(iov, header, HEADER)
          iov += iovec.size
          last = length + HEADER
        } else last = length
        this.#writeIov(iov, this.#offsets[entry] ?? 0, length)
        iov += iovec.size
        total += last
        count++
        entry = this.#next[entry] ?? -1
      } while (
        entry >= 0 &&
        size < outbox.segmentLimit &&
        last === size &&
        count < MAX_SEGMENTS &&
        this.#destinations[entry] === destination &&
        this.#fits(this.#sizeOf(entry), size, total)
      )
      this.#firstEntries[messages] = start
      this.#counts[messages] = count
      this.#writeMessage(messages++, destination, firstIov, (iov - firstIov) / iovec.size, count > 1 ? size : 0)
    }
    this.#submit(outbox, messages)
    return entry
  }

  #fits(next: number, size: number, total: number): boolean {
    return next > 0 && next <= size && total + next <= MAX_SEGMENTED_BYTES
  }

  #sizeOf(entry: number): number {
    return (this.#lengths[entry] ?? 0) + ((this.#headers[entry] ?? 0) === 0 ? 0 : HEADER)
  }

  #writeIov(at: number, offset: number, length: number): void {
    this.memory.pointer(at + iovec.base, this.memory.base + offset)
    this.memory.view.setUint32(at + iovec.length, length, true)
  }

  #writeMessage(index: number, to: Destination | undefined, iov: number, iovs: number, segment: number): void {
    if (to === undefined) return
    const { view } = this.memory
    const header = this.#sendHeaders + index * mmsghdr.size
    const name = this.#sendNames + index * sockaddr.size
    const { words, length } = to
    for (let word = 0; word * 4 < length; word++) view.setUint32(name + word * 4, words[word] ?? 0, true)
    view.setUint32(header + mmsghdr.nameLength, length, true)
    this.memory.pointer(header + mmsghdr.iov, this.memory.base + iov)
    view.setUint32(header + mmsghdr.iovLength, iovs, true)
    view.setUint32(header + mmsghdr.controlLength, segment === 0 ? 0 : cmsg.space, true)
    if (segment !== 0) view.setUint16(this.#sendControls + index * cmsg.space + cmsg.data, segment, true)
  }

  #submit(outbox: Outbox, messages: number): void {
    let retried = -1
    for (let done = 0; done < messages; ) {
      const at = this.memory.base + this.#sendHeaders + done * mmsghdr.size
      const sent = this.#system.sendmmsg(outbox.fd, at, messages - done, MSG_DONTWAIT)
      const why = sent > 0 ? 0 : this.#system.errno()
      if (sent > 0) done += sent
      else if (retried !== done && isPassing(why)) retried = done
      else if (why !== errno.EINTR) this.#refused(outbox, done++, why)
    }
  }

  /** The kernel did not take a message: segmented ones are tried once more, one datagram each. */
  #refused(outbox: Outbox, message: number, why: number): void {
    const count = this.#counts[message] ?? 0
    // EAGAIN, ENOBUFS: there is no room. UDP may lose packets, and waiting would lose others.
    if (count === 1 || why === errno.EAGAIN || why === errno.ENOBUFS) {
      this.dropped += count
      return
    }
    let entry = this.#firstEntries[message] ?? 0
    // EIO: the device can't checksum. EINVAL, EMSGSIZE: more than the path's MTU can't be segmented.
    if (why === errno.EIO) outbox.segmentLimit = 0
    else if (why === errno.EINVAL || why === errno.EMSGSIZE) outbox.segmentLimit = this.#sizeOf(entry)
    for (let i = 0; i < count; i++) {
      this.#sendAlone(outbox, entry)
      entry = this.#next[entry] ?? -1
    }
  }

  #sendAlone(outbox: Outbox, entry: number): void {
    const length = this.#lengths[entry] ?? 0
    const header = this.#headers[entry] ?? 0
    let iov = this.#sendIovs + ENTRIES * 2 * iovec.size
    if (header !== 0) {
      this.#writeIov(iov, header, HEADER)
      iov += iovec.size
    }
    this.#writeIov(iov, this.#offsets[entry] ?? 0, length)
    this.#sendSpare(outbox, this.#destinations[entry], header === 0 ? 1 : 2)
  }

  /** Sends a copy of `bytes` at once, before all that is queued. */
  sendNow(outbox: Outbox, destination: Destination, bytes: Uint8Array): void {
    if (bytes.length > LARGEST) return void this.dropped++
    this.memory.bytes.set(bytes, this.#copy)
    this.#writeIov(this.#sendIovs + ENTRIES * 2 * iovec.size, this.#copy, bytes.length)
    this.#sendSpare(outbox, destination, 1)
  }

  #sendSpare(outbox: Outbox, destination: Destination | undefined, iovs: number): void {
    this.#writeMessage(SENDS, destination, this.#sendIovs + ENTRIES * 2 * iovec.size, iovs, 0)
    const at = this.memory.base + this.#sendHeaders + SENDS * mmsghdr.size
    if (this.#system.sendmmsg(outbox.fd, at, 1, MSG_DONTWAIT) === 1) return
    if (isPassing(this.#system.errno()) && this.#system.sendmmsg(outbox.fd, at, 1, MSG_DONTWAIT) === 1) return
    this.dropped++
  }
}

/**
 * Whether the same call may succeed now: it was interrupted, or it failed for what ICMP told of an earlier datagram, which
 * a socket with IP_RECVERR tells once.
 */
const isPassing = (word: number): boolean => word === errno.EINTR || icmpErrors.has(word)
