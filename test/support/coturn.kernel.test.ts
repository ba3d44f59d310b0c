import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { startCoturn } from './coturn.ts'
import { Namespaces } from './netns.ts'
import { describeIf } from './requirements.ts'
import { UdpAgent } from './udp-agent.ts'

describeIf(['netns', 'turnserver'], 'coturn in a namespace', () => {
  test('relays for those who know its user, and leaves nothing behind', async () => {
    const leftovers = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('natcheck-coturn-'))
    const before = leftovers()
    const namespaces = await Namespaces.create('server')
    try {
      const namespace = namespaces.get('server')
      await namespace.ip('addr add 192.0.2.1/32 dev lo')
      const turn = { user: 'alice', password: 'secret', realm: 'lab' }
      const coturn = await startCoturn(namespace, { ips: ['192.0.2.1'], turn })
      const agent = await UdpAgent.start(namespace)
      const socket = await agent.open('192.0.2.1')
      // Allocate with REQUESTED-TRANSPORT UDP (RFC 8656 §7.1), without credentials: 401, with the realm to use.
      socket.send('\x00\x03\x00\x08\x21\x12\xa4\x42allocate?yes\x00\x19\x00\x04\x11\x00\x00\x00', {
        ip: '192.0.2.1',
        port: 3478,
      })
      const { text } = await socket.firstDatagram()
      expect(text.slice(0, 2)).toBe('\x01\x13')
      expect(text).toContain('\x00\x00\x04\x01')
      expect(text).toContain('\x00\x14\x00\x03lab')
      await coturn.stop()
      expect(existsSync(`/proc/${coturn.daemon.pid}`)).toBe(false)
      expect(leftovers()).toEqual(before)
    } finally {
      await namespaces.remove()
    }
  })

  test('a turnserver that does not start is an error with its own words', async () => {
    const namespaces = await Namespaces.create('server')
    try {
      const start = startCoturn(namespaces.get('server'), { ips: ['127.0.0.1'], options: ['--no-such-option'] })
      await expect(start).rejects.toThrow(/no-such-option/)
    } finally {
      await namespaces.remove()
    }
  })
})
