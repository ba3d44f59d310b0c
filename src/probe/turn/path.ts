/** What crosses the relay: whose packets it lets in, both directions, between two allocations, how fast and how large. */
import { familyOf, formatAddress } from '../../core/index.ts'
import type { TurnFailure } from '../../proto/turn-client/index.ts'
import { type BurstResult, median } from '../ice/burst.ts'
import { round } from '../ice/recorder.ts'
import { limitOf, openAnother, type Opened, saidBy, usualRtt, type Subject } from './examination.ts'
import { noteRefusal } from './features.ts'
import { holdOn } from './hold.ts'
import { checkMtu } from './mtu.ts'
import {
  Ear,
  meetOwnAddress,
  meetSecond,
  openOwnSocket,
  type OwnSocket,
  type Passage,
  type RelayEnd,
  Traffic,
} from './passage.ts'
import { pause } from './pause.ts'
import { checkForbiddenPeers } from './peers.ts'
import { checkThroughput } from './throughput.ts'

/** Enough that all of them are not lost by chance, and fewer than any flood. */
const knocks = 3

export async function checkPath(subject: Subject): Promise<void> {
  const path = new Path(subject)
  try {
    await path.run()
  } finally {
    await path.close()
  }
}

class Path {
  readonly #subject: Subject
  readonly #traffic: Traffic
  readonly #near: RelayEnd
  #own: OwnSocket | undefined
  #second: (RelayEnd & { readonly setsDontFragment: boolean }) | undefined
  #closeSecond: () => Promise<void> = async () => undefined

