#!/usr/bin/env node
// natcheck's own STUN server: node stun-server-main.mjs '[{"primaryIp":…,"alternateIp":…,"primaryPort":…,"alternatePort":…}]',
// one for each entry. Prints `ready`; SIGTERM ends it.
import { startStunServer } from '../../dist/relay/stun-server.js'
import { nodeNetwork } from '../../dist/transport/index.js'

const network = nodeNetwork()
const servers = []
for (const options of JSON.parse(process.argv[2] ?? '')) servers.push(await startStunServer(network, options))
process.once('SIGTERM', () => {
  for (const server of servers) server.close()
})
console.log('ready')
