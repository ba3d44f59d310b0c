import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { publicServers } from '../../src/cli/nat/public-servers.ts'
import { readSettings } from '../../src/cli/nat/settings.ts'
import { formatServerUri, parseServerUri } from '../../src/wire/uri.ts'

let cwd = ''
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'natcheck-settings-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const read = (flags: Record<string, unknown> = {}, env: Record<string, string> = {}) =>
  readSettings(flags, { env, cwd })
const writeConfig = (config: unknown, name = 'natcheck.json') => writeFileSync(join(cwd, name), JSON.stringify(config))
const servers = (settings: ReturnType<typeof read>) => settings.servers.map(formatServerUri)

test('defaults: public servers, both families, the router is asked, opt-ins are off', () => {
  const settings = read()
  expect(servers(settings)).toEqual(publicServers)
  expect(settings).toMatchObject({
    serversFrom: 'public',
    families: [4, 6],
    timeoutMs: 10_000,
    localIp: undefined,
    port: undefined,
    hairpin: false,
    lifetime: false,
    fragments: false,
    ports: false,
    router: true,
    failOn: [],
  })
})

test('the public list is well-formed, and its names are names', () => {
  for (const uri of publicServers) expect(parseServerUri(uri)).toMatchObject({ scheme: 'stun', hostKind: 'name' })
})

describe('flag, else environment, else file, else default', () => {
  test('one after the other', () => {
    const config = { server: ['stun:file'], timeout: 1000, family: '4' }
    writeConfig(config)
    expect(servers(read())).toEqual(['stun:file'])
    expect(servers(read({}, { NATCHECK_SERVER: 'stun:env' }))).toEqual(['stun:env'])
    const named = read({ server: ['stun:flag'] }, { NATCHECK_SERVER: 'stun:env' })
    expect(servers(named)).toEqual(['stun:flag'])
    expect(named.serversFrom).toBe('flag')
    expect(read({}, { NATCHECK_TIMEOUT: '2000' })).toMatchObject({
      timeoutMs: 2000,
      families: [4],
      serversFrom: 'setting',
    })
  })

  test('an empty variable is an unset one', () => {
    expect(read({}, { NATCHECK_SERVER: '' }).serversFrom).toBe('public')
  })

  test('lists in the environment are parted by commas or spaces', () => {
    expect(servers(read({}, { NATCHECK_SERVER: 'stun:a, stun:b stun:c' }))).toEqual(['stun:a', 'stun:b', 'stun:c'])
    expect(read({}, { NATCHECK_FAIL_ON: 'symmetric blocked' }).failOn).toEqual(['symmetric', 'blocked'])
  })

  test('switches', () => {
    expect(read({ router: false }).router).toBe(false)
    expect(read({}, { NATCHECK_ROUTER: 'no', NATCHECK_HAIRPIN: '1', NATCHECK_PORTS: '1' })).toMatchObject({
      router: false,
      hairpin: true,
      ports: true,
    })
    writeConfig({ lifetime: true, ports: true, router: false })
    expect(read()).toMatchObject({ lifetime: true, ports: true, router: false })
  })

  test('--config names another file', () => {
    writeConfig({ server: ['stun:other'] }, 'other.json')
    expect(servers(read({ config: 'other.json' }))).toEqual(['stun:other'])
  })

  test('a local address decides the family, unless that is said', () => {
    expect(read({ local: '192.0.2.1' }).families).toEqual([4])
    expect(read({ local: '2001:DB8::1' })).toMatchObject({ families: [6], localIp: '2001:db8::1' })
    expect(read({ local: '192.0.2.1', family: 'both' }).families).toEqual([4, 6])
    expect(read({ local: '127.0.0.1', server: ['stun:127.0.0.1'] }).families).toEqual([4])
  })
})

