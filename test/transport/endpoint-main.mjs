// Runs inside a network namespace: performs the steps given as JSON and prints what the endpoints heard, as JSON.
// Steps: {open|connect: name, …}, {send: name, to?, length?}, {hear: name, failures}, {run: [command, …]}.
import { execFileSync } from 'node:child_process'
import { nodeNetwork } from '../../dist/transport/index.js'

const network = nodeNetwork()
const heard = {}
const endpoints = {}
let wake = () => {}

const handlers = (name) => {
  heard[name] = []
  return {
    onDatagram: (bytes) => heard[name].push(`datagram of ${bytes.length}`),
    onFailure: ({ reason, detail }) => {
      heard[name].push(`${reason} ${detail}`)
      wake()
    },
  }
}

async function perform(step) {
  if (step.connect) {
    endpoints[step.connect] = await network.connectDatagram(step.to, {}, handlers(step.connect))
  } else if (step.open) {
    endpoints[step.open] = await network.openDatagram({ family: step.family }, handlers(step.open))
  } else if (step.send) {
    endpoints[step.send].send(new Uint8Array(step.length ?? 20), step.to)
  } else if (step.run) {
    execFileSync(step.run[0], step.run.slice(1), { timeout: 5000 })
  } else if (step.hear) {
    // No time limit: the test's own limit is the one that counts.
    while (heard[step.hear].length < step.failures) await new Promise((resolve) => (wake = resolve))
  }
}

const steps = JSON.parse(process.argv[2])
const keepAlive = setInterval(() => {}, 1000)
let error = null
for (const step of steps) {
  try {
    await perform(step)
  } catch (thrown) {
    error = { code: thrown.code, message: thrown.message, fix: thrown.fix ?? null }
    break
  }
}
clearInterval(keepAlive)
for (const endpoint of Object.values(endpoints)) endpoint.close()
process.stdout.write(JSON.stringify({ heard, error }))
