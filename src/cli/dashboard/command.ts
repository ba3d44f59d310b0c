/** `natcheck up` and `natcheck dashboard` as commander sees them. What they do is in run.ts, loaded only when one runs. */
import type { Command } from 'commander'

const upExamples = `Examples:
  natcheck up                       a relay and the dashboard, on this machine
  natcheck up --server stun:stun.example.org
`

const dashboardExamples = `Examples:
  natcheck dashboard --server turn:turn.example.org \\
    --auth-secret-file secret.txt
  natcheck dashboard --relay http://127.0.0.1:9641/metrics
  natcheck dashboard --listen 0.0.0.0:8478 --cert cert.pem --key key.pem
`

const notes = `
The URL stands alone on the first line of stdout. Nothing is opened.

On loopback whoever uses this machine may look. Any other address demands a
  token: a random one, which is in the URL and nowhere else, or that of
  --token-file.

TURN servers of --server are used with credentials that expire after an hour,
  made from the secret that --auth-secret-file shares with the server. No
  password reaches the page.

Settings come from the flag, else from the environment
  (NATCHECK_DASHBOARD_LISTEN, ...: the flag's name in capitals).

Exit code:
  0 stopped by SIGINT or SIGTERM   2 usage, configuration, address in use
  3 could not run
`

const relayNote = `--relay watches a coturn or a natcheck relay by its Prometheus endpoint.
`

const collect = (value: string, previous: string[] | undefined): string[] => [...(previous ?? []), value]

type Run = (flags: Record<string, unknown>) => Promise<void>

const shared = (command: Command, run: Run): void => {
  command
    .option('--listen <addr:port>', 'where the page is served (default: 127.0.0.1:8478)')
    .option('--token-file <file>', 'token that the page is opened with')
    .option('--cert <file>', 'serve HTTPS: certificate and its chain, PEM')
    .option('--key <file>', "the certificate's key, PEM")
    .option('-s, --server <uri>', 'STUN or TURN server to gather with; repeatable', collect)
    .option('--auth-secret-file <file>', 'secret that these TURN servers share with us')
    .option('--data <dir>', 'keep the check-ups of this host there (default: forget)')
    .action(async (_options: unknown, self: Command) => {
      const given = Object.entries(self.opts()).filter(([name]) => self.getOptionValueSource(name) === 'cli')
      await run(Object.fromEntries(given))
    })
}

/** Adds both sub-commands; the runs get the flags that were given, and nothing for those that weren't. */
export function addDashboardCommands(program: Command, up: Run, dashboard: Run): void {
  const withRelay = program
    .command('up')
    .summary('try it all: a relay and the web dashboard on this machine')
    .description('Start a STUN/TURN relay and the web dashboard on loopback, with random credentials.')
    .addHelpText('before', upExamples)
    .addHelpText('after', notes)
  shared(withRelay, up)
  const alone = program
    .command('dashboard')
    .summary('serve the web dashboard')
    .description('Serve the web dashboard: candidates of this browser and this host, and a relay at work.')
    .option('--relay <url>', 'Prometheus endpoint of the relay to watch')
    .addHelpText('before', dashboardExamples)
    .addHelpText('after', `\n${relayNote}${notes}`)
  shared(alone, dashboard)
}
