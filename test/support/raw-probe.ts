/** A NAT's behaviour as single packets show it: no STUN, no timers, nothing of natcheck's own. */
import type { FilteringBehavior, MappingBehavior, TransportAddress } from '../../src/core/index.ts'
import { client, type NatLab, servers } from './nat-lab.ts'
import { type AgentSocket, UdpAgent } from './udp-agent.ts'

/** Four server sockets of one family: two addresses with two ports each. */
export interface Peers {
  readonly first: AgentSocket
  readonly firstOtherPort: AgentSocket
  readonly second: AgentSocket
  readonly secondOtherPort: AgentSocket
}

/** Sockets on both sides of a lab's NAT. */
export class Bench {
  readonly client: UdpAgent
  readonly server: UdpAgent
  readonly #peers = new Map<4 | 6, Peers>()
  #message = 0

  private constructor(clientAgent: UdpAgent, serverAgent: UdpAgent) {
    this.client = clientAgent
    this.server = serverAgent
  }

  static async create(lab: NatLab): Promise<Bench> {
    const [clientAgent, serverAgent] = await Promise.all([
      UdpAgent.start(lab.client.namespace),
      UdpAgent.start(lab.server.namespace),
    ])
    const bench = new Bench(clientAgent, serverAgent)
    for (const family of [4, 6] as const) {
      const [first, second] = family === 4 ? servers.ip4 : servers.ip6
      bench.#peers.set(family, {
        first: await serverAgent.open(first, 5001),
        firstOtherPort: await serverAgent.open(first, 5002),
        second: await serverAgent.open(second, 5001),
        secondOtherPort: await serverAgent.open(second, 5002),
      })
    }
    return bench
  }

  peers(family: 4 | 6): Peers {
    const peers = this.#peers.get(family)
    if (!peers) throw new Error(`no peers of family ${family}`)
    return peers
  }

  async openClient(family: 4 | 6, port = 0): Promise<AgentSocket> {
    return await this.client.open(family === 4 ? client.ip4 : client.ip6, port)
  }

  /** A text that was not used before, so that no late packet of one test is taken for another's. */
  text(about: string): string {
    return `${about} #${++this.#message}`
  }

  /** Sends through the NAT and returns the source the peer saw. */
  async mappedTowards(from: AgentSocket, peer: AgentSocket): Promise<TransportAddress> {
    const text = this.text('who am I?')
    from.send(text, peer.local)
    return (await peer.datagram(text)).from
  }

  /**
   * Returns when everything the peers sent before has either arrived or been dropped: it is overtaken by nothing on
   * the one path there is, so an exchange of its own (answer after question) that got through proves it.
   */
  async settle(from: AgentSocket, peer: AgentSocket): Promise<void> {
    for (let round = 0; round < 2; round++) {
      const [question, answer] = [this.text('anything left?'), this.text('no')]
      from.send(question, peer.local)
      peer.send(answer, (await peer.datagram(question)).from)
      await from.datagram(answer)
    }
  }
}

export interface Observed {
  readonly mapping: MappingBehavior | 'none'
  readonly filtering: FilteringBehavior
  readonly local: TransportAddress
  readonly mapped: TransportAddress
}

/** Mapping and filtering, each with a socket of its own. */
export async function observe(bench: Bench, family: 4 | 6): Promise<Observed> {
  const filtering = await observeFiltering(bench, family)
  const { mapping, local, mapped } = await observeMapping(bench, family)
  return { mapping, filtering, local, mapped }
}

async function observeMapping(bench: Bench, family: 4 | 6): Promise<Omit<Observed, 'filtering'>> {
  const { first, firstOtherPort, second, secondOtherPort } = bench.peers(family)
  const socket = await bench.openClient(family)
  const seen: string[] = []
  let mapped: TransportAddress | undefined
  for (const peer of [first, firstOtherPort, second, secondOtherPort]) {
    const address = await bench.mappedTowards(socket, peer)
    mapped ??= address
    seen.push(`${address.ip} ${address.port}`)
  }
  // Asked again in another order, each peer has to see what it saw: a mapping is reused.
  const again = await bench.mappedTowards(socket, second)
  socket.close()
  if (seen[2] !== `${again.ip} ${again.port}`) throw new Error(`not one mapping: first ${seen[2]}, then ${again.port}`)
  const { local } = socket
  if (!mapped) throw new Error('no peer saw anything')
  return { mapping: mappingOf(seen, `${local.ip} ${local.port}`), local, mapped }
}

function mappingOf(seen: readonly string[], local: string): MappingBehavior | 'none' {
  const shape = seen.map((address) => seen.indexOf(address)).join('')
  if (shape === '0000') return seen[0] === local ? 'none' : 'endpoint-independent'
  if (shape === '0022') return 'address-dependent'
  if (shape === '0123') return 'address-and-port-dependent'
  throw new Error(`RFC 4787 has no name for this mapping: ${seen.join(', ')}`)
}

async function observeFiltering(bench: Bench, family: 4 | 6): Promise<FilteringBehavior> {
  const { first, firstOtherPort, second, secondOtherPort } = bench.peers(family)
  const socket = await bench.openClient(family)
  const mapped = await bench.mappedTowards(socket, first)
  const uninvited = [secondOtherPort, second, firstOtherPort].map((peer) => ({ peer, text: bench.text('uninvited') }))
  for (const { peer, text } of uninvited) peer.send(text, mapped)
  await bench.settle(socket, first)
  socket.close()
  const shape = uninvited.map(({ text }) => (socket.received.some((each) => each.text === text) ? 1 : 0)).join('')
  if (shape === '111') return 'endpoint-independent'
  if (shape === '001') return 'address-dependent'
  if (shape === '000') return 'address-and-port-dependent'
  throw new Error(`RFC 4787 has no name for this filtering: ${shape}`)
}
