/** Addresses as the kernel writes them, and as keys. */
import { familyOf, type IpAddress, ipToBytes, bytesToIp, type TransportAddress } from '../../../core/index.ts'
import type { AddressKey } from '../../../proto/turn-server/keys.ts'
import { AF_INET, AF_INET6, sockaddr } from './layout.ts'
import type { Memory } from './memory.ts'

/** A struct sockaddr, ready to be copied: where packets of one run go. */
export interface Destination {
  readonly words: Uint32Array
  readonly length: number
}

export function toDestination({ ip, port }: TransportAddress): Destination {
  const bytes = new Uint8Array(sockaddr.size)
  const length = writeAddress(new DataView(bytes.buffer), 0, ip, port)
  return { words: new Uint32Array(bytes.buffer), length }
}

/** Writes a struct sockaddr and returns its length. */
export function writeAddress(view: DataView, at: number, ip: IpAddress, port: number): number {
  const family = familyOf(ip)
  view.setUint16(at + sockaddr.family, family === 4 ? AF_INET : AF_INET6, true)
  view.setUint16(at + sockaddr.port, port)
  const start = at + (family === 4 ? sockaddr.address4 : sockaddr.address6)
  for (const [index, byte] of ipToBytes(ip).entries()) view.setUint8(start + index, byte)
  return family === 4 ? sockaddr.inet : sockaddr.inet6
}

export function readAddress({ view, bytes }: Memory, at: number): TransportAddress {
  const inet = view.getUint16(at + sockaddr.family, true) === AF_INET
  const start = at + (inet ? sockaddr.address4 : sockaddr.address6)
  return { ip: bytesToIp(bytes.subarray(start, start + (inet ? 4 : 16))), port: view.getUint16(at + sockaddr.port) }
}

/** The key of the address at `at`: for IPv4 without building its text. */
export function readAddressKey(memory: Memory, at: number): AddressKey {
  const { view } = memory
  if (view.getUint16(at, true) === AF_INET) {
    return view.getUint32(at + sockaddr.address4) * 65536 + view.getUint16(at + sockaddr.port)
  }
  const { ip, port } = readAddress(memory, at)
  return `${ip} ${port}`
}

/** The address at `at` as a destination, with its scope. */
export function destinationAt({ view }: Memory, at: number): Destination {
  const inet = view.getUint16(at, true) === AF_INET
  const words = new Uint32Array(sockaddr.size / 4)
  const length = inet ? sockaddr.inet : sockaddr.inet6
  for (let word = 0; word * 4 < length; word++) words[word] = view.getUint32(at + word * 4, true)
  return { words, length }
}
