/** `natcheck nat` as commander sees it: flags and help. What it does is in run.ts, loaded only when it runs. */
import type { Command } from 'commander'
import { collect, givenFlags } from '../flags.ts'
import { publicServers } from './public-servers.ts'

const examples = `Examples:
  natcheck nat                                  check with public STUN servers
  natcheck nat --server stun:stun.example.org   check with your own server only
  natcheck nat --json > report.json             one document for scripts
  natcheck nat --fail-on symmetric,blocked      exit 1 if that is what you have
  natcheck nat --save it.json; natcheck nat --from it.json --verbose
`

const notes = `
Servers are stun:host, stun:host:port, or turn:host for a TURN server's UDP
  side. turn:host?transport=tcp, stuns: and turns: are refused, because a NAT is
  measured over UDP.

What leaves this machine:
  DNS lookups of the servers' names (and of ipv4only.arpa where there is IPv6),
  STUN Binding requests over UDP to the servers and to the second address that
  an RFC 5780 server names, and, when no server answers, TCP connects to them
  (their port and 443). Once a server has answered, read-only queries to your
  own router: UPnP over UDP and HTTP, NAT-PMP and PCP. UPnP's search also goes
  to multicast 239.255.255.250:1900, so every device on your LAN can see it.
  --no-router leaves all of that out. Nothing is changed anywhere, and nothing
  else is contacted. When asked for, to a server that has answered:
    --hairpin     UDP packets to our own public address, which should come back
    --lifetime    Binding requests from new ports over several minutes, with
                  silences of up to 8 minutes
    --fragments   a Binding request of 1700 bytes, as IP fragments
    --ports       Binding requests from ten more ports
  Without --server, as many of these as are needed, in this order:
${publicServers.map((server) => `    ${server}`).join('\n')}
  When none of them can be reached, the same check runs against natcheck's own
  server on 127.0.0.1 and 127.0.0.2: that proves the tool and not the network.

Settings come from the flag, else from the environment (NATCHECK_SERVER,
  NATCHECK_FAMILY, NATCHECK_TIMEOUT, NATCHECK_LOCAL, NATCHECK_PORT,
  NATCHECK_HAIRPIN, NATCHECK_LIFETIME, NATCHECK_FRAGMENTS, NATCHECK_PORTS,
  NATCHECK_ROUTER, NATCHECK_FAIL_ON), else from natcheck.json:
    {"server": ["stun:stun.example.org"], "failOn": ["symmetric"]}

--fail-on takes a list of:
  symmetric, blocked, behind-nat, cgnat, double-nat, alg, not-direct,
  inconclusive

Exit code:
  0 measured ("UDP is blocked" too)   1 --fail-on came true   2 usage
  3 could not measure                 130 interrupted
`

/** Adds the sub-command; `run` gets the flags that were given, and nothing for those that weren't. */
export function addNatCommand(program: Command, run: (flags: Record<string, unknown>) => Promise<void>): void {
  program
    .command('nat')
    .summary('diagnose the NAT in front of you')
    .description('Diagnose the NAT in front of you: will peers connect, and if not, why, and what to change.')
    .option('-s, --server <uri>', 'STUN server to ask, and no other; repeatable', collect)
    .option('--family <4|6|both>', 'address families to check (default: both)')
    .option('--timeout <ms>', 'longest time the tests may take (default: 10000)')
    .option('--hairpin', 'also test hairpinning (some firewalls raise an alarm)')
    .option('--lifetime', 'also measure how long an idle mapping lives (minutes)')
    .option('--fragments', 'also test whether IP fragments pass')
    .option('--ports', 'also tell port assignment and pooling (a second more)')
    .option('--no-router', "don't ask the router (UPnP, NAT-PMP, PCP)")
    .option('--local <address>', 'local address to send from')
    .option('--port <number>', 'local port of the mapping test (default: random)')
    .option('--json', 'print the report as one JSON document')
    .option('--jsonl', 'print a JSON object a line while running, the report last')
    .option('-v, --verbose', 'print every packet of evidence')
    .option('--save <file>', 'write the report to a file')
    .option('--from <file>', 'analyse a saved report again and send nothing')
    .option('--redact', 'mask addresses and private server names')
    .option('--fail-on <list>', 'exit 1 when one of these is found; see below')
    .option('--config <file>', 'settings file (default: natcheck.json, if there)')
    .option('--color', 'colour even when stdout is no terminal')
    .option('--no-color', 'no colour')
    .addHelpText('before', examples)
    .addHelpText('after', notes)
    .action(async (_options: unknown, command: Command) => {
      await run(givenFlags(command))
    })
}
