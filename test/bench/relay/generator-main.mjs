#!/usr/bin/env node
// Load for one TURN server: clients with one peer, all of them sockets of this process, moved by the same batched calls as
// the mmsg datapath. Takes one JSON command a line, answers with one JSON line each. It spins while it sends: give it a
// core of its own.
import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { destinationAt, toDestination } from '../../../dist/relay/datapath/mmsg/destination.js'
import { Batch, Outbox } from '../../../dist/relay/datapath/mmsg/batch.js'
import { Sockets } from '../../../dist/relay/datapath/mmsg/sockets.js'
import { loadSystem } from '../../../dist/relay/datapath/mmsg/system.js'
import * as wire from '../../../dist/wire/index.js'

const { server, user, password, ip = '127.0.0.1' } = JSON.parse(process.argv[2] ?? '')
const system = await loadSystem()
const sockets = new Sockets(system)
const rx = new Batch(system)
const tx = new Batch(system)
const buffers = { receiveBuffer: 4 * 2 ** 20, sendBuffer: 4 * 2 ** 20 }
const toServer = toDestination(server)

const open = () => {
  const bound = sockets.open({ ip, port: 0 }, buffers)
  if (!bound.ok) throw new Error(`the generator got no socket: errno ${bound.errno}`)
  return bound
}
const peer = open()
const peerOutbox = new Outbox(peer.fd, false)
/** Clients by tag; the peer's is 0. */
const clients = []
sockets.watch(peer.fd, 0)

const send = (client, bytes) => tx.sendNow(client.outbox, toServer, bytes)

/** Hands over what arrives until `done()` or the deadline; `again` every 200 ms. */
function pump(handle, done, again) {
  const start = performance.now()
  let next = start + 200
  while (!done()) {
    const now = performance.now()
    if (now - start > 20_000) throw new Error('the server does not answer')
    if (now > next) {
      next = now + 200
      again()
    }
    const ready = sockets.wait(1)
    for (let i = 0; i < ready; i++) {
      const tag = sockets.tagAt(i)
      const fd = tag === 0 ? peer.fd : clients[tag - 1].fd
      const count = rx.receive(fd, 64)
      for (let slot = 0; slot < count; slot++) {
        const at = rx.offsetOf(slot)
        const bytes = rx.memory.bytes.slice(at, at + rx.lengthOf(slot))
        if (tag > 0) handle(clients[tag - 1], bytes)
        // The peer sends back what it gets.
        else tx.sendNow(peerOutbox, destinationAt(rx.memory, rx.nameOf(slot)), bytes)
      }
      rx.flush()
    }
  }
}

const request = (client, method, attributes) => {
  const auth = client.nonce && [
    wire.attribute(wire.username, user),
    wire.attribute(wire.realm, client.realm),
    wire.attribute(wire.nonce, client.nonce),
  ]
  client.key ??= client.realm && wire.longTermKey({ username: user, realm: client.realm, password })
  client.id = new Uint8Array(randomBytes(12))
  client.pending = wire.encodeMessage({
    class: 'request',
    method,
    transactionId: client.id,
    attributes: [...attributes, ...(auth ?? [])],
    ...(auth ? { integrity: { key: client.key } } : {}),
  })
  send(client, client.pending)
}

/** What a client asks for next. */
const steps = {
  allocate: (client) =>
    request(client, wire.Method.allocate, [
      wire.attribute(wire.requestedTransport, wire.RequestedTransport.udp),
      wire.attribute(wire.lifetime, client.lifetime),
    ]),
  bind: (client) =>
    request(client, wire.Method.channelBind, [
      wire.attribute(wire.channelNumber, 0x4000),
      wire.attribute(wire.xorPeerAddress, { ip, port: peer.local.port }),
    ]),
  release: (client) => request(client, wire.Method.refresh, [wire.attribute(wire.lifetime, 0)]),
  /** A packet to the peer and back. */
  echo: (client) => {
    client.pending = Buffer.concat([Uint8Array.of(0x40, 0, 0, 12), randomBytes(12)])
    send(client, client.pending)
  },
}

/** Runs the steps for all of `group`, a window of them at a time. */
function negotiate(group, names, window = 64) {
  const waiting = group.toReversed()
  const active = new Set()
  const startOne = () => {
    const client = waiting.pop()
    if (!client) return
    client.steps = [...names]
    active.add(client)
    steps[client.steps[0]](client)
  }
  for (let i = 0; i < window; i++) startOne()
  const advance = (client) => {
    client.steps.shift()
    if (client.steps.length > 0) return steps[client.steps[0]](client)
    active.delete(client)
    startOne()
  }
  const handle = (client, bytes) => {
    if (!active.has(client)) return
    if (client.steps[0] === 'echo') {
      if (Buffer.compare(bytes, client.pending) === 0) advance(client)
      return
    }
    const decoded = wire.decodeMessage(bytes)
    if (!decoded.ok) return
    const message = decoded.value
    if (Buffer.compare(message.transactionId, client.id) !== 0) return
    if (message.class === 'error') {
      const { code } = wire.get(message, wire.errorCode)
      if (code !== 401 && code !== 438) throw new Error(`the server refuses ${client.steps[0]}: ${code}`)
      if (code === 401 && client.nonce) throw new Error('the server does not take our password')
      client.realm = wire.get(message, wire.realm)
      client.nonce = wire.get(message, wire.nonce)
      return steps[client.steps[0]](client)
    }
    client.relayed = wire.get(message, wire.xorRelayedAddress) ?? client.relayed
    advance(client)
  }
  pump(
    handle,
    () => active.size === 0 && waiting.length === 0,
    () => {
      for (const client of active) send(client, client.pending)
    },
  )
}

