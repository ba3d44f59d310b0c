#!/usr/bin/env node
// Runs the lab's NAT on a TUN device: node tun-nat-main.mjs '{"device":"nat0","behavior":{…},"externalIps":[…],
// "internal":["192.168.77.0/24"],"seed":1}'. Prints `ready <device>`; SIGTERM ends it and prints its counters.
import { BlockList, isIPv6 } from 'node:net'
import { performance } from 'node:perf_hooks'
import { SeededRandom } from '../../dist/lab/random.js'
import { startTunNat } from '../../dist/lab/tun/tun-nat.js'

const { device, behavior, externalIps, internal, seed } = JSON.parse(process.argv[2] ?? '')
const inside = new BlockList()
for (const range of internal) {
  const [network, prefix] = range.split('/')
  inside.addSubnet(network, Number(prefix), isIPv6(network) ? 'ipv6' : 'ipv4')
}

const nat = await startTunNat({
  device,
  behavior,
  externalIps,
  isInternal: (ip) => inside.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4'),
  random: new SeededRandom(seed),
  clock: { now: () => performance.now() },
  onGone: () => process.exit(1),
})
process.once('SIGTERM', () => {
  void nat.close().then(() => console.log(`counters ${JSON.stringify(nat.counters())}`))
})
console.log(`ready ${nat.device}`)
