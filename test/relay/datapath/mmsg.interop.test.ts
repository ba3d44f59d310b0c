import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import type { AcceptedStream, Network, StreamHandlers } from '../../../src/core/index.ts'
import type { startMmsg as Start } from '../../../src/relay/datapath/mmsg/index.ts'
import type { Datapath } from '../../../src/relay/datapath/datapath.ts'
import { mmsgProblem } from '../../../src/relay/datapath/mmsg/index.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../../src/transport/index.ts'
import { StreamDecoder } from '../../../src/wire/index.ts'
import { allocate, channelBind, describePacket, relayedAddress } from './turn-messages.ts'

const root = new URL('../../../', import.meta.url)
const problem = await mmsgProblem()

/** Whoever has ended is a zombie (Z) until its parent asks, or nobody any more. */
function runs(pid: string): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** The worker is JavaScript, so all of it comes from the build. */
const built = async (): Promise<{ startMmsg: typeof Start }> =>
  createRequire(import.meta.url)('../../../dist/relay/datapath/mmsg/index.js') as { startMmsg: typeof Start }

describe.skipIf(problem !== undefined)('the mmsg datapath in its worker', () => {
  test('the benchmark runs through, with nothing lost at a low rate', async () => {
    const main = new URL('test/bench/relay/main.mjs', root).pathname
    const options = '--json --only mmsg,dgram --rounds 1 --seconds 0.2 --sessions 2 --burst 2 --rates 2000 --sizes 160'
    const child = spawn(process.execPath, [main, ...options.split(' '), '--allocations', '100'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
    const [status] = (await once(child, 'close')) as [number]
    expect(status).toBe(0)
    const report = JSON.parse(output) as {
      runs: { server: string; direction: string; delivered: number; nanoseconds: number }[]
      allocations: { server: string; perSecond: number }[]
    }
    expect(report.runs.map(({ server, direction, delivered }) => `${server} ${direction} ${delivered}`)).toEqual([
      'mmsg up 1',
      'dgram up 1',
      'mmsg down 1',
      'dgram down 1',
    ])
    expect(report.runs.filter(({ nanoseconds }) => !(nanoseconds > 0))).toEqual([])
    expect(report.allocations.filter(({ perSecond }) => !(perSecond > 0))).toEqual([])
  })

  test('the benchmark leaves no process behind when it is told to end', async () => {
    const main = new URL('test/bench/relay/main.mjs', root).pathname
    const bench = spawn(process.execPath, [main, '--only', 'mmsg'], { stdio: 'ignore' })
    const children = `/proc/${bench.pid}/task/${bench.pid}/children`
    const pids = (): string[] => readFileSync(children, 'utf8').trim().split(' ').filter(Boolean)
    // The server and its load.
    await expect.poll(() => pids().length, { timeout: 10_000 }).toBe(2)
    const started = pids()
    bench.kill('SIGTERM')
    expect(await once(bench, 'close')).toEqual([128 + 15, null])
    await expect.poll(() => started.filter(runs)).toEqual([])
  })

  test('requests are answered, refusals too, a TCP client is served, and close ends the thread', async () => {
    const { startMmsg } = await built()
    const settings = { user: 'u', password: 'p', realm: 'r', relayIp: '127.0.0.1', auth: 'none' }
    const datapath = await startMmsg(
      { network: nodeNetwork(), clock: systemClock, random: systemRandom },
      {
        worker: new URL('test/bench/relay/worker-main.mjs', root),
        listeners: [
          { protocol: 'tcp', address: { ip: '127.0.0.1', port: 0 } },
          { protocol: 'udp', address: { ip: '127.0.0.1', port: 0 } },
        ],
        settings,
      },
      { onMessage: () => undefined, onFailed: (error) => expect.unreachable(error.message) },
    )
    expect(datapath.listening.map(({ protocol }) => protocol)).toEqual(['tcp', 'udp'])
    const [tcp] = datapath.listening
    if (!tcp) throw new Error('nobody listens')

    const peerHeard: string[] = []
    const peer = await nodeNetwork().openDatagram(
      { family: 4, ip: '127.0.0.1' },
      { onDatagram: (bytes) => void peerHeard.push(new TextDecoder().decode(bytes)), onFailure: () => undefined },
    )
    const heard: Uint8Array[] = []
    const decoder = new StreamDecoder()
    let ended = false
    const stream = await nodeNetwork().connectStream(
      { to: tcp.address, timeoutMs: 5000 },
      {
        onData: (chunk) => {
          for (const frame of decoder.push(chunk)) {
            if (frame.kind === 'message') heard.push(frame.message.bytes)
            if (frame.kind === 'channel-data') heard.push(frame.channelData.data)
          }
        },
        onClose: () => (ended = true),
      },
    )
    stream.send(allocate())
    await expect.poll(() => heard.length).toBe(1)
    const relayed = relayedAddress(heard[0] ?? new Uint8Array())
    stream.send(channelBind(peer.local))
    await expect.poll(() => heard.length).toBe(2)
    expect(heard.map(describePacket)).toEqual(['allocate success', 'channelBind success'])
    stream.send(Uint8Array.of(0x40, 0, 0, 2, 0x68, 0x69, 0, 0))
    await expect.poll(() => peerHeard).toEqual(['hi'])
    peer.send(Uint8Array.of(0x79, 0x6f), relayed)
    await expect.poll(() => new TextDecoder().decode(heard[2])).toBe('yo')
    expect(await datapath.request('counts')).toMatchObject([{ allocations: 1, channels: 1 }])
    await expect(datapath.request('nonsense')).rejects.toThrow('what is nonsense?')

    peer.close()
    await datapath.close()
    await datapath.close()
    await expect.poll(() => ended).toBe(true)
    await expect(datapath.request('counts')).rejects.toThrow(/ended/)
  })

  test('a stream that says more than the thread can serve has to wait, and is read again', async () => {
    const { startMmsg } = await built()
    const told: string[] = []
    const heard: number[] = []
    let handlers: StreamHandlers | undefined
    const stream: AcceptedStream = {
      local: { ip: '127.0.0.1', port: 1 },
      remote: { ip: '127.0.0.1', port: 2 },
      unsent: 0,
      send: (bytes) => void heard.push(bytes.length),
      close: () => void told.push('closed'),
      pause: () => void told.push('paused'),
      resume: () => void told.push('resumed'),
    }
    const listenStream: Network['listenStream'] = async (_options, accept) => {
      handlers = accept(stream)
      return { local: stream.local, replaceCertificate: () => undefined, close: () => undefined }
    }
    const datapath = await startMmsg(
      { network: { ...nodeNetwork(), listenStream }, clock: systemClock, random: systemRandom },
      {
        worker: new URL('test/bench/relay/worker-main.mjs', root),
        listeners: [{ protocol: 'tcp', address: { ip: '127.0.0.1', port: 0 } }],
        settings: { user: 'u', password: 'p', realm: 'r', relayIp: '127.0.0.1', auth: 'none' },
      },
      { onMessage: () => undefined, onFailed: (error) => expect.unreachable(error.message) },
    )
    const requests = Array.from({ length: 1000 }, () => allocate())
    for (const request of requests) handlers?.onData(request)
    expect(told).toEqual([])
    for (let i = 0; i < 2; i++) for (const request of requests) handlers?.onData(request)
    expect(new Set(told)).toEqual(new Set(['paused']))
    await expect.poll(() => heard.length).toBe(3000)
    await expect.poll(() => told.at(-1)).toBe('resumed')
    await datapath.close()
  })

  test('several threads share the clients and the port; a taken port is still refused', async () => {
    const { startMmsg } = await built()
    const start = (port: number): Promise<Datapath> =>
      startMmsg(
        { network: nodeNetwork(), clock: systemClock, random: systemRandom },
        {
          worker: new URL('test/bench/relay/worker-main.mjs', root),
          listeners: [{ protocol: 'udp', address: { ip: '127.0.0.1', port } }],
          settings: { relayIp: '127.0.0.1', auth: 'none' },
          threads: 3,
        },
        { onMessage: () => undefined, onFailed: (error) => expect.unreachable(error.message) },
      )
    const datapath = await start(0)
    const to = datapath.listening[0]?.address ?? { ip: '', port: 0 }
    await expect(start(to.port)).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' })
    let answered = 0
    const clients = await Promise.all(
      Array.from({ length: 64 }, () =>
        nodeNetwork().openDatagram(
          { family: 4, ip: '127.0.0.1' },
          {
            onDatagram: (bytes) => describePacket(bytes) === 'allocate success' && answered++,
            onFailure: () => undefined,
          },
        ),
      ),
    )
    for (const client of clients) client.send(allocate(), to)
    await expect.poll(() => answered).toBe(64)
    const counts = (await datapath.request('counts')) as { allocations: number }[]
    expect(counts.reduce((sum, { allocations }) => sum + allocations, 0)).toBe(64)
    // By the kernel's hash: all on one of three would be a chance of 3 in 3^64.
    expect(counts.filter(({ allocations }) => allocations > 0).length).toBeGreaterThan(1)
    for (const client of clients) client.close()
    await datapath.close()
  })

  test('an address that is taken is told as such, and the thread ends', async () => {
    const { startMmsg } = await built()
    const taken = await nodeNetwork().openDatagram(
      { family: 4, ip: '127.0.0.1' },
      { onDatagram: () => undefined, onFailure: () => undefined },
    )
    const starting = startMmsg(
      { network: nodeNetwork(), clock: systemClock, random: systemRandom },
      {
        worker: new URL('test/bench/relay/worker-main.mjs', root),
        listeners: [{ protocol: 'udp', address: taken.local }],
        settings: { relayIp: '127.0.0.1', auth: 'none' },
      },
      { onMessage: () => undefined, onFailed: () => undefined },
    )
    await expect(starting).rejects.toMatchObject({ code: 'ADDRESS_IN_USE', message: expect.stringContaining('in use') })
    taken.close()
  })
})
