/** The command as a process, towards loopback only. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Check } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CheckupReport, NatReport } from '../../src/report/index.ts'
import { checkupReportSchema } from '../../src/report/checkup-schema.ts'
import { natReportSchema } from '../../src/report/schema.ts'
import { type StunServer, startStunServer } from '../../src/relay/stun-server.ts'
import { nodeNetwork } from '../../src/transport/index.ts'
import { natcheck } from './natcheck.ts'

/** One line, ours, and no stack. */
const oneLine = /^natcheck: [^\n]+ — [^\n]+\n$/

describe('help', () => {
  test.each([
    ['help', ['--help']],
    ['help-doctor', ['doctor', '--help']],
    ['help-nat', ['nat', '--help']],
    ['help-ice', ['ice', '--help']],
    ['help-turn', ['turn', '--help']],
    ['help-config', ['config', '--help']],
    ['help-relay', ['relay', '--help']],
    ['help-up', ['up', '--help']],
    ['help-dashboard', ['dashboard', '--help']],
    ['help-compare', ['compare', '--help']],
    ['help-credentials', ['credentials', '--help']],
    ['help-coturn', ['coturn', '--help']],
    ['help-coturn-init', ['coturn', 'init', '--help']],
    ['help-coturn-lint', ['coturn', 'lint', '--help']],
    ['help-coturn-explain', ['coturn', 'explain', '--help']],
    ['help-coturn-migrate', ['coturn', 'migrate', '--help']],
    ['help-coturn-convert', ['coturn', 'convert', '--help']],
    ['help-coturn-run', ['coturn', 'run', '--help']],
    ['help-coturn-check', ['coturn', 'check', '--help']],
  ])('%s', async (name, args) => {
    const { status, stdout, stderr } = await natcheck(args)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^Examples:\n/)
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
    await expect(stdout).toMatchFileSnapshot(`../golden/${name}.txt`)
  })

  test('says of each thing that leaves the machine where it goes', async () => {
    const { stdout } = await natcheck(['nat', '--help'])
    const leaves = /What leaves this machine:\n(.*?)\n\n/s.exec(stdout)?.[1] ?? ''
    for (const word of ['239.255.255.250:1900', '--hairpin', '--lifetime', '--fragments', '--ports', '--no-router'])
      expect(leaves).toContain(word)
  })

  test('--version is the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect((await natcheck(['--version'])).stdout).toBe(`${version}\n`)
  })
})

describe('usage errors: one line, exit 2', () => {
  test.each([
    ['a typo in a sub-command never runs the default', ['nta'], /unknown command 'nta' — did you mean nat\?/],
    ['a word that is like none', ['frobnicate'], /unknown command 'frobnicate' — natcheck --help/],
    ['an unknown flag', ['nat', '--jsno'], /unknown option '--jsno' — did you mean --json\?/],
    ['a flag without its value', ['nat', '--server'], /argument missing/],
    ['too much', ['nat', 'stun:h'], /too many arguments/],
    ['a malformed URI', ['--server', 'stun://h'], /slashes .* — write stun:h/],
    ['TURN without credentials', ['--server', 'turn:h'], /needs credentials — give --username/],
    ['stuns:', ['nat', '--server', 'stuns:127.0.0.1'], /TLS.* — give stun:127\.0\.0\.1/],
    ['--family', ['nat', '--family', '5'], /--family is "5" — write 4, 6 or both/],
    ['--timeout', ['nat', '--timeout', 'soon'], /--timeout is "soon"/],
    ['--fail-on', ['nat', '--fail-on', 'symetric'], /did you mean symmetric\?/],
    ['--from', ['nat', '--from', '/nonexistent'], /\/nonexistent can't be read/],
    ['--local', ['nat', '--server', 'stun:127.0.0.1:9', '--local', '192.0.2.1'], /192\.0\.2\.1/],
    ['TURN over TCP', ['nat', '--server', 'turn:127.0.0.1?transport=tcp'], /TCP.* — give turn:127\.0\.0\.1, if/],
    ['--local of the other family', ['nat', '--local', '::1', '--family', '4'], /local address ::1 is an IPv6 address/],
    [
      '--local that leads nowhere',
      ['nat', '--local', '127.0.0.1'],
      /local address 127\.0\.0\.1 nothing but this machine/,
    ],
    ['schema of nothing', ['schema', 'x'], /no report "x"/],
  ])('%s', async (_, args, message) => {
    const { status, stdout, stderr } = await natcheck(args)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(oneLine)
    expect(stderr).toMatch(message)
  })

  test.each([['--json'], ['--jsonl']])('the document is printed all the same with %s', async (flag) => {
    const { status, stdout } = await natcheck(['nat', flag, '--family', '5'])
    expect(status).toBe(2)
    const report = JSON.parse(stdout) as NatReport
    expect(Check(natReportSchema, report)).toBe(true)
    expect(report.error).toMatchObject({ code: 'USAGE', fix: 'write 4, 6 or both' })
  })
})

test('schema nat prints the schema that the package exports', async () => {
  const { status, stdout } = await natcheck(['schema', 'nat'])
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(natReportSchema)))
})

