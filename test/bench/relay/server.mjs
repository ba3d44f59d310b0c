// The relay that is measured: the TURN server machine with one user, peers on loopback allowed.
import { PeerPolicy } from '../../../dist/proto/turn-server/peer-policy.js'
import { TurnServer } from '../../../dist/proto/turn-server/server.js'
import { ServerAuth } from '../../../dist/proto/stun/server-auth.js'

export function createServer({ user, password, realm, relayIp, ports, auth }, { random, clock }) {
  const machine = new TurnServer({
    random,
    clock,
    auth: auth ?? new ServerAuth({ realm, nonceKey: random.bytes(32), users: new Map([[user, password]]) }),
    relayAddresses: [{ ip: relayIp }],
    ports,
    peerPolicy: new PeerPolicy({ allow: ['127.0.0.0/8'] }),
  })
  const onRequest = (request) => {
    if (request === 'counts') return machine.counts
    throw new Error(`what is ${request}?`)
  }
  return { machine, onEvent() {}, onRequest }
}
