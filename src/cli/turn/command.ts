/** `natcheck turn` as commander sees it: flags and help. What it does is in run.ts, loaded only when it runs. */
import type { Command } from 'commander'
import { givenFlags } from '../flags.ts'

const examples = `Examples:
  TURN_PASSWORD=... natcheck turn turn:turn.example.org \\
    --username alice --credential-env TURN_PASSWORD
  natcheck turn turns:turn.example.org:443 --ice-servers servers.json
  natcheck turn turn:turn.example.org --ice-servers - --hold 11m --rate 5
`

const notes = `
What is asked: turn:HOST is tried over UDP and TCP on 3478, and over TLS on 5349
  and 443, IPv4 and IPv6 each; ?transport= names one transport, and only that is
  asked. What the URI names has to work; what is tried beside it may be missing.

What is checked: credentials, nonces and algorithms (RFC 8489), permissions,
  whether the server's own network is shut to strangers, lifetimes, repeated
  requests, relayed addresses, data both ways, the largest payload, the delay
  that the relay adds, and what it offers besides (RFC 8656, 8016, 5780). The
  peers of these tests are this machine itself and a second allocation: nobody
  else is sent anything. All allocations are given back.

Credentials: --username with --credential-env or --credential-stdin, or an
  --ice-servers file that has an entry for the host. They are never printed.

Settings come from the flag, else from the environment (NATCHECK_USERNAME,
  NATCHECK_CREDENTIAL_ENV, NATCHECK_ICE_SERVERS, ...), else from natcheck.json.

Exit code:
  0 nothing is wrong, or only warnings     1 an error is among the findings
  2 usage          3 could not measure     130 interrupted
`

/** Adds the sub-command; `run` gets the URI and the flags that were given, and nothing for those that weren't. */
export function addTurnCommand(
  program: Command,
  run: (uri: string, flags: Record<string, unknown>) => Promise<void>,
): void {
  program
    .command('turn')
    .summary('look into one TURN server')
    .description('Look into one TURN server: transports, security, protocol, and what crosses it.')
    .argument('<uri>', 'turn:HOST or turns:HOST, with :PORT and ?transport= if need be')
    .option('--username <name>', 'user name')
    .option('--credential-env <variable>', 'environment variable with the password')
    .option('--credential-stdin', 'read the password from stdin')
    .option('--ice-servers <file>', 'iceServers JSON with the credentials; - reads it from stdin')
    .option('--family <4|6|both>', 'address families (default: both)')
    .option('--timeout <ms>', 'longest time the run may take (default: 10000)')
    .option('--ca <file>', "PEM of authorities to trust instead of the system's")
    .option('--rate <mbit>', 'send so many Mbit/s through the relay for two seconds')
    .option('--hold <duration>', 'keep an allocation this long with data flowing, such as 11m')
    .option('--json', 'print the report as one JSON document')
    .option('-v, --verbose', 'say what happened in each stage')
    .option('--save <file>', 'write the report to a file')
    .option('--redact', 'mask addresses and private server names')
    .option('--config <file>', 'settings file (default: natcheck.json, if there)')
    .option('--color', 'colour even when stdout is no terminal')
    .option('--no-color', 'no colour')
    .addHelpText('before', examples)
    .addHelpText('after', notes)
    .action(async (uri: string, _options: unknown, command: Command) => {
      await run(uri, givenFlags(command))
    })
}
