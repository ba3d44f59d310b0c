/**
 * A TUN device: packets that the kernel routes to it are read here, and what is written here the kernel takes as
 * received. Linux only; needs CAP_NET_ADMIN and the optional package koffi, since Node has no ioctl.
 */
import { closeSync, constants, openSync } from 'node:fs'
import { NatcheckError } from '../../core/index.ts'

export interface TunDevice {
  /** The interface's name, as the kernel gave it. It is down, without addresses or routes: that is ip(8)'s work. */
  readonly name: string
  /** Hands one IP packet to the kernel. false: it was refused (device down, malformed packet). */
  write(packet: Uint8Array): boolean
  /** Removes the device. Resolves when nothing is read any more. Safe to call twice. */
  close(): Promise<void>
}

export interface TunHandlers {
  /** One IP packet; the bytes are the handler's to keep. */
  onPacket(packet: Uint8Array): void
  /** The device is gone, and not by `close`: somebody removed it. */
  onGone?(): void
}

// <linux/if_tun.h>, <linux/if.h>, <poll.h>: the numbers, and the little-endian order, of every architecture that koffi
// is built for.
const TUNSETIFF = 0x400454ca
const IFF_TUN_NO_PI = 0x1001
const IFNAMSIZ = 16
const POLLIN = 1
/** The largest IP packet there is: a read never cuts one short, whatever the MTU. */
const LARGEST_PACKET = 65_535
/** Packets read in one turn of the event loop before others get theirs. */
const BURST = 64

/** Opens (and so creates) a TUN device in the network namespace of this process. Rejects with UNSUPPORTED or PERMISSION_DENIED. */
export async function openTun(name: string, handlers: TunHandlers): Promise<TunDevice> {
  const system = await loadSystem()
  const fd = openCloneDevice()
  let device: KernelTun
  try {
    device = new KernelTun(system, fd, attach(system, fd, name), handlers)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  device.listen()
  return device
}

/** The system calls that Node lacks. */
interface System {
  ioctl(fd: number, request: number, type: 'void *', argument: Uint8Array): number
  read(fd: number, buffer: Uint8Array, size: number): number
  write(fd: number, buffer: Uint8Array, size: number): number
  eventfd(initial: number, flags: number): number
  readonly poll: {
    async(fds: Uint8Array, count: number, timeoutMs: number, done: (error: Error | null, ready: number) => void): void
  }
  errno(): number
}

async function loadSystem(): Promise<System> {
  if (process.platform !== 'linux') {
    throw new NatcheckError('UNSUPPORTED', `TUN devices are a matter of Linux, this is ${process.platform}`, {
      fix: 'Use the virtual network, which has the same NAT.',
    })
  }
  const koffi = await import('koffi').catch((cause: unknown) => {
    throw new NatcheckError('UNSUPPORTED', 'a TUN device needs the package koffi, which is not installed', {
      fix: 'Run: npm install koffi',
      cause,
    })
  })
  // The process itself: Node is linked with libc, whichever one that is.
  const libc = koffi.load(null)
  return {
    ioctl: libc.func('int ioctl(int fd, unsigned long request, ...)'),
    read: libc.func('long read(int fd, void *buffer, size_t size)'),
    write: libc.func('long write(int fd, const void *buffer, size_t size)'),
    eventfd: libc.func('int eventfd(unsigned int initial, int flags)'),
    poll: libc.func('int poll(void *fds, unsigned long count, int timeout)'),
    errno: () => koffi.errno(),
  }
}

function openCloneDevice(): number {
  try {
    return openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'EACCES' || code === 'EPERM') throw denied(cause)
    throw new NatcheckError('UNSUPPORTED', 'this machine has no /dev/net/tun', { fix: 'Run: modprobe tun', cause })
  }
}

const denied = (cause?: unknown): NatcheckError =>
  new NatcheckError('PERMISSION_DENIED', 'may not make a TUN device', {
    fix: 'Run as root, or with CAP_NET_ADMIN.',
    cause,
  })

/** Gives the file descriptor its interface; returns the interface's name. */
function attach(system: System, fd: number, name: string): string {
  if (!/^[\w.%-]{1,15}$/.test(name)) throw new NatcheckError('USAGE', `${name} is no interface name`)
  const request = Buffer.alloc(64) // struct ifreq: 40 bytes where pointers have 8
  request.write(name)
  request.writeUInt16LE(IFF_TUN_NO_PI, IFNAMSIZ)
  if (system.ioctl(fd, TUNSETIFF, 'void *', request) === 0) {
    return request.toString('latin1', 0, request.indexOf(0))
  }
  const errno = system.errno()
  if (errno === 1) throw denied()
  if (errno === 16) throw new NatcheckError('ADDRESS_IN_USE', `the interface ${name} is in use`)
  throw new NatcheckError('UNSUPPORTED', `the kernel made no TUN device (errno ${errno})`)
}

class KernelTun implements TunDevice {
  readonly name: string
  readonly #system: System
  readonly #fd: number
  readonly #wakeFd: number
  readonly #handlers: TunHandlers
  /** struct pollfd[2]. Larger than needed, so that V8 keeps it outside its heap, where nothing moves it during poll. */
  readonly #pollFds = Buffer.alloc(4096)
  readonly #buffer = Buffer.alloc(LARGEST_PACKET)
  #closing = false
  readonly #closed: Promise<void>
  #settleClosed: () => void = () => undefined

  constructor(system: System, fd: number, name: string, handlers: TunHandlers) {
    this.name = name
    this.#system = system
    this.#fd = fd
    this.#handlers = handlers
    this.#wakeFd = system.eventfd(0, 0)
    this.#closed = new Promise((resolve) => {
      this.#settleClosed = resolve
    })
  }

  /**
   * One poll waits on a koffi worker thread until there is something to read: nothing spins, and the event loop stays
   * free. A blocking read would do for that, but no close would end it; poll also watches an eventfd that close writes to.
   */
  listen(): void {
    this.#pollFds.writeInt32LE(this.#fd, 0)
    this.#pollFds.writeInt32LE(POLLIN, 4)
    this.#pollFds.writeInt32LE(this.#wakeFd, 8)
    this.#pollFds.writeInt32LE(POLLIN, 12)
    this.#system.poll.async(this.#pollFds, 2, -1, () => {
      // The upper half of the second word is what happened, revents. poll fails only when a signal interrupts it.
      const happened = this.#pollFds.readInt16LE(6)
      if (this.#closing) this.#release()
      else if ((happened & ~POLLIN) !== 0) this.#gone()
      else {
        if (happened === POLLIN) this.#readBurst()
        if (this.#closing) this.#release()
        else this.listen()
      }
    })
  }

  write(packet: Uint8Array): boolean {
    return !this.#closing && this.#system.write(this.#fd, packet, packet.length) === packet.length
  }

  async close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true
      const one = Buffer.alloc(8)
      one.writeUInt8(1)
      this.#system.write(this.#wakeFd, one, 8)
    }
    await this.#closed
  }

  #readBurst(): void {
    for (let count = 0; count < BURST && !this.#closing; count++) {
      const length = this.#system.read(this.#fd, this.#buffer, LARGEST_PACKET)
      if (length <= 0) return
      this.#handlers.onPacket(Uint8Array.from(this.#buffer.subarray(0, length)))
    }
  }

  #gone(): void {
    this.#closing = true
    this.#release()
    this.#handlers.onGone?.()
  }

  #release(): void {
    closeSync(this.#fd)
    closeSync(this.#wakeFd)
    this.#settleClosed()
  }
}
