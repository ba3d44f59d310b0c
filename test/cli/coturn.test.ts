/** `natcheck coturn` as people have it: files in, files and exit codes out. */
import { createHmac } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkCommand } from '../../src/cli/coturn/check/run.ts'
import { diffLines } from '../../src/cli/coturn/diff.ts'
import { type InitDocument, initCommand } from '../../src/cli/coturn/init.ts'
import { runCommand } from '../../src/cli/coturn/serve.ts'
import { lintCommand } from '../../src/cli/coturn/lint.ts'
import { publicIp } from '../../src/cli/coturn/public-ip.ts'
import { convertCommand, explainCommand, migrateCommand } from '../../src/cli/coturn/translate.ts'
import { type CoturnWorld, machine } from '../../src/cli/coturn/world.ts'
import { runCli } from '../../src/cli/program.ts'
import { formatAddress, wallTime } from '../../src/core/index.ts'
import { userKey } from '../../src/coturn/generate/key.ts'
import { lint } from '../../src/coturn/lint/lint.ts'
import { allRules } from '../../src/coturn/lint/rules/all.ts'
import { startStunServer } from '../../src/relay/stun-server.ts'
import { nodeNetwork } from '../../src/transport/index.ts'
import { certificate } from '../transport/certificates.ts'
import { FakeIo } from './fake.ts'

let directory = ''
let io = new FakeIo()
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'natcheck-coturn-cli-'))
  io = new FakeIo()
  io.cwd = directory
})
afterEach(() => rmSync(directory, { recursive: true }))

const file = (name: string, content: string | Uint8Array, mode = 0o640): string => {
  writeFileSync(join(directory, name), content)
  chmodSync(join(directory, name), mode)
  return name
}
const content = (name: string): string => readFileSync(join(directory, name), 'utf8')

/** coturn 4.6.1 of Debian, on 21 November 2026, with nobody at the terminal. */
const world = (change: Partial<CoturnWorld> = {}): CoturnWorld => ({
  ...machine(),
  interactive: false,
  now: () => wallTime(Date.parse('2026-11-21T00:00:00Z')),
  random: (bytes) => new Uint8Array(bytes).map((_, index) => (index * 37 + 11) % 256),
  installed: () => Promise.resolve({ version: '4.6.1', lacks: ['prometheus'] }),
  addresses: () => ['10.0.0.5'],
  publicIp: () => Promise.reject(new Error('asked the internet')),
  ask: () => Promise.reject(new Error('asked a question')),
  ...change,
})

