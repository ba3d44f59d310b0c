/** The largest payload that crosses the relay, out and in. */
import { familyOf } from '../../core/index.ts'
import type { DataVia } from '../../proto/turn-client/index.ts'
import type { Subject } from './examination.ts'
import type { Ear, Passage, Traffic } from './passage.ts'
import { pause } from './pause.ts'

/** Crosses every network (RFC 8085 §3.2: IPv4's 576 bytes less headers). */
const leastBytes = 508

/** What WebRTC sends at most (libwebrtc, RFC 8831 §5): below it calls lose packets. */
const neededBytes = 1200

/** Ethernet's MTU less IP and UDP headers. */
const ethernetBytes = { 4: 1472, 6: 1452 } as const

/** Header, XOR-PEER-ADDRESS with IPv4 or IPv6, DONT-FRAGMENT, and DATA's own header. RFC 8656 §11 */
const indicationBytes = { 4: 40, 6: 52 } as const

/** Sizes tried at once: a search in eight parts takes three rounds, where one in halves takes nine. */
const parts = 8
const copies = 2

export async function checkMtu(
  subject: Subject,
  traffic: Traffic,
  passage: Passage & { readonly setsDontFragment: boolean },
): Promise<void> {
  const { notes, options, target } = subject
  const family = familyOf(target.to.ip)
  const ethernet = ethernetBytes[familyOf(passage.near.relayed.ip)]
  const most = target.attempt.transport === 'udp' ? ethernetBytes[family] - indicationBytes[family] : ethernet
  const via: DataVia = 'indication'
  const { near, peer, ear } = passage
  const [out, into] = await Promise.all([
    search(subject, traffic, most, (bytes) => near.session.send(peer, bytes, via), ear),
    search(subject, traffic, most, (bytes) => passage.back(bytes, via), near.ear),
  ])
  if (options.signal.aborted) return
  const bytes = Math.min(out, into)
  const facts = { bytes, outBytes: out, inBytes: into, mostBytes: most, dontFragment: passage.setsDontFragment }
  const df = passage.setsDontFragment ? ', DF set' : ''
  if (bytes === 0) return notes.note('mtu', 'inconclusive', `not even ${leastBytes} bytes came through`, facts)
  const size =
    bytes === most ? `${bytes} bytes of payload, all that Ethernet holds${df}` : `${out} bytes out, ${into} in${df}`
  notes.note('mtu', bytes < neededBytes ? 'no' : 'yes', size, facts)
}

/** The largest size that came out; 0: none did. */
async function search(
  subject: Subject,
  traffic: Traffic,
  most: number,
  send: (bytes: Uint8Array) => void,
  ear: Ear,
): Promise<number> {
  let low = 0
  let sizes = spread(leastBytes, most)
  for (;;) {
    const crossed = await attempt(subject, traffic, sizes, send, ear)
    low = Math.max(low, ...crossed)
    const high = Math.min(...sizes.filter((size) => size > low), low === 0 ? 0 : most)
    if (subject.options.signal.aborted || high <= low + 1 || crossed.length === sizes.length) return low
    const next = spread(low + 1, high - 1)
    if (next.length === 0) return low
    sizes = next
  }
}

/** At most `parts` sizes from `low` to `high`, both among them. */
function spread(low: number, high: number): readonly number[] {
  const step = (high - low) / (parts - 1)
  const sizes = Array.from({ length: parts }, (_, index) => Math.round(low + index * step))
  return [...new Set(sizes)].filter((size) => size >= low && size <= high)
}

/** Sends each size twice; which came out. */
async function attempt(
  { ports, options }: Subject,
  traffic: Traffic,
  sizes: readonly number[],
  send: (bytes: Uint8Array) => void,
  ear: Ear,
): Promise<readonly number[]> {
  const crossed = new Set<number>()
  const first = traffic.take(sizes.length * copies)
  const done = new AbortController()
  const stop = ear.listen((sequence, _, { length }) => {
    const size = sizes[sequence - first] ?? sizes[sequence - first - sizes.length]
    if (sequence < first || size !== length) return
    crossed.add(size)
    if (crossed.size === sizes.length) done.abort()
  })
  for (let copy = 0; copy < copies; copy++) {
    for (const [index, size] of sizes.entries()) send(traffic.payloads.make(first + copy * sizes.length + index, size))
  }
  await pause(ports.clock, traffic.waitMs, options.signal, done.signal)
  stop()
  return [...crossed]
}
