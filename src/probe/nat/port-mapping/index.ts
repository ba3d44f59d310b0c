/** What the router says of its own WAN address, by UPnP IGD, NAT-PMP and PCP: asked read-only, and analysed. */
export * from './observation.ts'
export * from './query.ts'
export * from './wan.ts'
