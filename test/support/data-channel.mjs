// Numbered messages both ways between two peer connections that may use nothing but their relay. Any RTCPeerConnection
// will do, so the same code is a page's script and a module of the WebRTC packages' process. Types: data-channel.ts.

/** Connects two peers, spreads `count` messages of `size` bytes each way over `holdSeconds`, and says what arrived. */
export async function relayedDataChannel(options, PeerConnection = globalThis.RTCPeerConnection) {
  const { iceServers, count, size, holdSeconds, maxRetransmits } = options
  const sides = [0, 1].map(() => side(new PeerConnection({ iceServers, iceTransportPolicy: 'relay' }), count))
  const [offerer, answerer] = sides
  const opened = sides.map(
    ({ connection }) =>
      new Promise((resolve) => {
        connection.addEventListener('datachannel', ({ channel }) => resolve(channel))
      }),
  )
  try {
    const reliability = maxRetransmits === undefined ? {} : { maxRetransmits }
    opened[0] = Promise.resolve(offerer.connection.createDataChannel('numbers', { ordered: false, ...reliability }))
    await introduce(offerer, answerer)
    const ready = Promise.all(opened.map(async (channel, index) => await open(await channel, sides[index])))
    const channels = await Promise.race([ready, hopeless(sides), after(15_000)])
    if (channels !== undefined) {
      await Promise.all(channels.map((channel) => send(channel, { count, size, holdSeconds })))
      await silence(sides, count)
    }
    return { opened: channels !== undefined, sides: await settled(sides) }
  } finally {
    // Deletes the allocations (Refresh with lifetime 0).
    for (const { connection } of sides) connection.close()
  }
}

const side = (connection, count) => {
  const self = { connection, seen: new Uint8Array(count), received: 0, repeated: 0, candidates: [], errors: [] }
  connection.addEventListener('icecandidateerror', ({ url, errorCode, errorText }) => {
    self.errors.push({ url, code: errorCode, text: errorText })
  })
  return self
}

/** Offer, answer, and candidates as they trickle in. */
async function introduce(offerer, answerer) {
  for (const [from, to] of [
    [offerer, answerer],
    [answerer, offerer],
  ]) {
    let described
    const ready = new Promise((resolve) => (described = resolve))
    to.describedRemotely = described
    from.connection.addEventListener('icecandidate', ({ candidate }) => {
      if (!candidate?.candidate) return
      from.candidates.push(/ typ (\w+)/.exec(candidate.candidate)?.[1] ?? candidate.candidate)
      void ready.then(() => to.connection.addIceCandidate(candidate))
    })
  }
  const offer = await offerer.connection.createOffer()
  await offerer.connection.setLocalDescription(offer)
  await answerer.connection.setRemoteDescription(offer)
  answerer.describedRemotely()
  const answer = await answerer.connection.createAnswer()
  await answerer.connection.setLocalDescription(answer)
  await offerer.connection.setRemoteDescription(answer)
  offerer.describedRemotely()
}

/** Counts what comes in from the start on; resolves when the channel can send. */
function open(channel, self) {
  channel.binaryType = 'arraybuffer'
  channel.addEventListener('message', ({ data }) => {
    const number = new DataView(data).getUint32(0)
    if (self.seen[number]++ > 0) self.repeated++
    else self.received++
  })
  return new Promise((resolve) => {
    if (channel.readyState === 'open') resolve(channel)
    else channel.addEventListener('open', () => resolve(channel))
  })
}

/** Paced, because a sender that always has something to send raises its rate until something is lost. */
async function send(channel, { count, size, holdSeconds }) {
  const start = performance.now()
  for (let number = 0; number < count; ) {
    const due = Math.min(count, Math.ceil(((performance.now() - start) / (holdSeconds * 1000)) * count))
    for (; number < due; number++) {
      const message = new Uint8Array(size)
      new DataView(message.buffer).setUint32(0, number)
      channel.send(message)
    }
    await after(10)
  }
}

/** Resolves when all has arrived, or nothing has for two seconds. */
async function silence(sides, count) {
  const total = () => sides.reduce((sum, { received }) => sum + received, 0)
  for (let before = -1, quiet = 0; total() < count * 2 && quiet < 20; ) {
    quiet = total() === before ? quiet + 1 : 0
    before = total()
    await after(100)
  }
}

/** Resolves when both sides have gathered everything and that is nothing. */
async function hopeless(sides) {
  for (;;) {
    const stuck = sides.every(
      ({ connection, candidates }) => connection.iceGatheringState === 'complete' && candidates.length === 0,
    )
    if (stuck) return undefined
    await after(20)
  }
}

/** What both sides say when the last acknowledgements have arrived, or should have. */
async function settled(sides) {
  for (let attempt = 1; ; attempt++) {
    const reports = await Promise.all(sides.map(describe))
    const [first, second] = reports.map(({ packets }) => packets)
    if (first?.sent === second?.received && second?.sent === first?.received) return reports
    if (attempt === 20) return reports
    await after(100)
  }
}

async function describe({ connection, seen, received, repeated, candidates, errors }) {
  const stats = new Map()
  for (const [id, entry] of await connection.getStats()) stats.set(id, entry)
  const entries = [...stats.values()]
  const transport = entries.find(({ type }) => type === 'transport')
  const pair = stats.get(transport?.selectedCandidatePairId)
  const candidate = (id) => {
    const { candidateType, relayProtocol } = stats.get(id) ?? {}
    return candidateType && { type: candidateType, relayProtocol }
  }
  // Of all pairs: a connection may have begun on another one.
  const sum = (name) => entries.reduce((total, each) => total + (each.type === 'candidate-pair' ? each[name] : 0), 0)
  return {
    received,
    missed: [...seen.keys()].filter((number) => seen[number] === 0),
    repeated,
    candidates,
    errors,
    local: candidate(pair?.localCandidateId),
    remote: candidate(pair?.remoteCandidateId),
    packets:
      pair?.packetsSent === undefined ? undefined : { sent: sum('packetsSent'), received: sum('packetsReceived') },
  }
}

const after = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
