#!/usr/bin/env node
// Our ICE agent against the one in an npm package's RTCPeerConnection: node ice-peer-main.mjs wrtc controlling, where the
// word is our role. Prints what both found. A process of its own, because their native threads don't always let a process end.
import { Driver, ice, nodeNetwork, systemClock, systemRandom } from '../../dist/index.js'

const packages = {
  wrtc: async () => (await import('@roamhq/wrtc')).default.RTCPeerConnection,
  'node-datachannel': async () => (await import('node-datachannel/polyfill')).RTCPeerConnection,
}
const [, , name, role, ip] = process.argv
const PeerConnection = await packages[name]()
const peer = new PeerConnection({ iceServers: [] })
const found = { lines: [], unread: [], dtls: false, states: [] }
const remoteLines = []

const agent = new ice.IceAgent({ role, random: systemRandom })
let settle
const settled = new Promise((resolve) => (settle = resolve))
const driver = new Driver(agent, systemClock, (effect) => {
  if (effect.kind === 'send') socket.send(effect.bytes, effect.to)
  // A DTLS handshake: the peer has chosen this path. RFC 7983
  if (effect.kind === 'data') found.dtls ||= effect.bytes[0] === 22
  if (effect.kind === 'settled') settle(effect.report)
})
const socket = await nodeNetwork().openDatagram(
  { family: 4, ip },
  {
    onDatagram: (bytes, from) => driver.handle({ kind: 'datagram', bytes, from, base: socket.local }),
    onFailure: (failure) => driver.handle({ kind: 'failure', failure, base: socket.local }),
  },
)
const candidate = ice.localCandidate({ type: 'host', address: socket.local }, new ice.Foundations())
driver.handle({ kind: 'local-candidate', candidate })
driver.handle({ kind: 'end-of-candidates', side: 'local' })

/** A description of ours. Its certificate is nobody's: DTLS begins, and ends there. */
const description = (type) => ({
  type,
  sdp: `v=0\r
o=- 1 1 IN IP4 0.0.0.0\r
s=-\r
t=0 0\r
a=group:BUNDLE 0\r
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r
c=IN IP4 0.0.0.0\r
a=mid:0\r
a=ice-ufrag:${agent.credentials.ufrag}\r
a=ice-pwd:${agent.credentials.password}\r
a=fingerprint:sha-256 ${Array(32).fill('00').join(':')}\r
a=setup:${type === 'offer' ? 'actpass' : 'passive'}\r
a=sctp-port:5000\r
`,
})

function takeRemote(line) {
  if (line === undefined || line === '') return driver.handle({ kind: 'end-of-candidates', side: 'remote' })
  found.lines.push(line)
  const parsed = ice.parseCandidate(line)
  if (parsed.ok) driver.handle({ kind: 'remote-candidate', candidate: parsed.value })
  else found.unread.push(`${line}: ${parsed.where} ${parsed.why}`)
}

peer.onicecandidate = ({ candidate }) => remoteLines.push(candidate?.candidate)
peer.oniceconnectionstatechange = () => found.states.push(peer.iceConnectionState)
const gathered = new Promise((resolve) => {
  const look = () => peer.iceGatheringState === 'complete' && resolve()
  peer.onicegatheringstatechange = look
})
if (role === 'controlling') {
  await peer.setRemoteDescription(description('offer'))
  await peer.setLocalDescription(await peer.createAnswer())
} else {
  peer.createDataChannel('x')
  await peer.setLocalDescription(await peer.createOffer())
  await peer.setRemoteDescription(description('answer'))
}
await peer.addIceCandidate({ candidate: ice.renderCandidate(candidate), sdpMid: '0', sdpMLineIndex: 0 })
await gathered
const sdp = peer.localDescription.sdp
const [, ufrag] = /a=ice-ufrag:(\S+)/.exec(sdp)
const [, password] = /a=ice-pwd:(\S+)/.exec(sdp)
for (const line of remoteLines) takeRemote(line)
for (const [, line] of sdp.matchAll(/^a=(candidate:.*?)\r?$/gm)) if (!found.lines.includes(line)) takeRemote(line)
driver.handle({ kind: 'end-of-candidates', side: 'remote' })
driver.handle({ kind: 'remote-credentials', credentials: { ufrag, password } })
const { pairs, nominated } = await settled
for (let tries = 0; tries < 100 && !found.dtls; tries++) await new Promise((resolve) => setTimeout(resolve, 50))
const report = {
  ...found,
  states: [...found.states, peer.iceConnectionState],
  pairs: pairs.map(({ local, remote, state, why }) => ({ local: local.type, remote: remote.type, state, why })),
  nominated: nominated && `${nominated.valid.local.type}–${nominated.valid.remote.type}`,
}
process.stdout.write(JSON.stringify(report), () => process.exit())
