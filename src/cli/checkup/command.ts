/** The check-up as commander sees it: flags and help. What it does is in run.ts, loaded only when it runs. */
import type { Command } from 'commander'
import { collect, givenFlags } from '../flags.ts'

const examples = `Examples:
  natcheck                                    check this network
  natcheck --ice-servers servers.json         with what your web app uses
  TURN_PASSWORD=... natcheck --server turn:turn.example.org \\
    --username alice --credential-env TURN_PASSWORD
  natcheck --expect srflx,relay/tls --fail-on 'rtt>150'    in a script
  natcheck --reporter junit > natcheck.xml                 in CI
`

const notes = `
Measures the NAT (natcheck nat) and gathers and proves candidates (natcheck ice)
  at the same time, looks into the TURN servers that work (natcheck turn) as far
  as three seconds allow, and ends in one verdict, with what to change below it:
  ✗ broken, ! amiss, – good to know.

Servers are stun:, stuns:, turn: and turns: URIs. The NAT is measured with those
  that are asked over UDP. Without any, public STUN servers are asked.
Credentials: --username with --credential-env or --credential-stdin for all
  --server URIs, or in the --ice-servers file. They are never printed.

What leaves this machine is what natcheck nat --help says of it, and packets to
  the servers and through their relays, back to this machine. TURN servers are
  asked for a few allocations and for what they should refuse.

--expect takes a list of: host, srflx, relay, relay/udp, relay/tcp, relay/tls,
  ipv4, ipv6, proven. What is missing ends in exit code 1.
--fail-on takes a list of: symmetric, blocked, behind-nat, cgnat, double-nat,
  alg, not-direct, inconclusive, no-relay, no-srflx, no-udp, not-proven,
  rtt>MS, loss>PERCENT, certificate<DAYS.

--reporter github prints annotations. Under GITHUB_ACTIONS they are printed in
  any case (to stderr), and the step gets a summary.

Settings come from the flag, else from the environment (NATCHECK_SERVER,
  NATCHECK_ICE_SERVERS, NATCHECK_EXPECT, ...), else from natcheck.json:
    {"iceServers": "servers.json", "expect": ["relay"], "failOn": ["rtt>150"]}
  natcheck config shows each of them, and where it came from.

Exit code:
  0 checked    1 an expectation failed; without any, a server that was named
  2 usage      3 could not measure     130 interrupted
`

/** Adds the sub-command; `run` gets the flags that were given, and nothing for those that weren't. */
export function addCheckupCommand(program: Command, run: (flags: Record<string, unknown>) => Promise<void>): void {
  addCheckFlags(program.command('doctor').alias('checkup'))
    .summary('the check-up: same as natcheck alone')
    .description('Check what works for WebRTC from here, what does not, why, and what to change.')
    .option('--reporter <name>', 'text, json, junit, github or markdown (default: text)')
    .option('--json', 'print the report as one JSON document')
    .option('--jsonl', 'print a JSON object a line while running, the report last')
    .option('-v, --verbose', 'print what natcheck nat and natcheck ice would, too')
    .option('--watch', 'again every few seconds, until interrupted')
    .option('--save <file>', 'write the report to a file')
    .option('--redact', 'mask addresses and private server names')
    .option('--color', 'colour even when stdout is no terminal')
    .option('--no-color', 'no colour')
    .addHelpText('before', examples)
    .addHelpText('after', notes)
    .action(async (_options: unknown, command: Command) => {
      await run(givenFlags(command))
    })
}

/** The flags that are settings of the check-up. */
export const addCheckFlags = (command: Command): Command =>
  command
    .option('-s, --server <uri>', 'STUN or TURN server to ask; repeatable', collect)
    .option('--ice-servers <file>', 'iceServers JSON; - reads it from stdin')
    .option('--username <name>', 'user name for the TURN servers')
    .option('--credential-env <variable>', 'environment variable with the password')
    .option('--credential-stdin', 'read the password from stdin')
    .option('--family <4|6|both>', 'address families (default: both)')
    .option('--timeout <ms>', 'longest time the check may take (default: 10000)')
    .option('--ca <file>', "PEM of authorities to trust instead of the system's")
    .option('--no-router', "don't ask the router (UPnP, NAT-PMP, PCP)")
    .option('--expect <list>', 'exit 1 unless all of these are found; see below')
    .option('--fail-on <list>', 'exit 1 when one of these is found; see below')
    .option('--config <file>', 'settings file (default: natcheck.json, if there)')