  constructor(subject: Subject) {
    this.#subject = subject
    this.#traffic = new Traffic(subject)
    const ear = new Ear(this.#traffic.payloads)
    this.#near = { session: subject.session, relayed: subject.relayed, ear }
    subject.onData = ({ bytes, peer }) => ear.hear(bytes, peer)
  }

  async close(): Promise<void> {
    this.#own?.close()
    await this.#closeSecond()
  }

  async run(): Promise<void> {
    const { options } = this.#subject
    const [own] = await Promise.all([openOwnSocket(this.#subject, new Ear(this.#traffic.payloads)), this.#openSecond()])
    this.#own = own
    const uninvited = await this.#knock()
    this.#begin('permission')
    const direct = own && (await meetOwnAddress(this.#subject, this.#traffic, this.#near, own))
    const met = this.#second && (await meetSecond(this.#subject, this.#near, this.#second))
    const hairpin = met && 'near' in met ? met : undefined
    if (met && 'cause' in met) this.#noteRefusedHairpin(met)
    const passage = direct ?? hairpin
    this.#end(passage !== undefined, passage ? `for ${passage.peer.ip}` : 'no peer was let in')
    const forbidden = checkForbiddenPeers(this.#subject, this.#near.session, familyOf(this.#near.relayed.ip))
    if (passage) await Promise.all([this.#checkData(passage, uninvited), this.#checkHairpin(hairpin)])
    else this.#noteNothing()
    await forbidden
    if (!passage || options.signal.aborted) return
    await checkMtu(this.#subject, this.#traffic, await this.#mtuPassage(passage))
    await checkThroughput(this.#subject, this.#traffic, passage)
    await holdOn(this.#subject, this.#traffic, passage)
  }

  /** The second allocation is the one that asks for DONT-FRAGMENT; where that is refused, a plain one. */
  async #openSecond(): Promise<void> {
    const { notes } = this.#subject
    const ear = new Ear(this.#traffic.payloads)
    const open = (dontFragment: boolean): Promise<Opened> =>
      openAnother(this.#subject, dontFragment ? { dontFragment } : {}, ({ bytes, peer }) => ear.hear(bytes, peer))
    let opened = await open(true)
    const setsDontFragment = opened.ok
    if (opened.ok) notes.note('dont-fragment', 'yes', 'accepted')
    else {
      noteRefusal(this.#subject, 'dont-fragment', opened.failure)
      opened = await open(false)
    }
    if (!opened.ok) return notes.note('hairpin', 'not-tested', `no second allocation: ${saidBy(opened.failure)}`)
    this.#second = { session: opened.session, relayed: opened.relayed, ear, setsDontFragment }
    this.#closeSecond = opened.close
  }

  /** Packets to a relayed address that has given nobody a permission. How many came through. */
  async #knock(): Promise<number> {
    const { options, ports } = this.#subject
    const { relayed, ear } = this.#near
    const first = this.#traffic.take(2 * knocks)
    const arrived = new Set<number>()
    ear.listen((sequence) => {
      if (sequence >= first && sequence < first + 2 * knocks) arrived.add(sequence)
    })
    const { session } = this.#second ?? {}
    const mayWrite = session && (await session.permit([relayed], limitOf(this.#subject))).ok
    for (let sequence = first; sequence < first + knocks; sequence++) {
      this.#own?.send(this.#traffic.payloads.make(sequence), relayed)
      if (mayWrite) session.send(relayed, this.#traffic.payloads.make(sequence + knocks))
    }
    // They have to be there before the permission is, or it would be theirs.
    await pause(ports.clock, Math.max(40, 1.5 * usualRtt(this.#subject)), options.signal)
    return arrived.size
  }

  async #checkData(passage: Passage, uninvited: number): Promise<void> {
    const { session } = passage.near
    const indications = await this.#traffic.cross(passage, 'indication')
    this.#begin('channel')
    const bound = await session.bindChannel(passage.peer, limitOf(this.#subject))
    this.#end(bound.ok, bound.ok ? `to ${formatAddress(passage.peer)}` : bound.failure.why)
    this.#begin('data')
    const channel = bound.ok ? await this.#traffic.cross(passage, 'channel') : undefined
    const crossings = channel ? [indications, channel] : [indications]
    const forth = total(crossings.map((each) => each.forth))
    const back = total(crossings.map((each) => each.back))
    this.#noteData(passage, forth, back, bound.ok ? undefined : `no channel: ${saidBy(bound.failure)}`)
    this.#notePermissions(uninvited, back.received)
    this.#noteLatency([...forth.rttsMs, ...back.rttsMs])
  }

  #noteData({ far, peer }: Passage, forth: BurstResult, back: BurstResult, problem: string | undefined): void {
    const { notes } = this.#subject
    const facts = {
      far,
      peer: formatAddress(peer),
      sent: forth.sent,
      arrived: forth.received,
      sentBack: back.sent,
      arrivedBack: back.received,
    }
    const counts = `${forth.received} of ${forth.sent} out, ${back.received} of ${back.sent} in`
    const lost = 1 - (forth.received + back.received) / Math.max(1, forth.sent + back.sent)
    const oneWay = forth.received === 0 || back.received === 0
    const detail = `${counts}, by Send/Data and by ChannelData, with ${far === 'own address' ? 'our own address' : 'a second allocation'}`
    this.#end(!oneWay, counts)
    if (oneWay) notes.note('data', 'no', counts, facts)
    else if (problem !== undefined) notes.note('data', 'no', `${counts}; ${problem}`, facts)
    else notes.note('data', lost > lossy ? 'warning' : 'yes', detail, facts)
  }

  /** RFC 8656 §9: data from an address without a permission is dropped. */
  #notePermissions(uninvited: number, invited: number): void {
    const { notes } = this.#subject
    const facts = { uninvited, invited }
    if (uninvited > 0) notes.note('permissions', 'no', 'data came in from an address that had no permission', facts)
    else if (invited === 0) notes.note('permissions', 'inconclusive', 'with a permission nothing came in either', facts)
    else notes.note('permissions', 'yes', 'nothing came in before there was a permission', facts)
  }

  /** One way through the relay begins and ends here, as does a request to the server: the difference is the relay's. */
  #noteLatency(loops: readonly number[]): void {
    const { notes } = this.#subject
    const through = median(loops)
    if (through === null) return
    const direct = usualRtt(this.#subject)
    const added = Math.max(0, round(through - direct))
    const facts = { throughMs: round(through), directMs: round(direct), addedMs: added }
    const detail = `${added.toFixed(1)} ms: ${through.toFixed(1)} ms through it, ${direct.toFixed(1)} ms to it and back`
    notes.note('relay-latency', added > slowMs ? 'warning' : 'yes', detail, facts)
  }

  async #checkHairpin(hairpin: Passage | undefined): Promise<void> {
    const { notes } = this.#subject
    if (!hairpin) return
    const { forth, back } = await this.#traffic.cross(hairpin, 'indication')
    const facts = { sent: forth.sent + back.sent, received: forth.received + back.received }
    const ok = forth.received > 0 && back.received > 0
    notes.note(
      'hairpin',
      ok ? 'yes' : 'no',
      `${facts.received} of ${facts.sent} packets between two allocations`,
      facts,
    )
  }

  #noteRefusedHairpin(failure: TurnFailure): void {
    const { notes } = this.#subject
    const result = failure.error ? 'no' : 'inconclusive'
    notes.note('hairpin', result, `no permission for another of its relayed addresses: ${saidBy(failure)}`)
  }

  #noteNothing(): void {
    const { notes } = this.#subject
    notes.note('data', 'inconclusive', 'no peer of ours was let in: neither our own address nor a second allocation')
    notes.note('permissions', 'inconclusive', 'no peer of ours was let in, so that nothing shows')
  }

  /** Where the server sets DF for us, what is too large is lost, and not put together again by the other side. */
  async #mtuPassage(passage: Passage): Promise<Passage & { readonly setsDontFragment: boolean }> {
    const plain = { ...passage, setsDontFragment: false }
    if (!this.#second?.setsDontFragment || !this.#own || passage.far !== 'own address') return plain
    const met = await meetOwnAddress(this.#subject, this.#traffic, this.#second, this.#own)
    return met ? { ...met, setsDontFragment: true } : plain
  }

  #begin(stage: 'permission' | 'channel' | 'data'): void {
    const { recorder, target } = this.#subject
    recorder.begin(target.attempt, stage)
  }

  #end(ok: boolean, detail: string): void {
    const { recorder, target } = this.#subject
    recorder.end(target.attempt, ok, detail)
  }
}

/** More than lines lose that anybody would call with. */
const lossy = 0.3

/** More than a relay on a busy machine takes; calls feel it together with the network. */
const slowMs = 30

const total = (results: readonly BurstResult[]): BurstResult => ({
  sent: results.reduce((sum, each) => sum + each.sent, 0),
  received: results.reduce((sum, each) => sum + each.received, 0),
  rttsMs: results.flatMap(({ rttsMs }) => rttsMs),
})
