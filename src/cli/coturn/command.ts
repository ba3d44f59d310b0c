/** `natcheck coturn` as commander sees it: sub-commands, flags and help. What they do is loaded only when they run. */
import type { Command } from 'commander'
import { collect, givenFlags } from '../flags.ts'

export type CoturnAction = 'init' | 'lint' | 'explain' | 'migrate' | 'convert' | 'run' | 'check'

const examples: Readonly<Record<CoturnAction, string>> = {
  init: `Examples:
  natcheck coturn init --domain turn.example.org --coturn-version 4.6.1
  natcheck coturn init --domain turn.example.org \\
    --external-ip 203.0.113.10/10.0.0.5 --relay-ip 10.0.0.5
  natcheck coturn init --domain example.org --users-file users.txt --tls none
`,
  lint: `Examples:
  natcheck coturn lint /etc/turnserver.conf
  natcheck coturn lint turnserver.conf --coturn-version 4.17.2 --fix
  natcheck coturn lint turnserver.conf --reporter github
  natcheck coturn lint --command "turnserver -v -r example.org --no-auth"
`,
  explain: `Examples:
  natcheck coturn explain stale-nonce
  natcheck coturn explain /etc/turnserver.conf
`,
  migrate: `Examples:
  natcheck coturn migrate turnserver.conf --from 4.6.1 --to 4.17.2 > new.conf
`,
  convert: `Examples:
  natcheck coturn convert turnserver.conf --to natcheck > natcheck.yaml
  natcheck coturn convert turnserver.conf --to eturnal > eturnal.yml
`,
  run: `Examples:
  natcheck coturn run turnserver.conf
  natcheck coturn run /etc/turnserver.conf --strict --drain-timeout 5m
`,
  check: `Examples:
  natcheck coturn check turnserver.conf
  natcheck coturn check turnserver.conf --json
  natcheck coturn check /etc/turnserver.conf --running turn.example.org:3478
`,
}

const notes: Readonly<Record<CoturnAction, string>> = {
  init: `
Writes turnserver.conf with the reason of each line, and for --auth rest the
  secret in a file of its own, turn-secret; both have mode 0640, because coturn
  knows no include and the secret has to stand in its file too. What exists is
  never overwritten without --force: the difference is shown instead.

Profiles: public is for the internet; internal lets clients reach private
  addresses; lab is internal, with NAT behaviour tests (RFC 5780) between two
  --relay-ip addresses.

Never asks anything where stdin or stdout is no terminal.
`,
  lint: `
Severity: error is what coturn refuses or ignores, what opens access, and what
  breaks clients. --fix makes the safe changes, and only those.

A comment silences a finding, for a reason that it has to name:
    # natcheck-disable-next-line RULE: reason
    # natcheck-disable RULE: reason     (the whole file, for what is missing)

--coturn-version auto asks the turnserver that is installed.

Exit code:
  0 no errors   1 errors   2 usage, a file that can't be read, unknown version
`,
  explain: '',
  migrate: `
The new file goes to stdout, or over the old one with --write; each change and
  its reason goes to stderr.
`,
  convert: `
The new file goes to stdout; what it can't carry over stands at its top and goes
  to stderr. It holds the passwords of the old one.
`,
  run: `
turnserver runs with the file as it is, and is started again, with growing
  pauses, when it dies. Errors that coturn lint finds are warnings here, or the
  end with --strict. Its log goes where the file says, else to stderr as JSON
  lines; what clients do is told at --log-level debug.

SIGHUP reads certificates again; a changed file needs a restart. SIGTERM and
  SIGINT drain where turnserver can (4.6.3 and newer), and end it; a second one
  ends it at once.

Exit code:
  0 ended as asked     2 usage, a file that can't be read, errors with --strict
  3 turnserver is missing or does not run     130 ended at once
`,
  check: `
Without --running a turnserver is started on loopback with a private copy of
  the file: addresses, ports, log and pid file are its own; databases,
  redirection, metrics and consoles are left out; where the file tells no
  password, a user is added. Every rule about peers, users, limits and the
  protocol is the file's.

What is asked: credentials and realm, the ends of each denied range, the same in
  every form that hides IPv4 in IPv6, relayed ports, lifetime, quotas of up to
  64 allocations, TCP to peers, relay to relay, the certificate, NAT behaviour
  discovery (RFC 5780), and how much larger answers to strangers are. Nobody
  but the server and this machine is sent a packet.

--running asks the server at HOST[:PORT], by default where the file makes it
  listen. It gets in with the file's secret or password, or with --username and
  --credential-env. The quota of all is not tried on a server at work.

Exit code:
  0 it does what the file says, as far as it shows     1 it does not
  2 usage, a file that can't be read     3 nothing could be measured
`,
}

