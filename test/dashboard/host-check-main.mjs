/** Starts a relay to ask and `natcheck up` beside it, has the host checked, and prints what came over the stream. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

const [launcher] = process.argv.slice(2)
const children = []
async function start(args) {
  const child = spawn(process.execPath, [launcher, ...args], { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/' })
  children.push(child)
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => (text += chunk))
  while (!text.includes('\n')) await once(child.stdout, 'data')
  return text.split('\n')[0]
}

try {
  await start(['relay', '--listen', '127.0.0.1:3999', '--alt-ip', '127.0.0.2', '--log-level', 'silent'])
  const url = await start(['up', '--listen', '127.0.0.1:0', '--server', 'stun:127.0.0.1:3999'])
  const live = await fetch(`${url}api/live`)
  await fetch(`${url}api/host/check`, { method: 'POST' })
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of live.body) {
    text += decoder.decode(chunk, { stream: true })
    if (/event: host\ndata: \{"running":false.*"verdict".*\n\n/.test(text)) break
  }
  const events = text.split('\n\n').map((block) => /^event: (.*)\ndata: (.*)$/s.exec(block) ?? [])
  const states = events.filter(([, name]) => name === 'host').map(([, , data]) => JSON.parse(data))
  const progress = events.filter(([, name]) => name === 'host-progress').map(([, , data]) => JSON.parse(data))
  const { checks } = await (await fetch(`${url}api/history`)).json()
  process.stdout.write(JSON.stringify({ progress, report: states.at(-1).report, checks }))
} finally {
  for (const child of children) child.kill('SIGKILL')
}
