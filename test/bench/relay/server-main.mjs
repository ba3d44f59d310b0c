#!/usr/bin/env node
// A relay to be measured: node server-main.mjs '{"datapath":"mmsg","port":…,"user":…}'. Prints `ready`, with its port, and then answers
// each line of input, `counts`, `stats` or `memory` (node --expose-gc), with a line of JSON. SIGTERM ends it, and the end of
// its input.
import { createInterface } from 'node:readline'
import { startDgram } from '../../../dist/relay/datapath/dgram.js'
import { startMmsg } from '../../../dist/relay/datapath/mmsg/index.js'
import { nodeNetwork, systemClock, systemRandom } from '../../../dist/transport/index.js'
import { collectedMemory, createServer } from './server.mjs'

const options = JSON.parse(process.argv[2] ?? '')
const listeners = [{ protocol: 'udp', address: { ip: options.relayIp, port: options.port } }]
const handlers = {
  onMessage() {},
  onFailed(error) {
    console.error(error)
    process.exit(1)
  },
}
const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
const datapath =
  options.datapath === 'dgram'
    ? await startDgram(ports, listeners, options, createServer, handlers)
    : await startMmsg(
        ports,
        { worker: new URL('worker-main.mjs', import.meta.url), listeners, settings: options, ...options.mmsg },
        handlers,
      )
process.once('SIGTERM', () => process.exit())
console.log(`ready on port ${datapath.listening[0].address.port}`)
for await (const request of createInterface({ input: process.stdin })) {
  const [answer] = await datapath.request(request)
  const isApart = request === 'memory' && datapath.name === 'mmsg'
  console.log(JSON.stringify(isApart ? answer + collectedMemory() : answer))
}
process.exit()