type Run = (action: CoturnAction, target: string | undefined, flags: Record<string, unknown>) => Promise<void>

/** Adds the sub-commands; `run` gets the file or option that was named, and the flags that were given. */
export function addCoturnCommand(program: Command, run: Run): void {
  const coturn = program
    .command('coturn')
    .summary('make, check, run and translate a turnserver.conf')
    .description('Make, check, explain, translate and run the configuration of coturn.')
    .addHelpText(
      'before',
      'Examples:\n  natcheck coturn init --domain turn.example.org\n  natcheck coturn lint /etc/turnserver.conf\n',
    )
  const add = (action: CoturnAction, argument: string | undefined, summary: string): Command => {
    const command = coturn
      .command(action)
      .summary(summary)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
    if (argument !== undefined) command.argument(argument)
    return command
      .addHelpText('before', examples[action])
      .addHelpText('after', notes[action])
      .action(async () => {
        await run(action, command.args[0], givenFlags(command))
      })
  }
  const version = ['--coturn-version <version>', 'release, such as 4.6.1, or auto (default: auto)'] as const
  add('init', undefined, 'write a turnserver.conf, with the reason of each line')
    .option('--domain <name>', 'name that clients use; also the realm')
    .option('--external-ip <ip>', 'behind 1:1 NAT: PUBLIC[/PRIVATE], or auto; repeatable', collect)
    .option('--relay-ip <ip>', 'local address to listen on and relay from; repeatable', collect)
    .option('--ports <min-max>', 'relayed ports (default: 49152-65535)')
    .option('--realm <realm>', 'where it is not the domain')
    .option('--auth <how>', 'rest or users (default: rest)')
    .option('--users-file <file>', 'users: one NAME:PASSWORD a line')
    .option('--tls <how>', 'letsencrypt, CERT,KEY or none (default: letsencrypt)')
    .option('--redis <url>', 'redis://[:PASSWORD@]HOST[:PORT][/DB] for a fleet')
    .option('--metrics <addr:port>', 'Prometheus, from 4.6.3 on')
    .option('--profile <name>', 'public, internal or lab (default: public)')
    .option(...version)
    .option('--out <dir>', 'where to write (default: here)')
    .option('--force', 'overwrite what is there')
    .option('--json', 'print what was written as one JSON document')
  add('lint', '[file]', 'find what is wrong in a turnserver.conf')
    .option(...version)
    .option('--command <line>', 'the command line that coturn is started with')
    .option('--reporter <name>', 'text, json, sarif or github (default: text)')
    .option('--fix', 'make the safe changes in the file')
  add('explain', '[file-or-option]', 'say what each line or an option does')
    .option(...version)
    .option('--command <line>', 'the command line that coturn is started with')
  add('migrate', '<file>', 'rewrite it for another release')
    .option('--from <version>', 'release that it was written for (default: auto)')
    .option('--to <version>', 'release that it is to be for')
    .option('--write', 'over the file, instead of to stdout')
  add('convert', '<file>', 'the same relay for another server')
    .option('--to <server>', 'eturnal or natcheck')
    .option(...version)
  add('run', '<file>', 'run turnserver with it, and keep it running')
    .option('--strict', 'refuse a file that has errors')
    .option('--drain-timeout <duration>', 'wait so long for the last allocation (default: 30s)')
    .option('--log-level <level>', 'debug, info, warn or error (default: info)')
  add('check', '<file>', 'prove that the server does what the file says')
    .option('--running [host:port]', 'ask the server that runs, instead of starting one')
    .option('--username <name>', 'with --running: whom to get in as')
    .option('--credential-env <variable>', 'environment variable with the password')
    .option(...version)
    .option('--timeout <ms>', 'longest time it may take (default: 30000)')
    .option('--json', 'print the result as one JSON document')
    .option('--color', 'colour even when stdout is no terminal')
    .option('--no-color', 'no colour')
}
