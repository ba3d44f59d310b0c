import { describe, expect, test } from 'vitest'
import { type ErrorCode, NatcheckError, type Network, type ServiceRecord } from '../../src/core/index.ts'
import { type ResolveOptions, resolveServer } from '../../src/probe/resolve.ts'
import { parseServerUri } from '../../src/wire/uri.ts'

interface Names {
  readonly hosts?: Readonly<Record<string, readonly string[] | ErrorCode>>
  readonly services?: Readonly<Record<string, readonly ServiceRecord[] | ErrorCode>>
}

/** A network of names only; `asked` lists the lookups with the time each was given. */
function namesOnly({ hosts = {}, services = {} }: Names): { network: Network; asked: string[] } {
  const asked: string[] = []
  const unused = (): never => {
    throw new Error('resolving opens no socket')
  }
  const answer = <T>(name: string, found: readonly T[] | ErrorCode): readonly T[] => {
    if (typeof found === 'string') throw new NatcheckError(found, name)
    return found
  }
  const network: Network = {
    openDatagram: unused,
    connectDatagram: unused,
    connectStream: unused,
    listenStream: unused,
    interfaces: unused,
    defaultGateway: unused,
    resolveHost: async (name, timeoutMs) => {
      asked.push(`${name} ${timeoutMs}`)
      return answer(name, hosts[name] ?? 'UNKNOWN_HOST')
    },
    resolveService: async (name, timeoutMs) => {
      asked.push(`${name} ${timeoutMs}`)
      return answer(name, services[name] ?? [])
    },
  }
  return { network, asked }
}

const both: ResolveOptions = { family: 'both', timeoutMs: 2000 }
const service = (host: string, port: number): ServiceRecord => ({ host, port, priority: 0, weight: 0 })

async function addressesOf(names: Names, uri: string, options = both): Promise<string[]> {
  const { candidates } = await resolveServer(namesOnly(names).network, parseServerUri(uri), options)
  return candidates.map(({ protocol, address: { ip, port } }) => `${protocol} ${ip} ${port}`)
}

const failure = async (names: Names, uri: string, options = both): Promise<NatcheckError> => {
  const error: unknown = await resolveServer(namesOnly(names).network, parseServerUri(uri), options).catch(
    (thrown: unknown) => thrown,
  )
  if (error instanceof NatcheckError) return error
  throw new Error(`${uri} resolved`, { cause: error })
}

describe('address literals', () => {
  test('are asked of nobody', async () => {
    const { network, asked } = namesOnly({})
    expect(await resolveServer(network, parseServerUri('stun:192.0.2.1'), both)).toEqual({
      candidates: [{ address: { ip: '192.0.2.1', port: 3478 }, protocol: 'udp', serverName: '192.0.2.1' }],
    })
    expect(asked).toEqual([])
  })

  test('of the other family are a usage error that names both', async () => {
    const problem = await failure({}, 'stun:[2001:db8::1]:3478', { ...both, family: 4 })
    expect(problem.code).toBe('USAGE')
    expect(problem.message).toBe('stun:[2001:db8::1]:3478 is an IPv6 address, but only IPv4 was asked for')
  })
})

describe('names with a port', () => {
  test('need A and AAAA only, in the order of the resolver', async () => {
    const { network, asked } = namesOnly({ hosts: { 's.example': ['2001:db8::1', '192.0.2.1', '192.0.2.1'] } })
    const { candidates } = await resolveServer(network, parseServerUri('turn:s.example:443?transport=tcp'), both)
    expect(candidates).toEqual([
      { address: { ip: '2001:db8::1', port: 443 }, protocol: 'tcp', serverName: 's.example' },
      { address: { ip: '192.0.2.1', port: 443 }, protocol: 'tcp', serverName: 's.example' },
    ])
    expect(asked).toEqual(['s.example 2000'])
  })

  test('keep the family that was asked for, and say when there is none of it', async () => {
    const hosts = { 'dual.example': ['2001:db8::1', '192.0.2.1'], 'old.example': ['192.0.2.1'] }
    expect(await addressesOf({ hosts }, 'stun:dual.example:1', { ...both, family: 6 })).toEqual(['udp 2001:db8::1 1'])
    const problem = await failure({ hosts }, 'stun:old.example:1', { ...both, family: 6 })
    expect(problem.code).toBe('NO_ADDRESS')
    expect(problem.message).toBe('old.example has no IPv6 address')
  })
})

