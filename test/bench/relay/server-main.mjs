#!/usr/bin/env node
// A relay to be measured: node server-main.mjs '{"datapath":"mmsg","port":…,"user":…}'. Prints `ready`; SIGTERM ends it.
import { startDgram } from '../../../dist/relay/datapath/dgram.js'
import { startMmsg } from '../../../dist/relay/datapath/mmsg/index.js'
import { nodeNetwork, systemClock, systemRandom } from '../../../dist/transport/index.js'
import { createServer } from './server.mjs'

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
process.once('SIGTERM', () => void datapath.close())
console.log('ready')
