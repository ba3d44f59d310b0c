/** Other programs, as children of this process. */
import { spawn } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { ProcessCommand, ProcessEnd, Processes, ProcessHandlers, RunningProcess } from '../core/index.ts'
import { systemWord } from './failures.ts'

/**
 * Children don't outlive this process: setpriv, where there is one, has the kernel kill them when we die, however we do.
 * What it asks for survives exec, so the process is the program's own.
 */
export function nodeProcesses(): Processes {
  const setpriv = process.platform === 'linux' ? findProgram('setpriv') : undefined
  const prefix = setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL', '--']
  return {
    find: findProgram,
    endWithUs: setpriv !== undefined,
    start: (command, handlers) => startProcess(prefix, command, handlers),
  }
}

/** What a program needs to run. Not the rest: our environment may hold secrets. */
const inherited = ['PATH', 'LD_LIBRARY_PATH', 'TZ', 'TMPDIR', 'SystemRoot']

function findProgram(name: string): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '')
  return directories.map((directory) => join(directory, name)).find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function startProcess(
  prefix: readonly string[],
  { path, args, input }: ProcessCommand,
  handlers: ProcessHandlers,
): RunningProcess {
  const [file = path, ...rest] = [...prefix, path, ...args]
  const child = spawn(file, rest, {
    cwd: '/',
    // A group of its own: Ctrl-C in the terminal is for us, who know what has to end first.
    detached: true,
    env: Object.fromEntries(inherited.map((name) => [name, process.env[name]])),
    stdio: 'pipe',
  })
  // A program that ends without reading its input says why by itself.
  child.stdin.on('error', () => {})
  child.stdin.end(input ?? '')
  readLines(child.stdout, handlers)
  readLines(child.stderr, handlers)
  let ended = false
  const end = (how: ProcessEnd): void => {
    if (!ended) handlers.onEnd(how)
    ended = true
  }
  child.once('error', (error) => end({ code: undefined, why: systemWord(error) }))
  child.once('close', (code, signal) => end({ code: code ?? undefined, why: signal ?? `exit code ${code}` }))
  return { pid: child.pid, signal: (name) => void child.kill(name) }
}

function readLines(stream: Readable, handlers: ProcessHandlers): void {
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => handlers.onLine(line))
}
