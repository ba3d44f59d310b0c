#!/usr/bin/env node
// npm run bench:relay [-- --against coturn] [--only dgram,mmsg] [--rounds N] [--attempts N] [--seconds N]
//                     [--sessions N] [--burst N] [--allocations N] [--json]
//                     [--sizes 160,1200] [--rates 1000,50000,100000,0] [--directions up,down]
//
// CPU that relays need for a packet, side by side: each server runs on the first core, the generator on the second; rounds
// are interleaved, so that whatever else the machine does falls on all of them. Everything stays on loopback.
// CPU is what the server's threads used (/proc/PID/task/*/schedstat), which on loopback includes delivering to the
// generator's sockets. It is divided by the packets that arrived. UDP_GRO is of no use here: the generator sends datagrams
// one by one, as clients do. A round in which other programs took the cores is tried again, up to `attempts` times, and
// marked when there was none without. What is lost in a full socket is told by whose socket it was (/proc/net/udp).
import { spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { availableParallelism, cpus, release } from 'node:os'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    against: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', default: 'mmsg,dgram' },
    rounds: { type: 'string', default: '3' },
    attempts: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '1' },
    sessions: { type: 'string', default: '8' },
    burst: { type: 'string', default: '8' },
    sizes: { type: 'string', default: '160,1200' },
    rates: { type: 'string', default: '1000,50000,100000,0' },
    directions: { type: 'string', default: 'up,down' },
    allocations: { type: 'string', default: '4000' },
    json: { type: 'boolean', default: false },
  },
})
const numbers = (text) => text.split(',').map(Number)
const options = {
  servers: [...values.only.split(/,(?![^{]*\})/).filter(Boolean), ...values.against],
  rounds: Number(values.rounds),
  attempts: Number(values.attempts),
  seconds: Number(values.seconds),
  sessions: Number(values.sessions),
  burst: Number(values.burst),
  sizes: numbers(values.sizes),
  rates: numbers(values.rates),
  directions: values.directions.split(','),
  allocations: Number(values.allocations),
}

const ip = '127.0.0.1'
const credentials = { user: 'bench', password: 'bench-password', realm: 'bench' }
/** A server that uses this much of its core was busy all the time: less, and the generator was the bottleneck. */
const BUSY = 0.9
/** The part of the time that server or generator may wait for their cores before a round is tried again. */
const CALM = 0.05
const children = new Set()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})
for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15, SIGHUP: 1 })) {
  process.on(signal, () => process.exit(128 + number))
}

const here = (name) => new URL(name, import.meta.url).pathname
const isInstalled = (program) => spawnSync(program, ['--version']).status === 0
const canPin = availableParallelism() >= 2 && isInstalled('taskset')
const pinned = (core, argv) => (canPin ? ['taskset', '-c', String(core), ...argv] : argv)
/** Dies with this process, however that dies. */
const bound = isInstalled('setpriv') ? (argv) => ['setpriv', '--pdeathsig', 'KILL', ...argv] : (argv) => argv

function start(core, argv) {
  const [command, ...rest] = bound(pinned(core, argv))
  // setpriv and taskset become the program, so the child's pid is the program's.
  const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** Waits for the first line of output that `matches`. */
function line(child, matches) {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: child.stdout })
    lines.on('line', (text) => matches.test(text) && resolve())
    lines.on('close', () => reject(new Error('the server has ended')))
  })
}

const launch = {
  natcheck: async (datapath, port, ports) => {
    // `mmsg:{"offload":false}` gives options to the datapath.
    const [kind, ...rest] = datapath.split(':')
    const mmsg = rest.length > 0 ? JSON.parse(rest.join(':')) : undefined
    const settings = { datapath: kind, port, relayIp: ip, ...credentials, ports, mmsg }
    const child = start(0, [process.execPath, here('server-main.mjs'), JSON.stringify(settings)])
    await line(child, /ready/)
    return child
  },
  coturn: async (port, ports) => {
    const child = start(0, [
      'turnserver',
      '-n',
      '--log-file=stdout',
      '--simple-log',
      '--no-cli',
      '--no-tls',
      '--no-dtls',
      '--no-tcp',
      '--lt-cred-mech',
      `--realm=${credentials.realm}`,
      `--user=${credentials.user}:${credentials.password}`,
      `--listening-ip=${ip}`,
      `--listening-port=${port}`,
      `--relay-ip=${ip}`,
      '--allow-loopback-peers',
      `--min-port=${ports.min}`,
      `--max-port=${ports.max}`,
      '--no-rfc5780',
      '--relay-threads=1',
      '--userdb=/nonexistent/turndb',
      '--pidfile=/dev/null',
    ])
    await line(child, /Total auth threads|IO method|UDP listener opened/i)
    await new Promise((resolve) => setTimeout(resolve, 1000)) // it logs that it listens before it does
    return child
  },
}