test('nobody reads: no error, no noise', async () => {
  expect(await natcheck(['schema', 'nat'], { unread: true })).toMatchObject({ status: 0, stderr: '' })
})

describe.skipIf(!existsSync('/dev/full'))('a full disk: one line, exit 2', () => {
  test.each([
    ['the document', ['nat', '--server', 'stun:127.0.0.1:9', '--json']],
    ['events', ['nat', '--server', 'stun:127.0.0.1:9', '--jsonl']],
    ['words', ['nat', '--server', 'stun:127.0.0.1:9']],
    ['a schema', ['schema', 'nat']],
    ['help', ['nat', '--help']],
  ])('%s', async (_, args) => {
    const full = openSync('/dev/full', 'w')
    try {
      const { status, stderr } = await natcheck(args, { stdout: full })
      expect(status).toBe(2)
      expect(stderr).toMatch(oneLine)
      expect(stderr).toMatch(/stdout can't be written \(ENOSPC\)/)
    } finally {
      closeSync(full)
    }
  })
})

describe('SIGINT before the command listens', () => {
  /** Signals the process while it loads its own module `name`. */
  const interruptAt = (name: string): Record<string, string> => {
    const data = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`
    const hook = `export async function load(url, context, next) {
      if (url.endsWith('${name}')) process.kill(process.pid, 'SIGINT')
      return next(url, context)
    }`
    const preload = `import { register } from 'node:module'; register(${JSON.stringify(data(hook))})`
    return { NODE_OPTIONS: `--import=${data(preload)}` }
  }

  test.each(['dist/cli/program.js', 'dist/cli/nat/run.js', 'dist/cli/nat/world.js'])('%s', async (name) => {
    const { status, stdout, stderr } = await natcheck(['nat', '--server', 'stun:127.0.0.1:9', '--json'], {
      env: interruptAt(name),
    })
    expect(status).toBe(130)
    expect((JSON.parse(stdout) as NatReport).error?.code).toBe('CANCELLED')
    expect(stderr).toMatch(/^natcheck: interrupted[^\n]*\n$/)
  })
})

describe('against our own server on loopback', () => {
  let server: StunServer
  let uri = ''
  let directory = ''
  beforeAll(async () => {
    server = await startStunServer(nodeNetwork(), { primaryIp: '127.0.0.1', alternateIp: '127.0.0.2' })
    uri = `stun:127.0.0.1:${server.primary.port}`
    directory = mkdtempSync(join(tmpdir(), 'natcheck-command-'))
  })
  afterAll(() => {
    server.close()
    rmSync(directory, { recursive: true })
  })

  test('--json: the right verdict, the held fields, exit 0', async () => {
    const { status, stdout, stderr } = await natcheck(['nat', '--server', uri, '--json'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const report = JSON.parse(stdout) as NatReport
    expect(Check(natReportSchema, report)).toBe(true)
    expect(report).toMatchObject({
      servers: [{ uri, ok: true, rfc5780: true, problem: null }],
      nat: {
        ipv4: {
          behindNat: false,
          mapping: { kind: 'observed', value: 'none' },
          filtering: { kind: 'observed', value: 'endpoint-independent' },
          rfc3489: { kind: 'observed', value: 'open-internet' },
        },
        ipv6: { behindNat: null, mapping: { kind: 'not-tested', value: null } },
      },
      verdict: { p2p: 'direct', family: 'ipv4' },
    })
  })

  test('bare natcheck is the check-up, and ends in its verdict', async () => {
    const { status, stdout, stderr } = await natcheck(['--server', uri, '--no-router'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^ {2}you 127\.0\.0\.1 → internet → STUN 127\.0\.0\.1\n/)
    expect(stdout).toMatch(/\n✓ Direct connections work with everyone/)
  })

  test.each([['doctor'], ['checkup']])('%s --json is the same', async (name) => {
    const { status, stdout } = await natcheck([name, '--server', uri, '--no-router', '--json'])
    expect(status).toBe(0)
    const report = JSON.parse(stdout) as CheckupReport
    expect(Check(checkupReportSchema, report)).toBe(true)
    expect(report).toMatchObject({ command: 'checkup', nat: { verdict: { p2p: 'direct' } }, error: null })
  })

  test('settings come from the environment and from natcheck.json', async () => {
    const fromEnv = await natcheck(['nat'], {
      env: { NATCHECK_SERVER: uri, NATCHECK_FAMILY: '4', NATCHECK_FAIL_ON: 'not-direct' },
    })
    expect(fromEnv.status).toBe(0)
    expect(fromEnv.stdout).toContain(uri)
    const settings = { server: [uri, 'stuns:stun.example.org'], family: '4', failOn: ['not-direct', 'no-relay'] }
    writeFileSync(join(directory, 'natcheck.json'), JSON.stringify(settings))
    // What only the check-up understands is passed over.
    const nat = await natcheck(['nat', '--json'], { cwd: directory })
    expect(nat.status).toBe(0)
    expect((JSON.parse(nat.stdout) as NatReport).nat.ipv6).toBeNull()
    const shown = await natcheck(['config', '--json'], { cwd: directory })
    expect(JSON.parse(shown.stdout)).toMatchObject({ file: 'natcheck.json', servers: [{ uri }, {}] })
    const checkup = await natcheck(['--json', '--no-router', '--server', uri], { cwd: directory })
    expect(checkup.status).toBe(1)
    expect((JSON.parse(checkup.stdout) as CheckupReport).failed).toEqual(['no-relay'])
  })

  test('--save, then --from: the same document', async () => {
    const path = join(directory, 'saved.json')
    const first = await natcheck(['nat', '--server', uri, '--json', '--save', path])
    const again = await natcheck(['nat', '--from', path, '--json'])
    expect(again.stdout).toBe(first.stdout)
    expect((await natcheck(['nat', '--from', path, '--fail-on', 'not-direct'])).status).toBe(0)
  })

  test('a report that can not be saved is printed all the same: one document, one line, exit 2', async () => {
    for (const flag of ['--json', '--jsonl']) {
      const { status, stdout, stderr } = await natcheck(['nat', '--server', uri, flag, '--save', '/nonexistent/x'])
      expect(status).toBe(2)
      expect(stderr).toMatch(oneLine)
      const document = flag === '--json' ? stdout : (stdout.trimEnd().split('\n').at(-1) ?? '')
      expect((JSON.parse(document) as NatReport).error?.code).toBe('BAD_FILE')
      expect(stdout.match(/"schemaVersion"/g)).toHaveLength(1)
    }
  })

  test('--local and --port are what the mapping test sends from', async () => {
    const { stdout } = await natcheck(['nat', '--server', uri, '--local', '127.0.0.3', '--port', '45679', '--json'])
    expect((JSON.parse(stdout) as NatReport).nat.ipv4?.local).toBe('127.0.0.3:45679')
  })

  test('--jsonl: events while running, the report last', async () => {
    const { stdout } = await natcheck(['nat', '--server', uri, '--jsonl', '--family', '4'])
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.slice(0, -1).every(({ event }) => typeof event === 'string')).toBe(true)
    expect(lines.filter(({ event }) => event === 'sent').length).toBeGreaterThan(3)
    expect(Check(natReportSchema, lines.at(-1))).toBe(true)
  })
})

describe('servers that are none', () => {
  const sockets: Socket[] = []
  const bind = async (onMessage: (this: Socket, message: Buffer, from: { port: number; address: string }) => void) => {
    const socket = createSocket('udp4')
    socket.on('message', onMessage)
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    sockets.push(socket)
    return socket.address().port
  }
  afterAll(() => {
    for (const socket of sockets) socket.close()
  })

  test('nothing listens there', async () => {
    const port = await bind(() => {})
    sockets.pop()?.close()
    const { status, stderr } = await natcheck(['nat', '--server', `stun:127.0.0.1:${port}`])
    expect(status).toBe(3)
    expect(stderr).toMatch(oneLine)
    expect(stderr).toMatch(/nothing listens on that UDP port/)
  })

  test('nothing listens at a name that may lack an address of one family', async () => {
    const port = await bind(() => {})
    sockets.pop()?.close()
    const { status, stdout } = await natcheck(['nat', '--server', `stun:localhost:${port}`, '--json'])
    expect(status).toBe(3)
    const { error, verdict } = JSON.parse(stdout) as NatReport
    expect(error).toMatchObject({ code: 'UNREACHABLE', fix: expect.stringMatching(/^start the server/) as string })
    expect(error?.message).toMatch(/nothing listens on that UDP port/)
    expect(verdict.advice.join()).not.toMatch(/DNS/)
  })

  test('a server that can not be reached from the local address', async () => {
    const { status, stderr } = await natcheck(['nat', '--server', 'stun:198.51.100.10', '--local', '127.0.0.1'])
    expect(status).toBe(3)
    expect(stderr).toMatch(/no route to 198\.51\.100\.10:3478 from the local address 127\.0\.0\.1 \(E\w+\)/)
    expect(stderr).toMatch(/other --family or --local address\n$/)
  })

  test('something else answers', async () => {
    const port = await bind(function (_, from) {
      this.send('hello, I am no STUN server', from.port, from.address)
    })
    const { status, stdout, stderr } = await natcheck(['nat', '--server', `stun:127.0.0.1:${port}`, '--json'])
    expect(status).toBe(3)
    expect(stderr).toMatch(/does not speak STUN/)
    const { verdict, error } = JSON.parse(stdout) as NatReport
    expect(verdict.p2p).toBe('unknown')
    expect(verdict.advice).toEqual([
      `What answers at 127.0.0.1:${port} does not speak STUN: check the port (3478 is the usual one), or try another --server.`,
    ])
    expect(error?.code).toBe('NOT_STUN')
  })

  test('a port that is taken', async () => {
    const port = await bind(() => {})
    const { status, stderr } = await natcheck([
      'nat',
      '--server',
      'stun:127.0.0.1:9',
      '--local',
      '127.0.0.1',
      '--port',
      `${port}`,
    ])
    expect(status).toBe(2)
    expect(stderr).toMatch(oneLine)
    expect(stderr).toContain(String(port))
  })

  test('SIGINT while it waits: exit 130, and the document', async () => {
    const port = await bind(() => {})
    let interrupted = false
    const { status, stdout, stderr } = await natcheck(['nat', '--server', `stun:127.0.0.1:${port}`, '--jsonl'], {
      onStdout: (text, kill) => {
        if (!interrupted && text.includes('"sent"')) kill('SIGINT')
        interrupted ||= text.includes('"sent"')
      },
    })
    expect(status).toBe(130)
    const report = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as NatReport
    expect(Check(natReportSchema, report)).toBe(true)
    expect(report.error?.code).toBe('CANCELLED')
    expect(stderr).toMatch(/^natcheck: interrupted/)
  })
})
