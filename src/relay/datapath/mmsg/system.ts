/** The system calls that Node lacks, through koffi. Memory is handed over as addresses: plain numbers, below 2^48. */
import { NatcheckError } from '../../../core/index.ts'

export interface System {
  /** Of the first byte of `memory`, which must never be collected while the kernel may use it. */
  addressOf(memory: Uint8Array): number
  socket(family: number, type: number, protocol: number): number
  bind(fd: number, address: number, length: number): number
  getsockname(fd: number, address: number, length: number): number
  setsockopt(fd: number, level: number, name: number, value: number, length: number): number
  /** `length`: where the length stands, which is read and written. */
  getsockopt(fd: number, level: number, name: number, value: number, length: number): number
  recvmmsg(fd: number, messages: number, count: number, flags: number, timeout: number): number
  sendmmsg(fd: number, messages: number, count: number, flags: number): number
  epollCreate(flags: number): number
  epollCtl(epoll: number, operation: number, fd: number, event: number): number
  epollWait(epoll: number, events: number, count: number, timeoutMs: number): number
  eventfd(initial: number, flags: number): number
  /** `limits`: room for a struct rlimit, 16 bytes. */
  getrlimit(resource: number, limits: number): number
  read(fd: number, buffer: number, size: number): number
  write(fd: number, buffer: number, size: number): number
  close(fd: number): number
  usleep(microseconds: number): number
  /** Of the last call that returned −1. */
  errno(): number
}

/** Rejects with UNSUPPORTED where the mmsg datapath can't run; the message says why. */
export async function loadSystem(): Promise<System> {
  if (process.platform !== 'linux') throw unsupported(`is a matter of Linux, this is ${process.platform}`)
  if (process.arch !== 'x64' && process.arch !== 'arm64') throw unsupported(`knows x64 and arm64, not ${process.arch}`)
  const koffi = await import('koffi').catch((cause: unknown) => {
    throw unsupported('needs the package koffi, which is not installed', 'run: npm install koffi', cause)
  })
  // The process itself: Node is linked with libc, whichever one that is.
  const libc = koffi.load(null)
  return {
    addressOf: (memory) => Number(koffi.address(memory)),
    socket: libc.func('int socket(int family, int type, int protocol)'),
    bind: libc.func('int bind(int fd, uintptr_t address, uint32_t length)'),
    getsockname: libc.func('int getsockname(int fd, uintptr_t address, uintptr_t length)'),
    setsockopt: libc.func('int setsockopt(int fd, int level, int name, uintptr_t value, uint32_t length)'),
    getsockopt: libc.func('int getsockopt(int fd, int level, int name, uintptr_t value, uintptr_t length)'),
    recvmmsg: libc.func('int recvmmsg(int fd, uintptr_t messages, uint32_t count, int flags, uintptr_t timeout)'),
    sendmmsg: libc.func('int sendmmsg(int fd, uintptr_t messages, uint32_t count, int flags)'),
    epollCreate: libc.func('int epoll_create1(int flags)'),
    epollCtl: libc.func('int epoll_ctl(int epoll, int operation, int fd, uintptr_t event)'),
    epollWait: libc.func('int epoll_wait(int epoll, uintptr_t events, int count, int timeout)'),
    eventfd: libc.func('int eventfd(uint32_t initial, int flags)'),
    getrlimit: libc.func('int getrlimit(int resource, uintptr_t limits)'),
    read: libc.func('long read(int fd, uintptr_t buffer, size_t size)'),
    write: libc.func('long write(int fd, uintptr_t buffer, size_t size)'),
    close: libc.func('int close(int fd)'),
    usleep: libc.func('int usleep(uint32_t microseconds)'),
    errno: () => koffi.errno(),
  }
}

const unsupported = (why: string, fix = 'use the dgram datapath', cause?: unknown): NatcheckError =>
  new NatcheckError('UNSUPPORTED', `the mmsg datapath ${why}`, { fix, cause })