/** What its threads used and how long they waited for a core, in nanoseconds. */
function schedule(pid) {
  const total = { cpu: 0, waited: 0 }
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const [cpu, waited] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ').map(Number)
    total.cpu += cpu
    total.waited += waited
  }
  return total
}

const since = (pid, before) => {
  const now = schedule(pid)
  return { cpu: now.cpu - before.cpu, waited: now.waited - before.waited }
}

/** Packets that found a socket of this process full. */
function lostBy(pid) {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
  const own = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]))
  const sockets = readFileSync(`/proc/${pid}/net/udp`, 'utf8').trim().split('\n').slice(1)
  return sockets
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => own.has(words[9]))
    .reduce((sum, words) => sum + Number(words[12]), 0)
}

const residentBytes = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024

async function generator(port) {
  const settings = { server: { ip, port }, ...credentials }
  const child = start(1, [process.execPath, here('generator-main.mjs'), JSON.stringify(settings)])
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error('the generator has ended')
    const answer = JSON.parse(value)
    if (answer.error) throw new Error(answer.error)
    return answer
  }
  await next()
  return {
    do: (command) => {
      child.stdin.write(`${JSON.stringify(command)}\n`)
      return next()
    },
    pid: child.pid,
    end: () => child.stdin.end(),
  }
}

