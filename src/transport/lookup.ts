/**
 * Name lookups by the system's resolver (hosts file, nsswitch, mDNS, DNS), in a process of their own.
 *
 * getaddrinfo can't be cancelled, and Node's exit waits for the thread it blocks: with a silent DNS server `process.exit`
 * takes another ten seconds, and so would a check-up that has long printed its verdict. A child can be killed. It costs
 * some 40 ms, serves all lookups that are under way at the same time, and ends with the last of them.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import type { Readable, Writable } from 'node:stream'

/** Addresses in the resolver's order, or the resolver's word for the failure (ENOTFOUND, EAI_AGAIN, …). */
export type LookupAnswer =
  | { readonly ok: true; readonly addresses: readonly string[] }
  | { readonly ok: false; readonly word: string }

/** Reads `id name` lines, writes one JSON line for each. Dies with its parent, whose end closes stdin. */
const childScript = `
const { lookup } = require('node:dns')
const lines = require('node:readline').createInterface({ input: process.stdin })
lines.on('line', (line) => {
  const [id, name] = line.split(' ')
  lookup(name, { all: true, verbatim: true }, (error, found) => {
    const answer = error
      ? { ok: false, word: error.code }
      : { ok: true, addresses: found.map((entry) => entry.address) }
    process.stdout.write(JSON.stringify({ id: Number(id), answer }) + '\\n')
  })
})
lines.on('close', () => process.kill(process.pid, 'SIGKILL'))
`

type Child = ChildProcessByStdio<Writable, Readable, null>

/** One child and the lookups that wait for it. */
class Lookups {
  readonly #child: Child
  readonly #waiting = new Map<number, (answer: LookupAnswer | undefined) => void>()
  #nextId = 0
  #partialLine = ''

  constructor() {
    // NODE_OPTIONS (debuggers, loaders) are meant for the program, not for this. More threads: a hung name blocks no other.
    const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, ...env } = process.env
    this.#child = spawn(process.execPath, ['-e', childScript], {
      env: { ...env, UV_THREADPOOL_SIZE: '32' },
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    this.#child.stdin.on('error', () => this.#end())
    this.#child.on('error', () => this.#end()).on('exit', () => this.#end())
  }

  /** `settle` gets undefined when the child ended without an answer. Returns what gives the lookup up. */
  start(name: string, settle: (answer: LookupAnswer | undefined) => void): () => void {
    const id = this.#nextId++
    this.#waiting.set(id, settle)
    this.#child.stdin.write(`${id} ${name}\n`)
    return () => this.#settle(id, undefined)
  }

  #read(text: string): void {
    const lines = (this.#partialLine + text).split('\n')
    this.#partialLine = lines.pop() ?? ''
    for (const line of lines) {
      const { id, answer } = JSON.parse(line) as { id: number; answer: LookupAnswer }
      this.#settle(id, answer)
    }
  }

  #settle(id: number, answer: LookupAnswer | undefined): void {
    const settle = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (this.#waiting.size === 0) this.#end()
    settle?.(answer)
  }

  #end(): void {
    if (current === this) current = undefined
    this.#child.kill('SIGKILL')
    this.#child.unref()
    const abandoned = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const settle of abandoned) settle(undefined)
  }
}

let current: Lookups | undefined

/** Looks `name` up; undefined when there was no answer within `timeoutMs`. `name` has no white space. */
export async function lookupName(name: string, timeoutMs: number): Promise<LookupAnswer | undefined> {
  let timedOut = false
  const answer = await new Promise<LookupAnswer | undefined>((resolve) => {
    current ??= new Lookups()
    let timer: NodeJS.Timeout | undefined
    const giveUp = current.start(name, (result) => {
      clearTimeout(timer)
      resolve(result)
    })
    timer = setTimeout(() => {
      timedOut = true
      giveUp()
    }, timeoutMs)
  })
  if (answer || timedOut) return answer
  // No child could be started, or it was killed: look up here, where only the wait is bounded.
  return await lookupHere(name, timeoutMs)
}

async function lookupHere(name: string, timeoutMs: number): Promise<LookupAnswer | undefined> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeoutMs)
  })
  const here = lookup(name, { all: true, verbatim: true }).then(
    (found): LookupAnswer => ({ ok: true, addresses: found.map((entry) => entry.address) }),
    (error: NodeJS.ErrnoException): LookupAnswer => ({ ok: false, word: error.code ?? error.message }),
  )
  return await Promise.race([here, deadline]).finally(() => clearTimeout(timer))
}
