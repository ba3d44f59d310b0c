// The relay that is measured: the native engine's server with one user, peers on loopback allowed.
import { createServer as createRelayServer } from '../../../dist/relay/server.js'

export function createServer({ user, password, realm, relayIp, ports, auth, lifetimes = {} }, host) {
  const settings = {
    realm: realm ?? 'bench',
    nonceKey: host.random.bytes(32),
    users: [[user, password]],
    secrets: [],
    allowPeers: ['127.0.0.0/8'],
    denyPeers: [],
    noAuth: auth === 'none',
    relayAddresses: [{ ip: relayIp }],
    listeners: [],
    ports,
    lifetimes,
    dontFragment: false,
  }
  const server = createRelayServer(settings, host)
  const requests = {
    counts: () => server.machine.counts,
    stats: (now) => server.onRequest({ kind: 'stats' }, now),
    memory: collectedMemory,
  }
  const onRequest = (request, now) => {
    const answer = requests[request]
    if (!answer) throw new Error(`what is ${request}?`)
    return answer(now)
  }
  return { machine: server.machine, onEvent: (event, now) => server.onEvent(event, now), onRequest }
}

/** Bytes that this thread's JavaScript holds, on its heap and outside. Needs node --expose-gc. */
export function collectedMemory() {
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
