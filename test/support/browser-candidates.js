// Runs in a page: what this browser gathers, and what it makes of candidate lines.

/** Chromium brackets IPv6 addresses. */
const bare = (address) => address.replace(/^\[(.*)\]$/, '$1')

function describe({ type, protocol, address, port, priority, foundation, relatedAddress, relatedPort, tcpType }) {
  const related = relatedAddress ? { ip: bare(relatedAddress), port: relatedPort } : null
  return { type, protocol, ip: bare(address), port, priority, foundation, related, tcpType: tcpType || null }
}

/** All that a browser gathers from `iceServers`, as it describes each. */
async function gatherCandidates(iceServers) {
  // Without the right to a microphone it would gather from the default route alone.
  await navigator.mediaDevices.getUserMedia({ audio: true })
  const peer = new RTCPeerConnection({ iceServers })
  peer.createDataChannel('x')
  const found = []
  const complete = new Promise((resolve) => {
    peer.onicecandidate = ({ candidate: each }) => {
      if (!each) return resolve()
      if (each.candidate !== '') found.push({ candidate: each.candidate, ...describe(each) })
    }
  })
  await peer.setLocalDescription()
  await complete
  peer.close()
  return found
}

/** Gives each line to a peer connection, which rejects what it can't read; tells what the browser reads in it. */
async function readCandidates(lines) {
  const [offerer, answerer] = [new RTCPeerConnection(), new RTCPeerConnection()]
  offerer.createDataChannel('x')
  await offerer.setLocalDescription()
  await answerer.setRemoteDescription(offerer.localDescription)
  await answerer.setLocalDescription()
  const read = []
  for (const line of lines) {
    const candidate = new RTCIceCandidate({ candidate: line, sdpMid: '0' })
    await answerer.addIceCandidate(candidate)
    read.push(describe(candidate))
  }
  offerer.close()
  answerer.close()
  return read
}

globalThis.natcheck = { gatherCandidates, readCandidates }