describe('refused, with what to do', () => {
  test.each<[string, Record<string, unknown>, Record<string, string>, string, RegExp, RegExp]>([
    ['a malformed URI', { server: ['http://x'] }, {}, 'BAD_URI', /http/, /stun:/],
    ['a malformed URI in the environment', {}, { NATCHECK_SERVER: 'stun://x' }, 'BAD_URI', /slashes/, /stun:x/],
    [
      'TCP',
      { server: ['turn:h:443?transport=tcp'] },
      {},
      'USAGE',
      /^turn:h:443\?transport=tcp is reached by TCP/,
      /^give turn:h:443, if/,
    ],
    ['TLS', { server: ['turns:h:443'] }, {}, 'USAGE', /^turns:h:443 is reached by TLS/, /^give stun:h, if/],
    ['TLS to an address', { server: ['stuns:[::1]:443'] }, {}, 'USAGE', /is reached by TLS/, /^give stun:\[::1\], if/],
    ['DTLS', {}, { NATCHECK_SERVER: 'turns:h?transport=udp' }, 'USAGE', /is reached by DTLS/, /^give stun:h, if/],
    [
      'a local address of the other family',
      { local: '::1', family: '4', server: ['stun:h'] },
      {},
      'USAGE',
      /^the local address ::1 is an IPv6 address, but only IPv4 was asked for$/,
      /^use --family 6, or a local IPv4 address$/,
    ],
    [
      'a loopback address towards public servers',
      { local: '127.0.0.1' },
      {},
      'USAGE',
      /^from the local address 127\.0\.0\.1 nothing but this machine can be reached$/,
      /^leave --local out/,
    ],
    ['no server at all', { server: [] }, {}, 'USAGE', /empty/, /name at least one/],
    ['a family', { family: '5' }, {}, 'USAGE', /--family is "5"/, /4, 6 or both/],
    ['a timeout', { timeout: '1s' }, {}, 'USAGE', /--timeout is "1s"/, /from 1 to/],
    ['a timeout in the environment', {}, { NATCHECK_TIMEOUT: '-1' }, 'USAGE', /NATCHECK_TIMEOUT is "-1"/, /from 1 to/],
    ['a port', { port: '65536' }, {}, 'USAGE', /--port is "65536"/, /1 to 65535/],
    ['port 0', { port: '0' }, {}, 'USAGE', /--port/, /1 to 65535/],
    ['an address', { local: 'eth0' }, {}, 'BAD_ADDRESS', /--local is "eth0"/, /address of this machine/],
    [
      'an expectation',
      { failOn: 'symetric' },
      {},
      'USAGE',
      /--fail-on: there is no "symetric"/,
      /did you mean symmetric\? .*cgnat/,
    ],
    ['a far one', { failOn: 'xyzzy' }, {}, 'USAGE', /no "xyzzy"/, /^It takes symmetric, blocked/],
    ['a word of Object', { failOn: 'constructor' }, {}, 'USAGE', /no "constructor"/, /It takes/],
    ['no expectation', { failOn: ',' }, {}, 'USAGE', /--fail-on is empty/, /name at least one/],
    ['a switch', {}, { NATCHECK_ROUTER: 'maybe' }, 'USAGE', /NATCHECK_ROUTER is "maybe"/, /true or false/],
    ['a missing settings file', { config: 'none.json' }, {}, 'BAD_FILE', /none\.json/, /--config/],
  ])('%s', (_, flags, env, code, message, fix) => {
    expect(() => read(flags, env)).toThrow(
      expect.objectContaining({
        code,
        message: expect.stringMatching(message) as string,
        fix: expect.stringMatching(fix) as string,
      }) as Error,
    )
  })

  test.each([
    ['an unknown setting', { sever: [] }, /unknown setting "sever"/, /did you mean "server"\?/],
    ['a list', [], /not a JSON object/, /stun:/],
    ['a wrong type', { server: 7 }, /"server" in natcheck\.json/, /.*/],
  ])('a settings file with %s', (_, config, message, fix) => {
    writeConfig(config)
    expect(() => read()).toThrow(
      expect.objectContaining({ message: expect.stringMatching(message) as string }) as Error,
    )
    try {
      read()
    } catch (error) {
      expect(String((error as { fix?: string }).fix)).toMatch(fix)
    }
  })
})
