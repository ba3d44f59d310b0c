#!/usr/bin/env node
// data-channel.mjs with the RTCPeerConnection of an npm package: node webrtc-package-main.mjs wrtc, options as JSON on
// stdin. Prints the report. A process of its own, because their native threads don't always let a process end.
import { readFileSync } from 'node:fs'
import { relayedDataChannel } from './data-channel.mjs'

const packages = {
  wrtc: async () => (await import('@roamhq/wrtc')).default.RTCPeerConnection,
  'node-datachannel': async () => (await import('node-datachannel/polyfill')).RTCPeerConnection,
}

const PeerConnection = await packages[process.argv[2]]()
const report = await relayedDataChannel(JSON.parse(readFileSync(0, 'utf8')), PeerConnection)
process.stdout.write(JSON.stringify(report), () => process.exit())
