/** `natcheck relay` as commander sees it: flags and help. What it does is in run.ts, loaded only when it runs. */
import type { Command } from 'commander'
import { collect, givenFlags } from '../flags.ts'

const examples = `Examples:
  natcheck relay                    try it: on loopback, random credentials
  natcheck relay --listen 0.0.0.0:3478 --users-file users.txt
  natcheck relay --listen 0.0.0.0:3478 --tls-listen 0.0.0.0:5349 \\
    --cert fullchain.pem --key privkey.pem --auth-secret-file secret.txt
  natcheck relay --config natcheck.yaml --metrics 127.0.0.1:9641
`

const notes = `
--listen opens UDP and TCP, --tls-listen TLS. 0.0.0.0 and [::] stand for all
  addresses that this machine has at the start.

Users: --user and --users-file have names and passwords (one NAME:PASSWORD a
  line), --auth-secret-file a secret (one a line) for credentials that expire:
  natcheck credentials makes them. Without any, only loopback is served.

Peers: nothing is relayed to loopback, private, link-local, multicast, carrier
  NAT, documentation or metadata addresses, in whatever IPv6 form, nor to this
  relay itself, unless --allow-peer names them. --deny-peer beats --allow-peer.

Signals: SIGTERM takes no new allocations and ends with the last one, or after
  --drain-timeout; a second SIGTERM ends at once. SIGHUP reads users, secrets,
  certificate and peer rules again and drops no allocation; a mistake in them
  leaves everything as it was.

Settings come from the flag, else from the environment (NATCHECK_RELAY_LISTEN,
  NATCHECK_RELAY_USER, NATCHECK_RELAY_AUTH_SECRET, ...: the flag's name in
  capitals), else from natcheck.yaml:
    listen: 0.0.0.0:3478
    realm: example.org
    usersFile: users.txt
    lifetimes: { allocation: 10m, permission: 5m }

Exit code:
  0 drained and stopped   2 usage, configuration, address in use
  3 could not run         130 ended at once by a second signal
`

/** Adds the sub-command; `run` gets the flags that were given, and nothing for those that weren't. */
export function addRelayCommand(program: Command, run: (flags: Record<string, unknown>) => Promise<void>): void {
  program
    .command('relay')
    .summary('run a STUN/TURN relay')
    .description('Run a STUN/TURN relay: RFC 8656 over UDP, TCP and TLS, closed to abuse by default.')
    .option('--listen <addr:port>', 'UDP and TCP (default: 127.0.0.1:3478); repeatable', collect)
    .option('--tls-listen <addr:port>', 'TLS; needs --cert and --key; repeatable', collect)
    .option('--cert <file>', 'certificate and its chain, PEM')
    .option('--key <file>', "the certificate's key, PEM")
    .option('--relay-ip <addr>', 'where relayed addresses open; one of each family', collect)
    .option('--external-ip <pub[/priv]>', 'public address behind a 1:1 NAT; repeatable', collect)
    .option('--ports <min-max>', 'relayed ports (default: 49152-65535)')
    .option('--alt-ip <addr>', 'second address: answer NAT behaviour tests too')
    .option('--realm <realm>', 'your domain (default: natcheck)')
    .option('--user <name:pass>', 'user; repeatable; better in --users-file', collect)
    .option('--users-file <file>', 'users: one NAME:PASSWORD a line')
    .option('--auth-secret-file <file>', 'secrets for credentials that expire, one a line')
    .option('--no-auth', 'relay for everybody')
    .option('--nonce-key-file <file>', 'key that the nodes of a fleet share')
    .option('--allow-peer <cidr>', 'permit peers that are denied by default; repeatable', collect)
    .option('--deny-peer <cidr>', 'deny more peers; repeatable', collect)
    .option('--user-quota <n>', 'allocations of one user (default: no limit)')
    .option('--total-quota <n>', 'allocations in all (default: the port range)')
    .option('--max-bps <n>', 'bytes a second of an allocation, each way')
    .option('--engine <name>', 'native, node-turn or coturn (default: native)')
    .option('--datapath <name>', 'auto, dgram or mmsg (default: auto)')
    .option('--threads <n>', 'threads of the mmsg datapath (default: 1)')
    .option('--stun-only', 'answer STUN, relay nothing')
    .option('--metrics <addr:port>', 'serve /metrics (Prometheus) and /healthz')
    .option('--drain-timeout <time>', 'longest time a drain may take (default: 1h)')
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)')
    .option('--config <file>', 'settings file (default: natcheck.yaml, if there)')
    .option('--json', 'print what was started as one JSON document')
    .addHelpText('before', examples)
    .addHelpText('after', notes)
    .action(async (_options: unknown, command: Command) => {
      await run(givenFlags(command))
    })
}
