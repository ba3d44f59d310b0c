// Runs inside a network namespace: performs one method of the network port and prints its outcome as JSON, then
// exits the way a command does that is done: by process.exit, whatever is still under way.
import { nodeNetwork } from '../../dist/transport/index.js'

const [, , method, argumentsText] = process.argv
const started = performance.now()
const outcome = await Promise.resolve(nodeNetwork()[method](...JSON.parse(argumentsText))).then(
  (value) => ({ value: value ?? null }),
  (error) => ({ code: error.code, message: error.message }),
)
process.stdout.write(JSON.stringify({ ...outcome, tookMs: performance.now() - started }), () => process.exit(0))
