/** What `natcheck coturn init` does: a plan in, files out, and what to paste. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { NatcheckError } from '../../core/index.ts'
import { generateConf } from '../../coturn/generate/generate.ts'
import { certificateDirectory, type CoturnPlan } from '../../coturn/generate/plan.ts'
import { type IceServer, timeLimitedCredentials } from '../../relay/credentials.ts'
import { type CliIo, type ExitCode, exitCodes, usage } from '../io.ts'
import { readSecretFile } from '../relay/secrets.ts'
import { diffLines } from './diff.ts'
import { codeOf, textOf } from './files.ts'
import { type InitSettings, plannedUsers, readInitSettings } from './settings.ts'
import { type CoturnWorld, machine } from './world.ts'

type Flags = Readonly<Record<string, unknown>>

/** Counted apart from the other documents'. */
export const initSchemaVersion = 1

/** What --json prints. */
export interface InitDocument {
  readonly schemaVersion: typeof initSchemaVersion
  readonly kind: 'coturn-init'
  readonly files:
    | readonly { readonly path: string; readonly what: string; readonly state: 'written' | 'unchanged' }[]
    | null
  /** The credential of configured users is theirs to know, and null here. */
  readonly iceServers: readonly (Omit<IceServer, 'credential'> & { readonly credential: string | null })[] | null
  readonly check: readonly string[] | null
  readonly error: { readonly code: string; readonly message: string; readonly fix: string | null } | null
}

interface OutFile {
  readonly name: string
  readonly text: string
  readonly mode: number
  readonly what: string
}

/** As long as `natcheck credentials` makes them. */
const ttlSeconds = 12 * 3600
const secretBytes = 32
const secretName = 'turn-secret'
const confName = 'turnserver.conf'

/** Throws USAGE, BAD_FILE, BAD_ADDRESS, and what asking for the public address throws. */
export async function initCommand(flags: Flags, io: CliIo, world: CoturnWorld = machine()): Promise<ExitCode> {
  const settings = await readInitSettings(flags, io, world)
  const directory = resolve(io.cwd, textOf(flags['out']) ?? '.')
  const secret = settings.users ? undefined : readOrMakeSecret(join(directory, secretName), world)
  const auth: CoturnPlan['auth'] = settings.users
    ? plannedUsers(settings.users, settings.plan.realm)
    : { kind: 'rest', ...(secret === undefined ? {} : { secret }) }
  const conf = generate({ ...settings.plan, auth })
  const files = [
    { name: confName, text: conf, mode: 0o640, what: 'the configuration' },
    ...(secret === undefined
      ? []
      : [{ name: secretName, text: `${secret}\n`, mode: 0o640, what: 'the secret, for your application' }]),
    ...(settings.plan.tls.kind === 'letsencrypt'
      ? [{ name: 'certbot-deploy-hook.sh', text: deployHook, mode: 0o755, what: 'for certbot --deploy-hook' }]
      : []),
  ]
  const states = place(files, directory, flags['force'] === true, io)
  const document: InitDocument = {
    schemaVersion: initSchemaVersion,
    kind: 'coturn-init',
    files: files.map(({ name, what }, index) => ({
      path: join(directory, name),
      what,
      state: states[index] ?? 'written',
    })),
    iceServers: [iceServer(settings, secret, world)],
    check: checks(settings, join(directory, confName), secret === undefined ? undefined : join(directory, secretName)),
    error: null,
  }
  await io.out(flags['json'] === true ? `${JSON.stringify(document, null, 2)}\n` : inWords(document))
  return exitCodes.ok
}

function generate(plan: CoturnPlan): string {
  try {
    return generateConf(plan)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw usage(cause.message, 'take a shorter value without line ends')
  }
}

/** A secret that is there already is in use: it stays. */
function readOrMakeSecret(path: string, world: CoturnWorld): string {
  try {
    readFileSync(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return Buffer.from(world.random(secretBytes)).toString('hex')
  }
  return readSecretFile(path)[0] ?? ''
}

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new NatcheckError('BAD_FILE', `${path} can't be read (${codeOf(error)})`, { fix: 'check what is there' })
  }
}

