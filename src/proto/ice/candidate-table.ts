/** The candidates of both sides, and those that are found by checks. RFC 8445 §7.2.5.3.1, §7.3.1.3 */
import { sameAddress, type TransportAddress } from '../../core/index.ts'
import { type Candidate, candidateAddress, isRedundant, type LocalCandidate } from './candidate.ts'
import type { RemoteCandidate } from './pair.ts'

/** A candidate that is not checked, and why. */
export interface PassedOver {
  readonly side: 'local' | 'remote'
  readonly candidate: Candidate
  readonly why: string
}

/** `known`: it replaces a peer-reflexive candidate of the same address. */
export type AddedRemote =
  | { readonly kind: 'new'; readonly remote: RemoteCandidate }
  | { readonly kind: 'known'; readonly remote: RemoteCandidate; readonly was: RemoteCandidate }

/**
 * Peer-reflexive candidates of the peer. Two NATs that take a new port for every packet show each other new ones for ever;
 * a path that has not settled after these won't.
 */
const maxReflexives = 16

export class CandidateTable {
  readonly #limit: number
  readonly #locals: LocalCandidate[] = []
  readonly #passedOver: PassedOver[] = []
  #remotes: RemoteCandidate[] = []
  /** Peer-reflexive ones that our own checks brought: seen by the peer, paired with nobody. */
  readonly #seen: LocalCandidate[] = []
  #reflexives = 0

  /** At most `limit` candidates a side. */
  constructor(limit: number) {
    this.#limit = limit
  }

  get locals(): readonly LocalCandidate[] {
    return this.#locals
  }

  get remotes(): readonly RemoteCandidate[] {
    return this.#remotes
  }

  get passedOver(): readonly PassedOver[] {
    return this.#passedOver
  }

  /** Whether it is to be paired. */
  addLocal(candidate: LocalCandidate): boolean {
    if (candidate.transport !== 'udp') return this.#passOver('local', candidate, tcpIsNotChecked)
    if (this.#locals.length >= this.#limit) return this.#passOver('local', candidate, tooMany)
    const better = this.#locals.find((other) => isRedundant(candidate, other))
    if (better) return this.#passOver('local', candidate, `it has the address and the base of a ${better.type} one`)
    this.#locals.push(candidate)
    return true
  }

  /** Undefined: it is not to be paired. */
  addRemote(candidate: Candidate): AddedRemote | undefined {
    const address = candidateAddress(candidate)
    const why =
      candidate.transport !== 'udp'
        ? tcpIsNotChecked
        : address === undefined
          ? `the name ${candidate.host} has to be looked up first`
          : this.#remotes.length >= this.#limit
            ? tooMany
            : undefined
    if (!address || why !== undefined) {
      this.#passOver('remote', candidate, why ?? '')
      return undefined
    }
    const remote = { ...candidate, address }
    const was = this.#findRemote(address, candidate.component)
    if (was && was.type !== 'prflx') {
      this.#passOver('remote', candidate, `it has the address of a ${was.type} one`)
      return undefined
    }
    this.#remotes = was ? this.#remotes.map((other) => (other === was ? remote : other)) : [...this.#remotes, remote]
    return was ? { kind: 'known', remote, was } : { kind: 'new', remote }
  }

  /** The candidate that the peer sends from, a new peer-reflexive one if need be. RFC 8445 §7.3.1.3 */
  remoteAt(address: TransportAddress, priority: number, component: number): RemoteCandidate | undefined {
    const known = this.#findRemote(address, component)
    if (known || this.#remotes.length >= this.#limit || this.#reflexives >= maxReflexives) return known
    const remote = {
      ...reflexive(`prflx${++this.#reflexives}`, address, Math.min(priority, 2 ** 31 - 1), component),
      address,
    }
    this.#remotes.push(remote)
    return remote
  }

  /** The candidate that is sent from at `base`: the host's or relay's own where there is one. */
  localAt(base: TransportAddress): LocalCandidate | undefined {
    const own = this.#locals.filter((local) => sameAddress(local.base, base))
    return own.find((local) => sameAddress(local.address, base)) ?? own[0]
  }

  /** What the peer saw us as: one of our candidates, or a new peer-reflexive one. RFC 8445 §7.2.5.3.1 */
  localSeenAs(mapped: TransportAddress, checked: LocalCandidate, priority: number): LocalCandidate {
    const { base, component } = checked
    const known = [...this.#locals, ...this.#seen].find(
      (local) => sameAddress(local.address, mapped) && sameAddress(local.base, base) && local.component === component,
    )
    if (known) return known
    const related = { host: base.ip, port: base.port }
    const seen = {
      ...reflexive(`seen${this.#seen.length + 1}`, mapped, priority, component),
      related,
      address: mapped,
      base,
    }
    if (this.#seen.length < this.#limit) this.#seen.push(seen)
    return seen
  }

  #findRemote(address: TransportAddress, component: number): RemoteCandidate | undefined {
    return this.#remotes.find((remote) => sameAddress(remote.address, address) && remote.component === component)
  }

  #passOver(side: 'local' | 'remote', candidate: Candidate, why: string): false {
    if (this.#passedOver.length < this.#limit) this.#passedOver.push({ side, candidate, why })
    return false
  }
}

/** A foundation of its own, so that it stands for nobody else's success. */
const reflexive = (
  foundation: string,
  { ip, port }: TransportAddress,
  priority: number,
  component: number,
): Candidate => ({
  foundation,
  component,
  transport: 'udp',
  priority,
  host: ip,
  port,
  type: 'prflx',
  extensions: [],
})

const tcpIsNotChecked = 'checks are made over UDP only'
const tooMany = 'there are more candidates than can be checked'
