/** The worker of the mmsg datapath: it blocks until `stop`, and hears the main thread through an eventfd. */
import { randomBytes, randomInt } from 'node:crypto'
import { receiveMessageOnPort } from 'node:worker_threads'
import { type Clock, type Instant, instant, NatcheckError, type Random, wallTime } from '../../../core/index.ts'
import type { CreateServer } from '../datapath.ts'
import { SharedLedger } from '../ledger.ts'
import { Loop } from './loop.ts'
import { costOf, type FromWorker, type ToWorker, type WorkerSettings } from './messages.ts'
import { loadSystem } from './system.ts'

/** What the main thread may have waiting for its streams, about 3,000 packets of video. */
const MAX_UNTAKEN = 4 * 2 ** 20

export async function runWorker<Settings>(worker: WorkerSettings, createServer: CreateServer<Settings>): Promise<void> {
  const { port, timeOrigin } = worker
  const post = (message: FromWorker): void => port.postMessage(message)
  const now = (): Instant => instant(performance.now() + performance.timeOrigin - timeOrigin)
  const system = await loadSystem()
  const clock: Clock = {
    now,
    wallTime: () => wallTime(Date.now()),
    schedule: () => {
      // Only the loop waits here, and it asks the machine for how long.
      throw new NatcheckError('UNSUPPORTED', 'timers do not run beside the mmsg loop')
    },
  }
  let untaken = 0
  let lost = 0
  const server = createServer(worker.settings as Settings, {
    clock,
    random,
    post: (message) => post({ kind: 'message', message }),
    dropped: () => loop.dropped + lost,
    ledger: worker.ledger && new SharedLedger(worker.ledger),
    sourceLimit: worker.sourceLimit,
  })
  const loop = new Loop({
    system,
    machine: server.machine,
    now,
    sharing: worker.sharing,
    offload: worker.offload,
    coalesceMicroseconds: worker.coalesceMicroseconds,
    onEvent: (event) => server.onEvent(event, now()),
    sendToStream: (path, bytes) => {
      // A peer may send faster than the main thread can write: packets are lost here as they would be in a full queue.
      const isAnswer = (bytes[0] ?? 0) === 1
      if (untaken > MAX_UNTAKEN && !isAnswer) return void lost++
      const message = { kind: 'stream-send', key: Number(path.key), bytes } as const
      untaken += costOf(message)
      post(message)
    },
    onWake: () => {
      let cost = 0
      for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
        const message = next.message as ToWorker
        if ('path' in message) cost += costOf(message)
        handle(message)
      }
      if (cost > 0) post({ kind: 'streams-served', cost })
    },
  })
  const handle = (message: ToWorker): void => {
    const at = now()
    switch (message.kind) {
      case 'request':
        return answer(message.id, () => server.onRequest(message.request, at))
      case 'stream-message':
        server.machine.handleClient(message.path, message.bytes, at)
        return loop.perform()
      case 'stream-data':
        if (loop.relayFromStream(message.path, message.channel, message.data, at)) return
        server.machine.handleClient(message.path, frameOf(message.channel, message.data), at)
        return loop.perform()
      case 'stream-gone':
        server.machine.handleClientGone(message.path, at)
        return loop.perform()
      case 'streams-taken':
        untaken -= message.cost
        return
      case 'stop':
        return loop.stop()
    }
  }
  const answer = (id: number, ask: () => unknown): void => {
    try {
      const result = ask()
      loop.perform()
      post({ kind: 'answer', id, answer: result })
    } catch (error) {
      const code = error instanceof NatcheckError ? error.code : undefined
      post({ kind: 'refusal', id, code, message: error instanceof Error ? error.message : String(error) })
    }
  }
  try {
    const listening = worker.listen.map((address) => loop.listen(address))
    post({ kind: 'ready', listening, wakeFd: loop.wakeFd })
    loop.run()
    post({ kind: 'stopped' })
  } finally {
    loop.end()
    port.close()
  }
}

const random: Random = {
  bytes: (length) => new Uint8Array(randomBytes(length)),
  integer: (min, max) => randomInt(min, max + 1),
}

function frameOf(channel: number, data: Uint8Array): Uint8Array {
  const frame = new Uint8Array(4 + data.length)
  new DataView(frame.buffer).setUint32(0, channel * 65536 + data.length)
  frame.set(data, 4)
  return frame
}