/** All or nothing: first every file is compared, then those that differ are written. */
function place(files: readonly OutFile[], directory: string, force: boolean, io: CliIo): ('written' | 'unchanged')[] {
  const states = files.map(({ name, text }) => {
    const before = read(join(directory, name))
    if (before === text) return 'unchanged' as const
    if (before !== undefined) {
      const diff = diffLines(hidden(before), hidden(text))
      if (!force) io.err(`${name}, as it is (-) and as it would be (+):\n${diff.map((line) => `  ${line}\n`).join('')}`)
      return force ? ('written' as const) : ('refused' as const)
    }
    return 'written' as const
  })
  const refused = files[states.indexOf('refused')]
  if (refused)
    throw usage(
      `${join(directory, refused.name)} exists and differs`,
      'add --force to overwrite it, or give another --out',
    )
  try {
    mkdirSync(directory, { recursive: true })
    for (const [index, { name, text, mode }] of files.entries()) {
      if (states[index] === 'unchanged') continue
      writeFileSync(join(directory, name), text, { mode })
      // The mode above is for new files only, and less what the umask takes.
      chmodSync(join(directory, name), mode)
    }
  } catch (cause) {
    throw new NatcheckError('BAD_FILE', `${directory} can't be written (${codeOf(cause)})`, {
      fix: 'give another --out',
      cause,
    })
  }
  return states.map((state) => (state === 'unchanged' ? state : 'written'))
}

/** Secrets are not for the terminal. */
const hidden = (text: string): string =>
  text
    .replace(/^(\s*#?\s*(?:static-auth-secret|stateless-nonce-secret|cli-password|pkey-pwd)[ =\t]+)\S.*$/gm, '$1…')
    .replace(/^(\s*#?\s*user[ =\t]+[^:\n]*:).*$/gm, '$1…')
    .replace(/(password=)[^\s"]+/g, '$1…')
    .replace(/^[\da-f]{64}$/gm, '…')

const bracketed = (domain: string): string => (domain.includes(':') ? `[${domain}]` : domain)

function urls({ domain, plan }: InitSettings): string[] {
  const host = bracketed(domain)
  return [
    `turn:${host}:3478?transport=udp`,
    `turn:${host}:3478?transport=tcp`,
    ...(plan.tls.kind === 'none' ? [] : [`turns:${host}:5349?transport=tcp`]),
  ]
}

function iceServer(
  settings: InitSettings,
  secret: string | undefined,
  world: CoturnWorld,
): NonNullable<InitDocument['iceServers']>[number] {
  if (secret === undefined)
    return { urls: urls(settings), username: settings.users?.[0]?.username ?? '', credential: null }
  return { urls: urls(settings), ...timeLimitedCredentials({ secret, user: 'natcheck', ttlSeconds, now: world.now() }) }
}

function checks(settings: InitSettings, conf: string, secret: string | undefined): string[] {
  const [url = ''] = urls(settings)
  const turn = `npx natcheck turn '${url}'`
  const user = settings.users?.[0]?.username ?? ''
  return [
    `npx natcheck coturn lint ${conf} --coturn-version ${settings.plan.version}`,
    `npx natcheck coturn check ${conf}`,
    secret === undefined
      ? `TURN_PASSWORD=… ${turn} --username ${user} --credential-env TURN_PASSWORD`
      : `npx natcheck credentials --secret-file ${secret} --url '${url}' | ${turn} --ice-servers -`,
  ]
}

function inWords({ files, iceServers, check }: InitDocument): string {
  const lines = [
    ...(files ?? []).map(({ path, what, state }) => `✓ ${path}${state === 'unchanged' ? ' (unchanged)' : ''}: ${what}`),
    '',
    'iceServers',
    `    ${JSON.stringify(iceServers)}`,
    ...(iceServers?.[0]?.credential === null
      ? ["    (credential: the user's password)"]
      : ['    (good for 12 hours; your application makes its own with the secret)']),
    '',
    'Check it',
    ...(check ?? []).map((line) => `    ${line}`),
  ]
  return `${lines.join('\n')}\n`
}

const deployHook = `#!/bin/sh
# Made by natcheck coturn init: certbot certonly --deploy-hook /path/to/certbot-deploy-hook.sh
# Copies the renewed certificate to where coturn may read it, and lets coturn read it again.
set -eu
install -d -m 0750 -g turnserver ${certificateDirectory}
for file in fullchain.pem privkey.pem; do
  install -m 0640 -g turnserver "$RENEWED_LINEAGE/$file" "${certificateDirectory}/$file.new"
  mv "${certificateDirectory}/$file.new" "${certificateDirectory}/$file"
done
# SIGUSR2 reads certificates again; SIGHUP would only open the log anew.
systemctl kill --signal=SIGUSR2 coturn
`
