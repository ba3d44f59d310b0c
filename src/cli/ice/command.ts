/** `natcheck ice` as commander sees it: flags and help. What it does is in run.ts, loaded only when it runs. */
import type { Command } from 'commander'
import { collect, givenFlags } from '../flags.ts'

const examples = `Examples:
  natcheck ice                              with public STUN servers
  natcheck ice --ice-servers servers.json   with what your web application uses
  pbpaste | natcheck ice --ice-servers -    the same, from the clipboard
  TURN_PASSWORD=... natcheck ice --server turn:turn.example.org \\
    --username alice --credential-env TURN_PASSWORD
  natcheck ice --policy relay --expect relay/udp,relay/tls   in a script
`

const notes = `
Servers are stun:, stuns:, turn: and turns: URIs; turn: is asked over UDP unless
  it ends in ?transport=tcp, as browsers do. --ice-servers takes JSON as it
  stands in a web application: the list, or an object with it.

Credentials: --username with --credential-env or --credential-stdin for all
  --server URIs, or in the --ice-servers file. They are never printed.

What is proven: a server-reflexive address by a packet that comes back to it, a
  relayed one by data echoed through it both ways, by Send/Data and by
  ChannelData. Without --server, --ice-servers and a setting, three public STUN
  servers are asked, and nothing else is contacted. A server that is silent over
  UDP is tried by TCP on the same port, which tells whether UDP is blocked.

--expect takes a list of: host, srflx, relay, relay/udp, relay/tcp, relay/tls,
  ipv4, ipv6, proven. What is missing ends in exit code 1.

Settings come from the flag, else from the environment (NATCHECK_SERVER,
  NATCHECK_ICE_SERVERS, NATCHECK_USERNAME, NATCHECK_POLICY, NATCHECK_EXPECT,
  ...), else from natcheck.json:
    {"iceServers": "servers.json", "expect": ["srflx", "relay"]}

Exit code:
  0 gathered       1 --expect was not met; without it, a server failed
  2 usage          3 could not measure     130 interrupted
`

/** Adds the sub-command; `run` gets the flags that were given, and nothing for those that weren't. */
export function addIceCommand(program: Command, run: (flags: Record<string, unknown>) => Promise<void>): void {
  program
    .command('ice')
    .summary('gather ICE candidates and prove each of them')
    .description('Gather ICE candidates as they trickle in, prove each of them, and say why a server fails.')
    .option('-s, --server <uri>', 'STUN or TURN server to ask; repeatable', collect)
    .option('--ice-servers <file>', 'iceServers JSON; - reads it from stdin')
    .option('--username <name>', 'user name for the TURN servers')
    .option('--credential-env <variable>', 'environment variable with the password')
    .option('--credential-stdin', 'read the password from stdin')
    .option('--policy <all|relay>', 'which candidates to gather (default: all)')
    .option('--family <4|6|both>', 'address families (default: both)')
    .option('--timeout <ms>', 'longest time the run may take (default: 10000)')
    .option('--ca <file>', "PEM of authorities to trust instead of the system's")
    .option('--no-prove', "gather only, don't send through what was found")
    .option('--expect <list>', 'exit 1 unless all of these are found; see below')
    .option('--watch', 'again every few seconds, until interrupted')
    .option('--json', 'print the report as one JSON document')
    .option('--jsonl', 'print a JSON object a line while running, the report last')
    .option('-v, --verbose', 'say what happened in each stage')
    .option('--save <file>', 'write the report to a file')
    .option('--redact', 'mask addresses and private server names')
    .option('--config <file>', 'settings file (default: natcheck.json, if there)')
    .option('--color', 'colour even when stdout is no terminal')
    .option('--no-color', 'no colour')
    .addHelpText('before', examples)
    .addHelpText('after', notes)
    .action(async (_options: unknown, command: Command) => {
      await run(givenFlags(command))
    })
}
