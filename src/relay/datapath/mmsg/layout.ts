/**
 * Linux's structures as offsets, for the little-endian 64-bit machines (x86-64, arm64) that the mmsg datapath runs on.
 * <sys/socket.h>, <sys/uio.h>, <netinet/in.h>, <linux/udp.h>, <sys/epoll.h>
 */

/** struct mmsghdr: a msghdr of 56 bytes, then how many bytes the message had. */
export const mmsghdr = {
  size: 64,
  name: 0,
  nameLength: 8,
  iov: 16,
  iovLength: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
  length: 56,
} as const

/** struct iovec: where, how long. */
export const iovec = { size: 16, base: 0, length: 8 } as const

/** struct cmsghdr with a payload of up to eight bytes. */
export const cmsg = { space: 24, length: 0, level: 8, type: 12, data: 16, header: 16 } as const

/** struct sock_extended_err of <linux/errqueue.h>. */
export const extendedError = { size: 16, errno: 0, origin: 4, type: 5, code: 6, info: 8 } as const

/** struct sockaddr_in and sockaddr_in6, in room for either. */
export const sockaddr = { size: 32, inet: 16, inet6: 28, family: 0, port: 2, address4: 4, address6: 8 } as const

export const AF_INET = 2
export const AF_INET6 = 10
export const SOCK_DGRAM = 2
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000

export const SOL_SOCKET = 1
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33
export const SO_REUSEPORT = 15
export const IPPROTO_IP = 0
export const IP_MTU_DISCOVER = 10
export const IP_RECVERR = 11
export const IPPROTO_IPV6 = 41
export const IPV6_MTU_DISCOVER = 23
/** DF on every packet, and none that is larger than the path's MTU. The same for both families. */
export const PMTUDISC_DO = 2
export const IPV6_RECVERR = 25
export const IPV6_V6ONLY = 26
export const SOL_UDP = 17
export const UDP_SEGMENT = 103
export const UDP_GRO = 104

export const RLIMIT_NOFILE = 7

export const MSG_DONTWAIT = 0x40
export const MSG_ERRQUEUE = 0x2000

export const EPOLLIN = 1
export const EPOLLERR = 8
export const EPOLL_CTL_ADD = 1
export const EPOLL_CTL_DEL = 2
export const EFD_NONBLOCK = 0o4000

export const errno = {
  EINTR: 4,
  EIO: 5,
  EAGAIN: 11,
  EACCES: 13,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENONET: 64,
  EPROTO: 71,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
} as const

/** The most datagrams in one UDP_SEGMENT send (UDP_MAX_SEGMENTS), and bytes in one IP packet with room for the headers. */
export const MAX_SEGMENTS = 64
export const MAX_SEGMENTED_BYTES: number = 65_535 - 40 - 8