describe('init', () => {
  const init = async (flags: Record<string, unknown>, change: Partial<CoturnWorld> = {}): Promise<InitDocument> => {
    io.stdout = ''
    expect(await initCommand({ json: true, ...flags }, io, world(change))).toBe(0)
    return JSON.parse(io.stdout) as InitDocument
  }
  const secret = Buffer.from(world().random(32)).toString('hex')

  test('writes file, secret and hook, and what to paste; the file is clean', async () => {
    const { files, iceServers, check } = await init({ domain: 'turn.example.org' })
    expect(files?.map(({ path, state }) => [path, state])).toEqual(
      ['turnserver.conf', 'turn-secret', 'certbot-deploy-hook.sh'].map((name) => [join(directory, name), 'written']),
    )
    const text = content('turnserver.conf')
    expect(text).toContain(`\nstatic-auth-secret=${secret}\n`)
    expect(content('turn-secret')).toBe(`${secret}\n`)
    for (const name of ['turnserver.conf', 'turn-secret'])
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o640)
    expect(lint({ text, version: '4.6.1', observed: { mode: 0o640 } })).toEqual([])
    const [server] = iceServers ?? []
    expect(server?.urls).toEqual([
      'turn:turn.example.org:3478?transport=udp',
      'turn:turn.example.org:3478?transport=tcp',
      'turns:turn.example.org:5349?transport=tcp',
    ])
    const username = `${Date.parse('2026-11-21T12:00:00Z') / 1000}:natcheck`
    expect(server?.username).toBe(username)
    expect(server?.credential).toBe(createHmac('sha1', secret).update(username).digest('base64'))
    const [conf, secretFile] = ['turnserver.conf', 'turn-secret'].map((name) => join(directory, name))
    const url = 'turn:turn.example.org:3478?transport=udp'
    expect(check).toEqual([
      `npx natcheck coturn lint ${conf} --coturn-version 4.6.1`,
      `npx natcheck coturn check ${conf}`,
      `npx natcheck credentials --secret-file ${secretFile} --url '${url}' | npx natcheck turn '${url}' --ice-servers -`,
    ])
    expect(io.stderr).toBe('')
  })

  test('again: unchanged, and the secret stays', async () => {
    await init({ domain: 'turn.example.org' })
    const { files } = await init({ domain: 'turn.example.org' }, { random: (bytes) => new Uint8Array(bytes) })
    expect(files?.map(({ state }) => state)).toEqual(['unchanged', 'unchanged', 'unchanged'])
  })

  test('never overwrites without --force, and shows the difference without secrets', async () => {
    await init({ domain: 'turn.example.org' })
    const before = content('turnserver.conf')
    await expect(initCommand({ domain: 'other.example.org' }, io, world())).rejects.toThrow(/exists and differs/)
    expect(content('turnserver.conf')).toBe(before)
    expect(io.stderr).toContain('  - realm=turn.example.org\n  + realm=other.example.org\n')
    expect(io.stderr).not.toContain(secret)
    await init({ domain: 'other.example.org', force: true })
    expect(content('turnserver.conf')).toContain('\nrealm=other.example.org\n')
    expect(content('turn-secret')).toBe(`${secret}\n`)
  })

  test('users: keys instead of passwords', async () => {
    file('users', 'alice:wonderland\nbob:builder\n')
    const { iceServers } = await init({ domain: 'turn.example.org', auth: 'users', usersFile: 'users', tls: 'none' })
    const text = content('turnserver.conf')
    expect(text).toContain(`\nuser=alice:0x${userKey('alice', 'turn.example.org', 'wonderland')}\n`)
    expect(text + io.stdout).not.toMatch(/wonderland|builder/)
    expect(existsSync(join(directory, 'turn-secret'))).toBe(false)
    expect(iceServers).toEqual([{ urls: expect.any(Array), username: 'alice', credential: null }])
    expect(lint({ text, version: '4.6.1', observed: { mode: 0o640 } })).toEqual([])
  })

  test('everything else it can be told', async () => {
    await init({
      domain: 'turn.example.org',
      realm: 'example.org',
      externalIp: ['8.8.8.8'],
      relayIp: ['10.0.0.5'],
      ports: '50000-50100',
      tls: '/etc/t/c.pem,/etc/t/k.pem',
      redis: 'redis://:p%40ss@10.0.0.9:6380/2',
      metrics: '127.0.0.1:9999',
      coturnVersion: '4.17.2',
      out: 'new/dir',
    })
    const text = content('new/dir/turnserver.conf')
    for (const line of [
      'realm=example.org',
      'external-ip=8.8.8.8/10.0.0.5',
      'relay-ip=10.0.0.5',
      'min-port=50000',
      'max-port=50100',
      'cert=/etc/t/c.pem',
      'pkey=/etc/t/k.pem',
      'redis-statsdb=ip=10.0.0.9 dbname=2 password=p@ss port=6380 connect_timeout=30',
      'prometheus-address=127.0.0.1',
      'prometheus-port=9999',
    ])
      expect(text.split('\n')).toContain(line)
    expect(lint({ text, version: '4.17.2', observed: { mode: 0o640 } })).toEqual([])
  })

  test.each<[string, readonly string[], readonly string[], string | undefined]>([
    ['one private address', ['auto'], ['10.0.0.5'], '8.8.4.4/10.0.0.5'],
    ['IPv6', ['2a00::5'], ['10.0.0.5'], '2a00::5'],
    ['the public one itself', ['auto'], ['8.8.4.4'], undefined],
    ['given', ['9.9.9.9'], ['10.0.0.5'], '9.9.9.9/10.0.0.5'],
    ['given with its own', ['9.9.9.9/10.0.0.7'], ['10.0.0.5'], '9.9.9.9/10.0.0.7'],
    ['not given', [], ['10.0.0.5'], undefined],
  ])('external-ip: %s', async (_, externalIp, addresses, expected) => {
    const publicIp = (): Promise<string> => Promise.resolve('8.8.4.4')
    await init({ domain: 'turn.example.org', externalIp }, { publicIp, addresses: () => addresses })
    const text = content('turnserver.conf')
    expect(/^external-ip=(.*)$/m.exec(text)?.[1]).toBe(expected)
    expect(lint({ text, version: '4.6.1', observed: { mode: 0o640 } })).toEqual([])
  })

  describe('with somebody at the terminal', () => {
    const asked: string[] = []
    beforeEach(() => {
      io.stdoutIsTty = true
      asked.length = 0
    })
    /** Takes what is offered; where nothing is, the name. */
    const answering = (answers: Readonly<Record<string, string>> = {}): Partial<CoturnWorld> => ({
      interactive: true,
      publicIp: () => Promise.resolve('8.8.4.4'),
      look: () => ({ kind: 'missing' }),
      ask: (question, preset) => {
        asked.push(question)
        const answer = Object.entries(answers).find(([word]) => question.includes(word))?.[1]
        return Promise.resolve(answer ?? (preset || 'asked.example.org'))
      },
    })

    test('asks what it can’t find out, and has what it found confirmed', async () => {
      await init({}, answering())
      expect(content('turnserver.conf')).toContain('\nrealm=asked.example.org\n')
      expect(content('turnserver.conf')).toContain('\nexternal-ip=8.8.4.4/10.0.0.5\n')
      expect(asked.map((question) => question.split(' ')[0])).toEqual(['Name', 'Public', 'TLS'])
    })

    test('nothing where everything is found or given', async () => {
      const found: Partial<CoturnWorld> = {
        ...answering(),
        addresses: () => ['8.8.4.4'],
        look: () => ({ kind: 'unreadable', why: 'EACCES' }),
      }
      await init({ domain: 'turn.example.org' }, found)
      expect(asked).toEqual([])
      expect(content('turnserver.conf')).toContain('\ncert=/etc/turnserver/fullchain.pem\n')
    })

    test('the version where none is installed, the address where there are several, the certificate', async () => {
      await init(
        { domain: 'turn.example.org' },
        {
          ...answering({ Version: '4.17.2', Which: '10.0.1.5', TLS: '/etc/t/c.pem,/etc/t/k.pem' }),
          installed: () => Promise.resolve(undefined),
          addresses: () => ['10.0.0.5', '10.0.1.5'],
        },
      )
      const text = content('turnserver.conf')
      expect(text).toMatch(/^# turnserver\.conf for coturn 4\.17\.2/)
      for (const line of ['external-ip=8.8.4.4/10.0.1.5', 'cert=/etc/t/c.pem', 'pkey=/etc/t/k.pem'])
        expect(text.split('\n')).toContain(line)
    })
  })

  test('in words', async () => {
    await initCommand({ domain: 'turn.example.org', tls: 'none' }, io, world())
    expect(io.stdout).toMatch(/^✓ .*turnserver\.conf: the configuration\n✓ .*turn-secret: the secret/)
    expect(io.stdout).toMatch(/\niceServers\n {4}\[\{"urls":/)
    expect(io.stdout).toMatch(/\nCheck it\n {4}npx natcheck coturn lint /)
    expect(io.stdout).not.toContain(secret)
  })

  test.each<[Record<string, unknown>, RegExp]>([
    [{}, /--domain is missing/],
    [{ domain: 'not a name' }, /--domain is "not a name"/],
    [{ domain: 'a.org', profile: 'pubic' }, /there is no "pubic"/],
    [{ domain: 'a.org', auth: 'users' }, /needs --users-file/],
    [{ domain: 'a.org', auth: 'rest', usersFile: 'u' }, /contradicts/],
    [{ domain: 'a.org', usersFile: 'nowhere' }, /can't be read/],
    [{ domain: 'a.org', tls: 'cert.pem' }, /--tls is "cert.pem"/],
    [{ domain: 'a.org', ports: '9-1' }, /ends before it begins/],
    [{ domain: 'a.org', externalIp: ['a/b'] }, /--external-ip is "a\/b"/],
    [{ domain: 'a.org', relayIp: ['eth0'] }, /--relay-ip is "eth0"/],
    [
      { domain: 'a.org', relayIp: ['10.0.0.5', '10.0.1.5'], externalIp: ['8.8.8.8'] },
      /8\.8\.8\.8\/PRIVATE|which address/,
    ],
    [{ domain: 'a.org', coturnVersion: '4.17.0' }, /TTL of 1/],
    [{ domain: '8.8.8.8' }, /no lasting realm/],
    [{ domain: 'a.org', redis: 'localhost' }, /no redis: URL/],
    [{ domain: 'a.org', metrics: '127.0.0.1' }, /serves metrics on every address/],
    [{ domain: 'a.org', metrics: '8.8.8.8', coturnVersion: '4.17.2' }, /everybody may reach/],
    [{ domain: 'a.org', coturnVersion: '9.9' }, /not known/],
    [{ domain: 'a.org', realm: 'a\nno-auth' }, /--realm is no realm/],
    [{ domain: 'a.org', profile: 'lab', relayIp: ['10.0.0.1'] }, /one --relay-ip/],
  ])('%j is refused, and nothing is written', async (flags, message) => {
    await expect(initCommand(flags, io, world())).rejects.toThrow(message)
    expect(existsSync(join(directory, 'turnserver.conf'))).toBe(false)
  })
})

describe('lint', () => {
  const run = (name: string | undefined, flags: Record<string, unknown> = {}): Promise<number> => {
    io.stdout = ''
    return lintCommand(name, flags, io, world())
  }

  test('text: line, rule, why, fix and reference; exit code 1', async () => {
    expect(await run(file('t.conf', 'use-auth-secret\nrealm=a.org # ours\n'))).toBe(1)
    expect(io.stdout).toContain('✗ t.conf:2: error: the value of realm goes on')
    expect(io.stdout).toContain('[inline-comment]\n    There are no inline comments')
    expect(io.stdout).toContain('→ write the comment on a line of its own (--fix does it)')
    expect(io.stdout).toMatch(/\n\d+ errors, \d+ warnings, \d+ hints? for coturn 4\.6\.1\.\n$/)
  })

  test('json, sarif and github say the same', async () => {
    const name = file('t.conf', 'realm=a.org;\n')
    await run(name, { reporter: 'json' })
    const json = JSON.parse(io.stdout) as { findings: { rule: string; line: number | null }[]; summary: object }
    await run(name, { reporter: 'sarif' })
    const sarif = JSON.parse(io.stdout) as {
      runs: { results: { ruleId: string }[]; tool: { driver: { rules: { id: string }[] } } }[]
    }
    await run(name, { reporter: 'github' })
    const github = io.stdout.split('\n').filter((line) => line !== '')
    expect(json.findings.length).toBeGreaterThan(5)
    expect(sarif.runs[0]?.results.map(({ ruleId }) => ruleId)).toEqual(json.findings.map(({ rule }) => rule))
    for (const { ruleId } of sarif.runs[0]?.results ?? [])
      expect(sarif.runs[0]?.tool.driver.rules.map(({ id }) => id)).toContain(ruleId)
    expect(github.length).toBe(json.findings.length)
    expect(github).toContainEqual(expect.stringMatching(/^::error file=t\.conf,line=1,title=semicolon::/))
  })

  test('a clean file is clean, in silence about its secret', async () => {
    expect(await initCommand({ domain: 'turn.example.org', tls: 'none' }, io, world())).toBe(0)
    expect(await run('turnserver.conf')).toBe(0)
    expect(io.stdout).toBe('✓ turnserver.conf is clean for coturn 4.6.1.\n')
  })

  test('--fix changes what it must and nothing else', async () => {
    const name = file(
      't.conf',
      '# ours\r\n\r\nrealm = a.org  \r\nno-multicast-peers\r\ndenied-peer-ip=10.0.0.0/8\r\n--fingerprint\r\n',
    )
    await run(name, { fix: true })
    const after = content('t.conf')
    expect(
      after.startsWith(
        '# ours\r\n\r\nrealm = a.org  \r\nno-multicast-peers\r\ndenied-peer-ip=10.0.0.0-10.255.255.255\r\nfingerprint\r\n',
      ),
    ).toBe(true)
    expect(after).not.toMatch(/[^\r]\n/)
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o640)
    expect(io.stderr).toMatch(/^natcheck: fixed in t\.conf: .*peer-cidr/)
    await run(name, { fix: true })
    expect(content('t.conf')).toBe(after)
  })

  test('Latin-1 stays Latin-1', async () => {
    const bytes = Buffer.concat([Buffer.from('# caf'), Buffer.from([0xe9]), Buffer.from('\nstale-nonce=0\n')])
    await run(file('t.conf', bytes), { fix: true })
    expect([...readFileSync(join(directory, 't.conf'))]).toContain(0xe9)
    expect(content('t.conf')).toContain('stale-nonce=600')
  })

  test('the machine is looked at: mode, files, certificate', async () => {
    const good = certificate({ commonName: 'a', names: ['turn.example.org'] })
    const expired = certificate({ commonName: 'a', notAfter: new Date('2020-02-01') })
    const path = (name: string): string => join(directory, name)
    file('cert.pem', expired.cert, 0o644)
    file('key.pem', good.key, 0o644)
    const name = file('t.conf', `cert=${path('cert.pem')}\npkey=${path('key.pem')}\nstatic-auth-secret=x\n`, 0o644)
    await run(name, { reporter: 'json' })
    const { findings } = JSON.parse(io.stdout) as { findings: { rule: string }[] }
    const rules = findings.map(({ rule }) => rule)
    for (const rule of ['certificate-expired', 'certificate-key-mismatch', 'key-mode', 'file-mode'])
      expect(rules).toContain(rule)
    file('cert.pem', good.cert)
    file('key.pem', good.key)
    await run(file('t.conf', `cert=${path('cert.pem')}\npkey=${path('key.pem')}\n`), { reporter: 'json' })
    expect(io.stdout).not.toMatch(/"certificate-|key-mode|file-unreadable/)
    await run(file('t.conf', `cert=${path('gone.pem')}\npkey=${path('key.pem')}\n`))
    expect(io.stdout).toContain('gone.pem does not exist [file-unreadable]')
  })

  test('a command line, alone or with the file that it names', async () => {
    expect(await run(undefined, { command: 'turnserver -n -z' })).toBe(1)
    expect(io.stdout).toContain('command line: error: relays for everybody [no-auth]')
    file('t.conf', 'realm: a.org\n')
    await run(undefined, { command: 'turnserver -c t.conf -v' })
    expect(io.stdout).toContain('t.conf:1: error')
  })

  test('comments silence, for a reason', async () => {
    const name = file(
      't.conf',
      '# natcheck-disable-next-line mobility: our clients speak RFC 8016\nmobility\n# natcheck-disable\nserver-relay\n',
    )
    await run(name)
    expect(io.stdout).not.toContain('[mobility]')
    expect(io.stdout).toContain('[server-relay]')
    expect(io.stdout).toContain(':3: warning: the natcheck-disable comment does nothing')
  })

  test('no finding of any rule ever shows a secret', async () => {
    const word = 'hunter2-hunter2'
    const lines = ['static-auth-secret', 'user', 'cli-password', 'pkey-pwd', 'mysql-userdb', 'stateless-nonce-secret']
    for (const name of lines) {
      for (const value of [
        word,
        `'${word}'`,
        `${word};`,
        `${word} # x`,
        `a:${word}`,
        `"password=${word}`,
        `${word}\\`,
        `\${${word}}`,
      ]) {
        await run(
          file(
            't.conf',
            `${name}=${value}\n${name}=${value}2\n${name}x=${value}\n${name}:${value}\nuse-auth-secret=${value}\nlt-cred-mech ${value}\n`,
          ),
          {
            coturnVersion: '4.17.2',
            reporter: 'json',
          },
        )
        expect(io.stdout).not.toContain(word)
      }
    }
    expect(allRules.length).toBeGreaterThan(60)
  })
})

describe('explain, migrate and convert', () => {
  test('explain an option, and a file', async () => {
    expect(await explainCommand('denied-peer-ip', {}, io, world())).toBe(0)
    expect(io.stdout).toMatch(/^denied-peer-ip \(peers\)\n {4}Peers that clients may not reach\.\n/)
    io.stdout = ''
    await explainCommand(file('t.conf', 'realm=a.org\nuser=a:b\n'), {}, io, world())
    expect(io.stdout).toBe(
      ' 1  realm=a.org\n        Realm of the credentials, usually your domain. (default the host’s domain)\n' +
        ' 2  user=…\n        NAME:PASSWORD, or NAME:0xKEY as turnadmin -k prints it; each line adds one.\n',
    )
  })

  test('migrate to stdout, or over the file', async () => {
    const name = file('t.conf', 'realm=a.org\nno-cli\n')
    await migrateCommand(name, { from: '4.6.1', to: '4.17.2' }, io, world())
    expect(io.stdout).toBe('realm=a.org\n')
    expect(io.stderr).toContain('natcheck: line 2: removed no-cli: the telnet console: off by default since 4.10.0\n')
    expect(content('t.conf')).toContain('no-cli')
    await migrateCommand(name, { to: '4.17.2', write: true }, io, world())
    expect(content('t.conf')).toBe('realm=a.org\n')
  })

  test('convert', async () => {
    await convertCommand(
      file('t.conf', 'static-auth-secret=x\nrealm=a.org\nmobility\n'),
      { to: 'natcheck' },
      io,
      world(),
    )
    expect(io.stdout).toContain('authSecretFile: "turn-secret"')
    expect(io.stderr).toContain('not carried over: mobility: no counterpart')
    expect(io.stderr).toContain('turn-secret')
  })
})

describe('bad input: one line, exit code 2', () => {
  const lines = (): void => {
    file(
      'junk',
      new Uint8Array(3000).map((_, index) => (index * 7) % 256),
    )
    file('utf16', Buffer.from('realm=example.org\nverbose\n'.repeat(20), 'utf16le'))
    file('large', Buffer.alloc(10_000_000, 'realm=a\n'))
    file('good', 'realm=a\n')
  }
  test.each<[string[], RegExp]>([
    [['lint', 'missing.conf'], /there is no file missing\.conf/],
    [['lint', '.'], /\. is a directory/],
    [['lint', '/dev/zero'], /is no file/],
    [['lint', 'junk'], /is binary/],
    [['lint', 'utf16'], /is binary/],
    [['lint', 'large'], /has 10000000 bytes/],
    [['lint'], /neither a file nor --command/],
    [['lint', 'good', '--coturn-version', '9.9'], /"9\.9", a version that is not known/],
    [['lint', 'good', '--coturn-version', '4.6.1', '--reporter', 'jso'], /did you mean json\?/],
    [['lint', 'good', 'more'], /too many arguments/],
    [['lint', '--command', 'turnserver', '--fix', '--coturn-version', '4.6.1'], /--fix needs a file/],
    [['explain'], /neither a file nor an option/],
    [['explain', 'stale-nonc'], /did you mean stale-nonce\?/],
    [['migrate', 'good'], /--to is missing/],
    [['migrate', 'good', '--from', '4.6.1', '--to', 'latest'], /--to is "latest"/],
    [['migrate'], /missing required argument/],
    [['convert', 'good', '--to', 'eturnl'], /did you mean eturnal\?/],
    [['convert', 'good'], /--to is missing/],
    [['run'], /missing required argument/],
    [['run', 'nowhere.conf'], /there is no file nowhere\.conf/],
    [['check'], /missing required argument/],
    [['check', ''], /the file is missing/],
    [['check', 'good', '--timeout', '0'], /--timeout is "0"/],
    [['check', 'good', '--username', 'alice'], /belong together/],
    [['check', 'good', '--username', 'alice', '--credential-env', 'NOBODY'], /NOBODY is not set/],
    [['init', '--coturn-version', '4.6.1'], /--domain is missing/],
    [['int'], /unknown command 'int'/],
  ])('%j', async (args, message) => {
    lines()
    expect(await runCli(['coturn', ...args], io)).toBe(2)
    expect(io.stdout).toBe('')
    expect(io.stderr).toMatch(/^natcheck: [^\n]+ — [^\n]+\n$/)
    expect(io.stderr).toMatch(message)
  })

  test('no turnserver to ask', async () => {
    const none = world({ installed: () => Promise.resolve(undefined) })
    await expect(lintCommand(file('good', 'realm=a\n'), {}, io, none)).rejects.toThrow(/no turnserver is installed/)
  })

  test('no turnserver to start', async () => {
    const none = world({ installed: () => Promise.resolve(undefined) })
    for (const command of [checkCommand, runCommand]) {
      await expect(command(file('good', 'realm=a\n'), {}, io, none)).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        message: 'turnserver is not installed',
        fix: 'apt-get install coturn',
      })
    }
    expect(await runCli(['coturn', 'check', 'nowhere', '--json'], io)).toBe(2)
    expect(JSON.parse(io.stdout)).toMatchObject({ kind: 'coturn-check', claims: null, error: { code: 'BAD_FILE' } })
  })

  test('with JSON asked for, the error is a document too', async () => {
    expect(await runCli(['coturn', 'init', '--json', '--coturn-version', '9.9', '--domain', 'a.org'], io)).toBe(2)
    expect(JSON.parse(io.stdout)).toMatchObject({ kind: 'coturn-init', files: null, error: { code: 'USAGE' } })
    io.stdout = ''
    expect(await runCli(['coturn', 'lint', 'missing', '--reporter', 'json', '--coturn-version', '4.6.1'], io)).toBe(2)
    expect(JSON.parse(io.stdout)).toMatchObject({ kind: 'coturn-lint', findings: null, error: { code: 'BAD_FILE' } })
  })

  test.each([
    ['a byte order mark', '\ufeffrealm=a\n'],
    ['Unix and Windows line ends', 'realm=a\r\nverbose\nno-cli\n'],
    ['line ends of old Macs among others', 'realm=a\nverbose\rfingerprint\n'],
  ])('%s: refused in one line, and mended by --fix', async (_, text) => {
    const name = file('odd', text)
    await expect(lintCommand(name, {}, io, world())).rejects.toMatchObject({
      code: 'BAD_FILE',
      message: expect.stringMatching(/^\S+ (?:begins with a byte order mark|mixes line ends), [^\n]+$/) as string,
      fix: expect.stringContaining('--fix') as string,
    })
    await lintCommand(name, { fix: true }, io, world())
    io.stdout = ''
    expect(await lintCommand(name, {}, io, world())).toBe(1)
    expect(io.stdout).toContain('[open-relay]')
  })

  test('read all the same: Windows line ends alone, no line end, nothing', async () => {
    for (const text of ['realm=a\r\nverbose\r\n', 'realm=a', '']) {
      io.stdout = ''
      expect(await lintCommand(file('odd', text), {}, io, world())).toBe(1)
      expect(io.stdout).toContain('[open-relay]')
    }
  })
})

test('a difference has its context, and no more', () => {
  const before = Array.from({ length: 20 }, (_, index) => `line ${index}`)
  const after = before.with(3, 'changed').toSpliced(15, 1)
  expect(diffLines(before.join('\n'), after.join('\n'))).toEqual([
    '  line 1',
    '  line 2',
    '- line 3',
    '+ changed',
    '  line 4',
    '  line 5',
    '…',
    '  line 13',
    '  line 14',
    '- line 15',
    '  line 16',
    '  line 17',
  ])
})

test('the public address is what the first STUN server to answer sees', async () => {
  const server = await startStunServer(nodeNetwork(), { primaryIp: '127.0.0.1', alternateIp: '127.0.0.2' })
  try {
    const url = `stun:${formatAddress(server.primary)}`
    expect(await publicIp([url, 'stun:127.0.0.1:9'])).toBe('127.0.0.1')
  } finally {
    server.close()
  }
})
