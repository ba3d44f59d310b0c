import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { Namespaces, sweepLeftovers } from './netns.ts'
import { printed, run } from './process.ts'
import { describeIf } from './requirements.ts'

describeIf(['netns'], 'network namespaces', () => {
  const sets: Namespaces[] = []
  afterEach(async () => {
    for (const set of sets.splice(0)) await set.remove()
  })
  const create = async (...names: string[]): Promise<Namespaces> => {
    const set = await Namespaces.create(...names)
    sets.push(set)
    return set
  }

  test('two linked namespaces reach each other by IPv4 and IPv6 at once', async () => {
    const set = await create('a', 'b')
    await set.link(
      { in: 'a', as: 'eth0', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
      { in: 'b', as: 'eth0', addresses: ['192.0.2.2/24', '2001:db8::2/64'] },
    )
    const sender = `
      const dgram = require('node:dgram')
      for (const [type, to] of [['udp4', '192.0.2.2'], ['udp6', '2001:db8::2']]) {
        const socket = dgram.createSocket(type)
        socket.send('hello', 9999, to, () => socket.close())
      }`
    const receiver = `
      const dgram = require('node:dgram')
      const socket = dgram.createSocket('udp6').bind(9999, () => console.log('ready'))
      socket.on('message', (bytes, from) => console.log('from', from.address))`
    const daemon = set.get('b').start(['node', '-e', receiver])
    await printed(daemon, /ready/)
    await set.get('a').check(['node', '-e', sender])
    await printed(daemon, /from ::ffff:192\.0\.2\.1\n/)
    await printed(daemon, /from 2001:db8::1\n/)
  })

  test('removing a set ends what runs inside and leaves no namespace', async () => {
    const set = await create('a')
    const daemon = set.get('a').start(['sleep', '1000'])
    expect(existsSync(`/run/netns/${set.get('a').name}`)).toBe(true)
    const { name } = set.get('a')
    await set.remove()
    expect(existsSync(`/run/netns/${name}`)).toBe(false)
    expect(daemon.child.signalCode).toBe('SIGTERM')
  })

  test('a failing command rejects with what the tool said', async () => {
    const set = await create('a')
    await expect(set.get('a').ip('addr add 192.0.2.1/24 dev nowhere')).rejects.toThrow(/nowhere/)
    await expect(set.get('a').nft('add chain ip nowhere x')).rejects.toThrow(/No such file/)
  })

  test('a program that does not end is killed at its deadline', async () => {
    await expect(run(['sleep', '1000'], { timeoutMs: 50 })).rejects.toThrow(/still ran after 50 ms/)
  })

  test('leftovers of a test run that is gone are swept', async () => {
    // The pid of a process that has ended, so nobody's.
    const gone = execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim()
    const name = `natcheck-${gone}-abcdef-a`
    await run(['ip', 'netns', 'add', name])
    await sweepLeftovers()
    expect(existsSync(`/run/netns/${name}`)).toBe(false)
  })
})
