/** Server-sent events over real sockets on loopback: who stops reading is let go, and comes back to the state of things. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { Feed } from '../../src/dashboard/feed.ts'

interface Served {
  readonly feed: Feed
  readonly counts: readonly number[]
  readonly read: () => Promise<IncomingMessage>
}

async function serve(): Promise<Served> {
  const counts: number[] = []
  const feed = new Feed((count) => counts.push(count))
  const server = createServer((_, response) => feed.add(response, [{ event: 'state', data: 1 }]))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    feed.close()
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const read = async (): Promise<IncomingMessage> => {
    const asking = request({ host: '127.0.0.1', port, agent: false })
    asking.on('error', () => undefined).end()
    const [response] = (await once(asking, 'response')) as [IncomingMessage]
    response.on('error', () => undefined)
    return response
  }
  return { feed, counts, read }
}

async function textUntil(response: IncomingMessage, end: string): Promise<string> {
  let text = ''
  for await (const chunk of response) {
    text += String(chunk)
    if (text.includes(end)) break
  }
  return text
}

test('begins with the state, and goes on with what is published', async () => {
  const { feed, counts, read } = await serve()
  const response = await read()
  response.setEncoding('utf8')
  feed.publish({ event: 'relay', data: { line: 'a\nb' } })
  expect(await textUntil(response, 'relay')).toBe(
    'retry: 1000\n\nevent: state\ndata: 1\n\nevent: relay\ndata: {"line":"a\\nb"}\n\n',
  )
  await expect.poll(() => counts).toEqual([1, 0])
})

test('a reader that stops reading is let go, and others are not', async () => {
  const { feed, counts, read } = await serve()
  const [stuck, awake] = [await read(), await read()]
  stuck.pause()
  let received = 0
  awake.on('data', (chunk: Buffer) => (received += chunk.length))
  const data = 'x'.repeat(100_000)
  let published = 0
  while (counts.at(-1) !== 1 && published < 1000) {
    feed.publish({ event: 'relay', data })
    published++
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(counts).toEqual([1, 2, 1])
  await expect.poll(() => received).toBeGreaterThan(published * data.length)
})
