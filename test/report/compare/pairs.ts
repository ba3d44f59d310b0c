/** Two homes of the virtual network, diagnosed by the probe, predicted from the reports, and connected by real ICE. */
import type { TransportAddress } from '../../../src/core/index.ts'
import {
  SeededRandom,
  type TwoHomes,
  type TwoHomesOptions,
  twoHomes,
  type VirtualClock,
} from '../../../src/lab/index.ts'
import { analyseFamily, probeNat } from '../../../src/probe/nat/index.ts'
import type { IceReport } from '../../../src/proto/ice/index.ts'
import { startStunServer } from '../../../src/relay/index.ts'
import { startNativeRelay } from '../../../src/relay/native.ts'
import { type PairVerdict, type PeerNetwork, peerNetwork, predictPair } from '../../../src/report/index.ts'
import { IcePeer, type IcePeerOptions, runIce, signal } from '../../support/ice-peer.ts'
import { turnUser } from '../../support/turn-line.ts'
import { probeOptions } from '../../probe/nat/virtual.ts'

export interface PairOptions extends TwoHomesOptions {
  /** Is there a TURN server? Default: no. */
  readonly relay?: boolean
  readonly families?: readonly (4 | 6)[]
  readonly hairpin?: boolean
  readonly peers?: { readonly a?: Partial<IcePeerOptions>; readonly b?: Partial<IcePeerOptions> }
}

export interface PairRun {
  readonly predicted: PairVerdict
  readonly ice: readonly [IceReport, IceReport]
  /** What the ICE run found, in the verdict's words. */
  readonly found: Pick<PairVerdict, 'outcome' | 'candidates' | 'family'>
}

export async function runPair(options: PairOptions): Promise<PairRun> {
  const [a, b] = [await remembered(options, 'a'), await remembered(options, 'b')]
  const ice = await connect(options)
  return { predicted: predictPair(a, b, { relay: options.relay ?? false }), ice, found: findingOf(ice) }
}

const diagnoses = new Map<string, Promise<PeerNetwork>>()

/** The same home is measured once, whomever it is paired with. Rules are functions, which no key can tell apart. */
function remembered(options: PairOptions, side: 'a' | 'b'): Promise<PeerNetwork> {
  const home = options[side]
  if (home === 'same' || home?.rule || options.carrier) return diagnose(options, side)
  const { seed, link, families, hairpin } = options
  const key = JSON.stringify([side, home, seed, link, families, hairpin])
  const known = diagnoses.get(key) ?? diagnose({ ...options, ...(side === 'a' ? { b: {} } : { a: {} }) }, side)
  diagnoses.set(key, known)
  return known
}

/** In a network of its own: what the probe opens in a NAT must not help the checks. */
export async function diagnose(options: PairOptions, side: 'a' | 'b'): Promise<PeerNetwork> {
  const homes = twoHomes(options)
  await startServers(homes)
  const { families = [4], seed = 1, hairpin = false } = options
  const ports = { network: homes[side], clock: homes.clock, random: new SeededRandom(`${seed} probe ${side}`) }
  const uris = [
    ...(families.includes(4) ? ['stun:50.0.0.1'] : []),
    ...(families.includes(6) ? ['stun:[2a00:50::1]'] : []),
  ]
  const probing = probeNat(ports, probeOptions(uris, { families, hairpin }))
  const observed = await homes.clock.run(probing)
  return peerNetwork(observed.map((observations) => ({ observations, finding: analyseFamily(observations) })))
}

async function connect(options: PairOptions): Promise<readonly [IceReport, IceReport]> {
  const { clock, a, b } = await icePeers(options)
  return await clock.run(runIce(a, b, new SeededRandom(options.seed ?? 1).integer(0, 300)))
}

/** Does the other side hear one that sends while it sends nothing itself? */
export async function isHeardAlone(options: PairOptions, speaker: 'a' | 'b'): Promise<boolean> {
  const { clock, a, b } = await icePeers(options)
  signal(a, b, 0, speaker === 'b')
  signal(b, a, 0, speaker === 'a')
  await clock.run(Promise.all([a.gather(), b.gather()]))
  await clock.advance(3000)
  const listener = speaker === 'a' ? b : a
  return listener.agent.report().pairs.some(({ received }) => received > 0)
}

async function icePeers(options: PairOptions): Promise<{ clock: VirtualClock; a: IcePeer; b: IcePeer }> {
  const homes = twoHomes(options)
  await startServers(homes)
  const { seed = 1, relay = false, peers = {} } = options
  const peer = (side: 'a' | 'b'): IcePeer =>
    new IcePeer({
      host: homes[side],
      role: side === 'a' ? 'controlling' : 'controlled',
      random: new SeededRandom(`${seed} ice ${side}`),
      stun,
      ...(relay && { turn: { to: turnServer, protocol: 'udp' } }),
      ...peers[side],
    })
  return { clock: homes.clock, a: peer('a'), b: peer('b') }
}

export const stun: readonly TransportAddress[] = [
  { ip: '50.0.0.1', port: 3478 },
  { ip: '2a00:50::1', port: 3478 },
]
export const turnServer: TransportAddress = { ip: '60.0.0.1', port: 3478 }

export const turnServer6: TransportAddress = { ip: '2a00:60::1', port: 3478 }

export async function startServers({ clock, server, relay }: TwoHomes): Promise<void> {
  const random = new SeededRandom('servers')
  const discovery = { primaryPort: 3478, alternatePort: 3479 }
  await clock.run(
    Promise.all([
      startStunServer(server, { primaryIp: '50.0.0.1', alternateIp: '50.0.0.2', ...discovery }),
      startStunServer(server, { primaryIp: '2a00:50::1', alternateIp: '2a00:50::2', ...discovery }),
      startNativeRelay(
        { network: relay, clock, random },
        { listen: [turnServer, turnServer6], users: [turnUser], datapath: 'dgram' },
      ),
      // What tells blocked UDP from a dead server.
      server.listenStream({ family: 4, port: 3478 }, () => ({ onData: () => {}, onClose: () => {} })),
    ]),
  )
}

function findingOf([a, b]: readonly [IceReport, IceReport]): PairRun['found'] {
  const valid = a.nominated?.valid
  const family = valid ? (valid.local.address.ip.includes(':') ? 'ipv6' : 'ipv4') : null
  if ((a.nominated === null) !== (b.nominated === null)) throw new Error('the two agents disagree')
  if (!valid) return { outcome: 'none', candidates: null, family: null }
  const [local, remote] = [valid.local.type, valid.remote.type]
  if (local === 'relay' || remote === 'relay') return { outcome: 'relay', candidates: null, family: null }
  return { outcome: 'direct', candidates: { a: local, b: remote }, family }
}
