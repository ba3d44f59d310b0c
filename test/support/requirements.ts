/** What a test needs from the machine, and what becomes of the test where that is missing. */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { describe, test } from 'vitest'

/**
 * A tool or a right. `netns`: may make network namespaces. `tun`: may open a TUN device. `descriptors`: a process may open
 * 12,000 files.
 */
export type Requirement =
  | 'linux'
  | 'root'
  | 'netns'
  | 'nft'
  | 'turnserver'
  | 'turnutils'
  | 'sqlite3'
  | 'setpriv'
  | 'miniupnpd'
  | 'tun'
  | 'koffi'
  | 'descriptors'
  | 'chromium'
  | 'docker'

/** undefined: it is here. Otherwise why not, in words that complete "skipped: …". */
export function requires(requirement: Requirement): string | undefined {
  const known = answers.get(requirement)
  if (known !== undefined) return known.missing
  const missing = checks[requirement]()
  answers.set(requirement, { missing })
  return missing
}

const answers = new Map<Requirement, { readonly missing: string | undefined }>()

const checks: Record<Requirement, () => string | undefined> = {
  linux: () => (process.platform === 'linux' ? undefined : `needs Linux, this is ${process.platform}`),
  root: () => (process.getuid?.() === 0 ? undefined : `needs root, this is user ${process.getuid?.() ?? 'unknown'}`),
  // Being root is not enough: an unprivileged container lacks CAP_SYS_ADMIN. So each right is tried, not looked up.
  netns: () =>
    requires('linux') ??
    requires('root') ??
    missingProgram('ip', 'iproute2') ??
    missingProgram('setpriv', 'util-linux') ??
    missingProgram('sysctl', 'procps') ??
    (succeeds('unshare', ['-n', 'ip', 'link', 'set', 'lo', 'up'])
      ? undefined
      : 'needs network namespaces (CAP_SYS_ADMIN and CAP_NET_ADMIN)'),
  nft: () =>
    requires('netns') ??
    missingProgram('nft', 'nftables') ??
    (succeeds('unshare', ['-n', 'nft', 'add', 'table', 'inet', 'probe']) ? undefined : 'needs nf_tables in the kernel'),
  turnserver: () => missingProgram('turnserver', 'coturn'),
  turnutils: () => missingProgram('turnutils_uclient', 'coturn'),
  sqlite3: () => missingProgram('sqlite3', 'sqlite3'),
  setpriv: () => missingProgram('setpriv', 'util-linux'),
  miniupnpd: () => missingProgram('miniupnpd', 'miniupnpd'),
  tun: () => requires('linux') ?? requires('root') ?? missingTun(),
  koffi: missingKoffi,
  descriptors: () =>
    succeeds('prlimit', ['--nofile=12000', 'true'])
      ? undefined
      : 'needs prlimit (package util-linux) and a limit of 12,000 open files (ulimit -Hn)',
  chromium: () => missingProgram('chromium', 'chromium'),
  docker: () => (succeeds('docker', ['version']) ? undefined : 'needs a running docker'),
}

const succeeds = (file: string, args: readonly string[]): boolean =>
  spawnSync(file, args, { stdio: 'ignore', timeout: 10_000, env: environment() }).status === 0

/** sbin is not on every user's PATH, and system tools live there. */
export const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
})

const missingProgram = (name: string, debianPackage: string): string | undefined =>
  programPath(name) === undefined ? `needs ${name} (package ${debianPackage})` : undefined

/** Where a program is, for libraries that take no bare name. */
export function programPath(name: string): string | undefined {
  const options = { encoding: 'utf8', timeout: 10_000, env: environment() } as const
  const { status, stdout } = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', name], options)
  return status === 0 ? stdout.trim() : undefined
}

function missingTun(): string | undefined {
  try {
    closeSync(openSync('/dev/net/tun', 'r+'))
    return undefined
  } catch (error) {
    return `needs /dev/net/tun (${error instanceof Error ? error.message.split(':')[0] : 'can not open it'})`
  }
}

function missingKoffi(): string | undefined {
  try {
    createRequire(import.meta.url)('koffi')
    return undefined
  } catch {
    return 'needs the optional dependency koffi'
  }
}

/** Why tests with these requirements can't run here: the first missing one. */
export function skipReason(requirements: readonly Requirement[]): string | undefined {
  for (const requirement of requirements) {
    const missing = requires(requirement)
    if (missing !== undefined) return missing
  }
  return undefined
}

/** On CI a missing tool is a broken machine: a skip there would be a green lie. */
const onCi = (): boolean => process.env['CI'] === 'true'

/**
 * `describe` where everything in `requirements` is present. Elsewhere its tests are skipped and the title says why,
 * `… (skipped: needs root …)`, for test/reporter.ts to list; with CI=true one failing test stands in their place.
 */
export function describeIf(requirements: readonly Requirement[], name: string, body: () => void): void {
  const reason = skipReason(requirements)
  if (reason === undefined) {
    describe(name, body)
    return
  }
  if (onCi()) {
    test(name, () => {
      throw new Error(`${reason}, and with CI=true nothing is skipped; see test/system-setup.sh`)
    })
    return
  }
  describe.skip(`${name} (skipped: ${reason})`, body)
}
