/** A burst at a given rate through the relay, bounded in time. Opt-in: it costs whoever pays for the relay's traffic. */
import { elapsed } from '../../core/index.ts'
import { round } from '../ice/recorder.ts'
import type { Subject } from './examination.ts'
import { throughputMs } from './options.ts'
import type { Passage, Traffic } from './passage.ts'
import { pause } from './pause.ts'

const packetBytes = 1200
/** Small enough for no queue to overflow at the rates that are asked for. */
const tickMs = 5

export async function checkThroughput(subject: Subject, traffic: Traffic, { near, peer, ear }: Passage): Promise<void> {
  const { wanted, notes, ports, options } = subject
  const { rateMbit } = wanted
  if (rateMbit === undefined) return notes.note('throughput', 'not-tested', 'takes --rate')
  wanted.onProgress?.({ kind: 'waiting', why: 'throughput', seconds: throughputMs / 1000 })
  const perMs = (rateMbit * 1000) / 8 / packetBytes
  const first = traffic.take(Math.ceil(perMs * throughputMs) + 1)
  let sent = 0
  let received = 0
  const stop = ear.listen((sequence) => {
    if (sequence >= first && sequence < first + sent) received++
  })
  const startedAt = ports.clock.now()
  for (;;) {
    const passed = elapsed(startedAt, ports.clock.now())
    if (passed >= throughputMs || options.signal.aborted) break
    const due = Math.floor(Math.min(passed + tickMs, throughputMs) * perMs)
    for (; sent < due; sent++) near.session.send(peer, traffic.payloads.make(first + sent, packetBytes), 'channel')
    await pause(ports.clock, tickMs, options.signal)
  }
  const seconds = elapsed(startedAt, ports.clock.now()) / 1000
  await pause(ports.clock, traffic.waitMs, options.signal)
  stop()
  if (sent === 0) return
  const lost = round((1 - received / sent) * 100)
  const mbit = round((received * packetBytes * 8) / seconds / 1e6)
  const facts = { askedMbit: rateMbit, deliveredMbit: mbit, sent, received, lostPercent: lost }
  const detail = `${mbit} of ${rateMbit} Mbit/s came through in ${seconds.toFixed(1)} s, ${lost} % lost`
  notes.note('throughput', received === 0 ? 'no' : lost > 2 ? 'warning' : 'yes', detail, facts)
}