/** A port that nobody has. */
async function freePort() {
  const socket = createSocket('udp4').bind(0, ip)
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

async function startServer(name, index) {
  const port = await freePort()
  // Each its own range, below the ports that the system hands out, where possible.
  const ports = { min: 1024 + index * 8000, max: 1024 + index * 8000 + 7999 }
  const child = name === 'coturn' ? await launch.coturn(port, ports) : await launch.natcheck(name, port, ports)
  const load = await generator(port)
  await load.do({ do: 'sessions', count: options.sessions })
  return { name, child, load }
}

async function measureRun({ child, load }, scenario) {
  const [server, generator] = [schedule(child.pid), schedule(load.pid)]
  const lost = [lostBy(child.pid), lostBy(load.pid)]
  const run = await load.do({ do: 'run', ...scenario, seconds: options.seconds, burst: options.burst })
  const [ours, theirs] = [since(child.pid, server), since(load.pid, generator)]
  const wall = run.milliseconds * 1e6
  const expected = (scenario.rate * run.milliseconds) / 1000
  return {
    nanoseconds: ours.cpu / run.received,
    delivered: run.received / (run.sent - run.notSent),
    relayed: (run.received / run.milliseconds) * 1000,
    lostByServer: lostBy(child.pid) - lost[0],
    lostByGenerator: lostBy(load.pid) - lost[1],
    medianDelay: run.delay.median,
    p99Delay: run.delay.p99,
    busy: (ours.cpu + ours.waited) / wall,
    // Nobody else belongs on these cores: who waits for one was disturbed, and packets came late and in heaps.
    disturbed: Math.max(ours.waited / wall, theirs.waited / wall, scenario.rate && 1 - run.sent / expected),
  }
}

/** The `rounds` results that were disturbed least, of as many attempts as it takes within reason. */
async function measureAll(scenario) {
  const results = new Map(servers.map(({ name }) => [name, []]))
  const calm = (list) => list.filter(({ disturbed }) => disturbed <= CALM).length
  for (let attempt = 0; attempt < options.rounds * options.attempts; attempt++) {
    const short = servers.filter(({ name }) => calm(results.get(name)) < options.rounds)
    if (attempt >= options.rounds && short.length === 0) break
    // All of them again, so that they stay side by side.
    for (const server of servers) {
      const result = await measureRun(server, scenario)
      if (result.relayed > 0) results.get(server.name).push(result)
    }
  }
  for (const [name, list] of results) {
    const best = list.toSorted((a, b) => a.disturbed - b.disturbed).slice(0, options.rounds)
    if (best.length === 0) throw new Error(`${name} has relayed nothing`)
    results.set(name, best)
  }
  return results
}

async function measureAllocations({ child, load }) {
  const count = options.allocations
  const before = { times: schedule(child.pid), rss: residentBytes(child.pid) }
  const { milliseconds } = await load.do({ do: 'allocate', count })
  const { cpu, waited } = since(child.pid, before.times)
  const rss = residentBytes(child.pid) - before.rss
  await load.do({ do: 'release', count })
  return {
    perSecond: (count / milliseconds) * 1000,
    perCpuSecond: count / (cpu / 1e9),
    rssPerAllocation: rss / count,
    busy: (cpu + waited) / (milliseconds * 1e6),
  }
}

/** Medians over the rounds, but the memory of the first: later ones find what it left. */
async function measureAllAllocations() {
  const results = new Map(servers.map(({ name }) => [name, []]))
  for (let round = 0; round < options.rounds; round++) {
    for (const server of servers) results.get(server.name).push(await measureAllocations(server))
  }
  return [...results].map(([server, list]) => {
    const of = (field) => median(list.map((result) => result[field]))
    const { rssPerAllocation } = list[0]
    const rates = { perSecond: of('perSecond'), perCpuSecond: of('perCpuSecond') }
    return { server, ...rates, rssPerAllocation, generatorBound: of('busy') < BUSY }
  })
}

const median = (list) => {
  const sorted = list.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

const scenarios = options.rates.flatMap((rate) =>
  options.sizes.flatMap((size) => options.directions.map((direction) => ({ rate, size, direction }))),
)
const servers = []
for (const [index, name] of options.servers.entries()) servers.push(await startServer(name, index))

const report = { cpu: cpus()[0]?.model, kernel: release(), node: process.version, pinned: canPin, ...options, runs: [] }
// Compiles what will be measured.
for (const server of servers) for (const scenario of scenarios) await measureRun(server, scenario)
for (const scenario of scenarios) {
  const results = await measureAll(scenario)
  const of = (name, field) => median(results.get(name).map((result) => result[field]))
  const reference = values.against.length > 0 ? of(values.against[0], 'nanoseconds') : undefined
  for (const { name } of servers) {
    report.runs.push({
      ...scenario,
      server: name,
      nanoseconds: of(name, 'nanoseconds'),
      ratio: reference && of(name, 'nanoseconds') / reference,
      delivered: of(name, 'delivered'),
      relayed: of(name, 'relayed'),
      lostByServer: of(name, 'lostByServer'),
      lostByGenerator: of(name, 'lostByGenerator'),
      medianDelay: of(name, 'medianDelay'),
      p99Delay: of(name, 'p99Delay'),
      disturbed: of(name, 'disturbed'),
      generatorBound: scenario.rate === 0 && of(name, 'busy') < BUSY,
    })
  }
}
report.allocations = options.allocations > 0 ? await measureAllAllocations() : []
for (const { load, child } of servers) {
  load.end()
  child.kill('SIGKILL')
  await once(child, 'exit')
}

if (values.json) console.log(JSON.stringify(report, undefined, 2))
else print()

function print() {
  console.log(`${report.cpu}, Linux ${report.kernel}, Node ${report.node}, ${canPin ? 'pinned' : 'NOT pinned'}`)
  console.log(
    `${options.sessions} sessions, bursts of ${options.burst}, medians of ${options.rounds} rounds of ${options.seconds} s\n`,
  )
  const columns = [9, 6, 5, 8, 11, 6, 10, 10, 9, 9]
  const row = (cells) => console.log(cells.map((cell, i) => String(cell).padStart(columns[i] ?? 0)).join(' '))
  row(['load', 'bytes', 'dir', 'server', 'CPU ns/pkt', 'ratio', 'delivered', 'relayed/s', 'delay µs', 'p99 µs'])
  for (const run of report.runs) {
    row([
      run.rate === 0 ? 'flood' : `${run.rate}/s`,
      run.size,
      run.direction,
      run.server,
      Math.round(run.nanoseconds),
      run.ratio === undefined ? '' : run.ratio.toFixed(2),
      `${(run.delivered * 100).toFixed(run.delivered > 0.9999 ? 0 : 2)} %`,
      Math.round(run.relayed),
      Math.round(run.medianDelay),
      Math.round(run.p99Delay),
      run.disturbed > CALM ? ` disturbed ${Math.round(run.disturbed * 100)} % of the time` : '',
      run.generatorBound ? ' (the generator was the bottleneck)' : '',
      run.lostByServer > 0 ? ` lost ${run.lostByServer} before the server` : '',
      run.lostByGenerator > 0 ? ` lost ${run.lostByGenerator} before the generator` : '',
    ])
  }
  console.log('')
  for (const { server, perSecond, perCpuSecond, rssPerAllocation, generatorBound } of report.allocations) {
    console.log(
      `${server}: ${Math.round(perSecond)} authenticated allocations/s on one core, ` +
        `the ${generatorBound ? 'generator' : 'server'} was the bottleneck; ` +
        `${Math.round(perCpuSecond)} per second of CPU, ${(rssPerAllocation / 1024).toFixed(1)} KiB of memory each`,
    )
  }
}