function newClients(count, lifetime = 3600) {
  const group = []
  for (let i = 0; i < count; i++) {
    const { fd } = open()
    const client = { fd, outbox: new Outbox(fd, false), lifetime }
    clients.push(client)
    sockets.watch(fd, clients.length)
    group.push(client)
  }
  return group
}

const commands = {
  /** Sessions for `run`: an allocation with a channel each. */
  sessions({ count }) {
    const group = newClients(count)
    negotiate(group, ['allocate', 'bind'])
    for (const client of group) client.toRelay = toDestination(client.relayed)
    return {}
  },
  /** A packet both ways through each session; fails when one does not come back. */
  echo() {
    negotiate(
      clients.filter((client) => client.toRelay),
      ['echo'],
    )
    return {}
  },
  /** Allocations as fast as they go. They stay. */
  allocate({ count, lifetime }) {
    const group = newClients(count, lifetime)
    const start = performance.now()
    negotiate(group, ['allocate'])
    return { milliseconds: performance.now() - start }
  },
  /** Ends what `allocate` made. */
  release({ count }) {
    negotiate(clients.slice(-count), ['release'])
    return commands.forget({ count })
  },
  /** Leaves what `allocate` made to expire. */
  forget({ count }) {
    for (const client of clients.splice(-count)) sockets.close(client.fd)
    return {}
  },
  /**
   * Sends `rate` packets a second (0: as many as go) of `size` bytes for so many seconds, `burst` of one client at a time.
   * direction: up (client to peer), down, or both.
   */
  run({ direction, size, rate, seconds, burst }) {
    const session = clients.filter((client) => client.toRelay)
    const at = tx.offsetOf(0)
    tx.memory.bytes.fill(0x5a, at, at + size + 4)
    tx.memory.view.setUint16(at, 0x4000)
    tx.memory.view.setUint16(at + 2, size)
    const counts = { sent: 0, received: 0 }
    /** Of the last packets, in milliseconds. */
    const delays = new Float64Array(2 ** 16)
    const cpu = process.cpuUsage()
    let turn = 0
    const sendBurst = (count) => {
      const client = session[(turn >> 1) % session.length]
      const up = direction === 'up' || (direction === 'both' && (turn & 1) === 0)
      turn += direction === 'both' ? 1 : 2
      for (let i = 0; i < count; i++) {
        if (up) tx.enqueue(client.outbox, toServer, at, size + 4)
        else tx.enqueue(peerOutbox, client.toRelay, at + 4, size)
      }
      counts.sent += count
    }
    const receive = (waitMs) => {
      const ready = sockets.wait(waitMs)
      for (let i = 0; i < ready; i++) {
        const tag = sockets.tagAt(i)
        const expected = tag === 0 ? size : size + 4
        const count = rx.receive(tag === 0 ? peer.fd : clients[tag - 1].fd, 64)
        const now = performance.now()
        for (let slot = 0; slot < count; slot++) {
          if (rx.lengthOf(slot) !== expected) continue
          const sentAt = rx.memory.view.getFloat64(rx.offsetOf(slot) + expected - size)
          delays[counts.received++ % delays.length] = now - sentAt
        }
        rx.flush()
      }
      return ready
    }
    receive(0)
    counts.received = 0
    const dropped = tx.dropped
    const began = performance.now()
    let start = began
    const end = start + seconds * 1000
    let bursts = 0
    for (let now = start; now < end; now = performance.now()) {
      // Late by more than two milliseconds: what was not sent then is not sent in a heap now.
      const owed = ((now - start) * rate) / 1000 / burst - bursts
      if (owed * burst > Math.max(64, rate / 500)) start += ((owed - 1) * burst * 1000) / rate
      const due = rate === 0 ? bursts + Math.ceil(64 / burst) : Math.floor(((now - start) * rate) / 1000 / burst) + 1
      tx.memory.view.setFloat64(at + 4, performance.now())
      for (let queued = 0; bursts < due && queued < 64; queued += burst, bursts++) sendBurst(burst)
      tx.flush()
      receive(0)
    }
    const milliseconds = performance.now() - began
    for (let quiet = 0; quiet < 5; ) quiet = receive(20) > 0 ? 0 : quiet + 1
    const { user, system } = process.cpuUsage(cpu)
    const sorted = delays.subarray(0, Math.min(counts.received, delays.length)).toSorted()
    const quantile = (q) => (sorted[Math.floor(sorted.length * q)] ?? 0) * 1000
    const delay = { median: quantile(0.5), p99: quantile(0.99) }
    return { ...counts, delay, notSent: tx.dropped - dropped, milliseconds, cpuMicroseconds: user + system }
  },
}

console.log(JSON.stringify({ ready: true }))
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  try {
    console.log(JSON.stringify(commands[command.do](command)))
  } catch (error) {
    console.log(JSON.stringify({ error: error.stack }))
  }
}
process.exit(0)
