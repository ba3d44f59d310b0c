/** The NAT model on a real network: a TUN device inside a network namespace (Linux, root, koffi). */
export * from './device.ts'
export * from './packet.ts'
export * from './tun-nat.ts'