describe('names without a port', () => {
  const hosts = { 's.example': ['192.0.2.1'], 'a.example': ['192.0.2.10'], 'b.example': ['2001:db8::b', '192.0.2.11'] }

  test.each([
    ['stun:s.example', '_stun._udp.s.example', 'udp'],
    ['stuns:s.example', '_stuns._tcp.s.example', 'tls'],
    ['turn:s.example', '_turn._udp.s.example', 'udp'],
    ['turn:s.example?transport=tcp', '_turn._tcp.s.example', 'tcp'],
    ['turns:s.example', '_turns._tcp.s.example', 'tls'],
  ])('%s asks for %s, and takes its targets in order', async (uri, name, protocol) => {
    const services = { [name]: [service('b.example', 5000), service('a.example', 5001)] }
    expect(await addressesOf({ hosts, services }, uri)).toEqual([
      `${protocol} 2001:db8::b 5000`,
      `${protocol} 192.0.2.11 5000`,
      `${protocol} 192.0.2.10 5001`,
    ])
  })

  test('keep the name of the URI for the certificate', async () => {
    const services = { '_turns._tcp.s.example.': [service('a.example', 443)] }
    const { candidates } = await resolveServer(
      namesOnly({ hosts, services }).network,
      parseServerUri('turns:s.example.'),
      both,
    )
    expect(candidates.map(({ serverName }) => serverName)).toEqual(['s.example'])
  })

  test.each<[string, readonly ServiceRecord[] | ErrorCode]>([
    ['no SRV record', []],
    ['a failing SRV lookup', 'DNS_FAILED'],
    ['SRV records that lead nowhere', [service('gone.example', 5000)]],
  ])('%s leaves A/AAAA with the default port', async (_case, records) => {
    const services = { '_stun._udp.s.example': records, '_turns._tcp.s.example': records }
    expect(await addressesOf({ hosts, services }, 'stun:s.example')).toEqual(['udp 192.0.2.1 3478'])
    expect(await addressesOf({ hosts, services }, 'turns:s.example')).toEqual(['tls 192.0.2.1 5349'])
  })

  test('one dead target does not hide the others', async () => {
    const services = { '_stun._udp.s.example': [service('gone.example', 1), service('a.example', 2)] }
    expect(await addressesOf({ hosts, services }, 'stun:s.example')).toEqual(['udp 192.0.2.10 2'])
  })

  test('SRV alone is enough', async () => {
    const services = { '_stun._udp.only-srv.example': [service('a.example', 2)] }
    expect(await addressesOf({ hosts, services }, 'stun:only-srv.example')).toEqual(['udp 192.0.2.10 2'])
  })

  test('a target of "." is a plain no', async () => {
    for (const host of ['.', '']) {
      const problem = await failure(
        { hosts, services: { '_stun._udp.s.example': [service(host, 0)] } },
        'stun:s.example',
      )
      expect(problem.code).toBe('UNKNOWN_HOST')
      expect(problem.message).toBe('s.example says in DNS (_stun._udp.s.example) that it offers no stun service')
      expect(problem.fix).toBe('give the port to ask it nevertheless: stun:s.example:3478')
    }
  })

  test('the failure of the address lookup is the one that is told', async () => {
    expect((await failure({}, 'stun:none.example')).code).toBe('UNKNOWN_HOST')
    const silent: Names = {
      hosts: { 's.example': 'DNS_FAILED' },
      services: { '_stun._udp.s.example': 'DNS_FAILED' },
    }
    expect((await failure(silent, 'stun:s.example')).code).toBe('DNS_FAILED')
  })

  test('all lookups together keep within the time, and SRV within 500 ms', async () => {
    const services = { '_stun._udp.s.example': [service('a.example', 2)] }
    const { network, asked } = namesOnly({ hosts, services })
    await resolveServer(network, parseServerUri('stun:s.example'), both)
    expect(asked).toEqual(['s.example 1000', '_stun._udp.s.example 500', 'a.example 1000'])
  })

  test.each(['localhost', 'printer.local', 'myserver'])('%s is no name for SRV', async (name) => {
    const { network, asked } = namesOnly({ hosts: { [name]: ['127.0.0.1'] } })
    await resolveServer(network, parseServerUri(`stun:${name}`), both)
    expect(asked).toEqual([`${name} 2000`])
  })
})

test('TURN over DTLS is named as unsupported', async () => {
  const problem = await failure({}, 'turns:s.example?transport=udp')
  expect(problem.code).toBe('UNSUPPORTED')
  expect(problem.fix).toBe('use turns:s.example?transport=tcp')
})
