/** Options of the protocol's details, logs, metrics, administration and the process. */
import { type OptionSpec, type Row, rowsOf } from './spec.ts'

const protocol: Row = rowsOf('protocol')
const log: Row = rowsOf('logging')
const metric: Row = rowsOf('metrics')
const admin: Row = rowsOf('admin')
const own: Row = rowsOf('process')

export const serviceOptions: readonly OptionSpec[] = [
  protocol('fingerprint', 'flag', 'Adds FINGERPRINT to messages.', { short: 'f' }),
  protocol('stun-only', 'flag', 'STUN only: no allocations.', { short: 'S' }),
  protocol('no-stun', 'flag', 'TURN only: no Binding responses.'),
  protocol('mobility', 'flag', 'Lets allocations move to another client address (RFC 8016).'),
  protocol('rfc5780', 'switch', 'NAT behaviour discovery between two addresses.', { since: '4.7.0', default: 'off' }),
  protocol('no-rfc5780', 'flag', 'No NAT behaviour discovery.', {
    since: '4.6.0',
    obsolete: { since: '4.7.0', how: 'inert', instead: 'leave it out: it is off unless rfc5780 is set' },
  }),
  protocol('software-attribute', 'flag', 'Tells everybody the version in SOFTWARE.', {
    since: '4.7.0',
    default: 'off',
  }),
  protocol('no-software-attribute', 'flag', 'Hides the version.', {
    since: '4.5.1.3',
    obsolete: { since: '4.7.0', how: 'deprecated', instead: 'leave it out: hidden unless software-attribute is set' },
  }),
  protocol('prod', 'flag', 'Hides the version: the old name of no-software-attribute.', {
    since: '4.5.0',
    removed: '4.7.0',
    obsolete: { since: '4.5.1.3', how: 'deprecated', instead: 'write no-software-attribute' },
  }),
  protocol('stun-backward-compatibility', 'flag', 'Adds MAPPED-ADDRESS for clients from before RFC 5389.', {
    since: '4.7.0',
    default: 'off',
  }),
  protocol('no-stun-backward-compatibility', 'flag', 'No answers to RFC 3489, no MAPPED-ADDRESS.', {
    since: '4.6.0',
    removed: '4.7.0',
  }),
  protocol('response-origin-only-with-rfc5780', 'flag', 'RESPONSE-ORIGIN only where RFC 5780 is on.', {
    since: '4.6.0',
    obsolete: { since: '4.7.0', how: 'inert', instead: 'leave it out: it is so' },
  }),
  protocol('rfc3489-compatibility', 'flag', 'Answers the old STUN of RFC 3489.', {
    since: '4.16.0',
    obsolete: { since: '4.16.0', how: 'deprecated', instead: 'leave it out: it will be removed' },
  }),
  protocol('rfc5766-channel-numbers', 'flag', 'Takes the channel numbers that RFC 8656 reserves.', { since: '4.16.0' }),
  protocol('respond-http-unsupported', 'flag', 'Answers HTTP with 400 instead of closing.', { since: '4.6.3' }),
  protocol('include-reason-string', 'flag', 'Detailed reasons in error responses.', { since: '4.10.0' }),
  protocol('acme-redirect', 'url', 'Sends ACME challenges on to this URL.', { since: '4.5.2' }),
  log('log-file', 'file', 'Where to log; stdout and syslog are names for those.', { short: 'l' }),
  log('no-stdout-log', 'flag', 'No copy of the log on stdout.'),
  log('syslog', 'flag', 'Logs to syslog, to no file.'),
  log('syslog-facility', 'text', 'Facility of syslog.', { since: '4.6.0' }),
  log('simple-log', 'flag', 'Exactly this log file: no date or process id in its name, no rollover.'),
  log('log-min-level', 'text', 'Least level that is logged.', { since: '4.15.0' }),
  log('new-log-timestamp', 'flag', 'ISO 8601 times in the log.', { since: '4.5.2', default: 'on since 4.17.0' }),
  log('new-log-timestamp-format', 'text', 'Format of those times, as strftime(1) has it.', { since: '4.5.2' }),
  log('log-binding', 'flag', 'Logs every Binding request.', { since: '4.5.2' }),
  log('verbose', 'flag', 'Logs more.', { short: 'v' }),
  log('Verbose', 'flag', 'Logs everything.', { short: 'V' }),
  metric('prometheus', 'switch', 'Serves metrics for Prometheus.', { since: '4.5.2', build: 'prometheus' }),
  metric('prometheus-port', 'port', 'Port of the metrics.', { since: '4.6.0', default: '9641', build: 'prometheus' }),
  metric('prometheus-address', 'ip', 'Address of the metrics.', {
    since: '4.6.3',
    default: 'all addresses',
    build: 'prometheus',
  }),
  metric('prometheus-path', 'text', 'Path of the metrics.', {
    since: '4.7.0',
    default: '/metrics',
    build: 'prometheus',
  }),
  metric('prometheus-username-labels', 'switch', 'A series for each user name.', {
    since: '4.6.0',
    build: 'prometheus',
  }),
  metric('prometheus-tls', 'flag', 'Serves the metrics over TLS; turns prometheus on.', {
    since: '4.14.0',
    build: 'prometheus',
  }),
  metric('prometheus-cert', 'file', 'Certificate of the metrics, PEM.', { since: '4.14.0', build: 'prometheus' }),
  metric('prometheus-key', 'file', 'Key of that certificate, PEM.', { since: '4.14.0', build: 'prometheus' }),
  admin('cli', 'flag', 'Starts the telnet console.', { since: '4.10.0', default: 'off' }),
  admin('no-cli', 'flag', 'No telnet console.', {
    obsolete: { since: '4.10.0', how: 'inert', instead: 'leave it out: the console is off unless cli is set' },
  }),
  admin('cli-ip', 'ip', 'Address of the telnet console.', { default: '127.0.0.1' }),
  admin('cli-port', 'port', 'Port of the telnet console.', { default: '5766' }),
  admin('cli-password', 'text', 'Password of the telnet console; turnadmin -P hashes it.', { secret: true }),
  admin('cli-max-output-sessions', 'number', 'Sessions that the console lists.', { default: '256' }),
  admin('web-admin', 'flag', 'Starts the web administration.', { since: '4.5.1.1' }),
  admin('web-admin-ip', 'ip', 'Address of the web administration.', { since: '4.5.1.1', default: '127.0.0.1' }),
  admin('web-admin-port', 'port', 'Port of the web administration.', { since: '4.5.1.1', default: '8080' }),
  admin('web-admin-listen-on-workers', 'flag', 'Web administration on the TURN ports, for everybody.', {
    since: '4.5.1.1',
  }),
  own('relay-threads', 'number', 'Threads that relay; 0 for one thread in all.', { short: 'm', default: 'one a CPU' }),
  own('cpus', 'number', 'CPUs to count on, where a container hides them.', { since: '4.8.0' }),
  own('daemon', 'flag', 'Goes to the background.', { short: 'o' }),
  own('pidfile', 'file', 'File for the process id.', { default: '/var/run/turnserver.pid' }),
  own('proc-user', 'text', 'User to become after the start.'),
  own('proc-group', 'text', 'Group to become after the start.'),
  own('drain-min-allocations', 'number', 'A drain ends at this number of allocations.', {
    since: '4.15.0',
    default: '0',
  }),
  own('udp-recvmmsg', 'flag', 'Reads UDP in batches.', {
    since: '4.10.0',
    default: 'on since 4.13.0',
    build: 'linux',
  }),
  own('udp-recvmmsg-log', 'flag', 'Logs the sizes of those batches.', { since: '4.12.0', build: 'linux' }),
  own('udp-sendmmsg-log', 'flag', 'Logs the sizes of sent batches.', { since: '4.13.0', build: 'linux' }),
  own('udp-gso', 'flag', 'Sends equal datagrams as one; needs multiplex-peer.', { since: '4.12.0', build: 'linux' }),
  own('ne', 'number', 'Network engine, for coturn’s own tests.', { removed: '4.10.0' }),
  own('version', 'flag', 'Prints the version and ends.', { since: '4.6.0' }),
]
