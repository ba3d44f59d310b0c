/** Options of who may use the server: authentication, databases, TLS, limits, protection against abuse. */
import { type OptionSpec, type Row, rowsOf } from './spec.ts'

const auth: Row = rowsOf('auth')
const database: Row = rowsOf('database')
const tls: Row = rowsOf('tls')
const limit: Row = rowsOf('limits')
const abuse: Row = rowsOf('abuse')

export const accessOptions: readonly OptionSpec[] = [
  auth('lt-cred-mech', 'flag', 'Users with passwords: the long-term credentials of RFC 8489 §9.2.', { short: 'a' }),
  auth('no-auth', 'flag', 'Relays for everybody.', { short: 'z' }),
  auth('use-auth-secret', 'switch', 'Credentials that expire, made with a shared secret (TURN REST API).'),
  auth(
    'static-auth-secret',
    'text',
    'The shared secret of the TURN REST API; each line adds one. Turns use-auth-secret on.',
    {
      list: true,
      secret: true,
    },
  ),
  auth('rest-api-separator', 'character', 'Between expiry and user in TURN REST names.', { short: 'C', default: ':' }),
  auth('user', 'user', 'NAME:PASSWORD, or NAME:0xKEY as turnadmin -k prints it; each line adds one.', {
    short: 'u',
    list: true,
    secret: true,
  }),
  auth('realm', 'text', 'Realm of the credentials, usually your domain.', { short: 'r', default: 'the host’s domain' }),
  auth('server-name', 'text', 'Name of this server for OAuth.', { default: 'the realm' }),
  auth('oauth', 'flag', 'Takes OAuth tokens (RFC 7635).'),
  auth('secure-stun', 'flag', 'Asks for credentials even for Binding requests.'),
  auth('check-origin-consistency', 'flag', 'All requests of a session need the same ORIGIN.'),
  auth('no-auth-pings', 'switch', 'No periodic checks of the database’s secrets.', { since: '4.5.1.3' }),
  auth('no-dynamic-realms', 'switch', 'Ignores realms of the database.', { since: '4.5.1.3' }),
  auth('no-dynamic-ip-list', 'switch', 'Ignores peer ranges of the database.', { since: '4.5.1.3' }),
  auth('secret-ts-exp-time', 'number', 'Once the lifetime of TURN REST names.', {
    removed: '4.7.0',
    obsolete: { since: '4.4.0', how: 'inert', instead: 'leave it out: the name itself says when it expires' },
  }),
  database('userdb', 'file', 'SQLite file of users.', { short: 'b', aliases: ['db'], default: '/var/lib/turn/turndb' }),
  database('psql-userdb', 'connection', 'PostgreSQL database of users.', {
    short: 'e',
    aliases: ['sql-userdb'],
    secret: true,
  }),
  database('mysql-userdb', 'connection', 'MySQL database of users.', { short: 'M', secret: true }),
  database('mongo-userdb', 'connection', 'MongoDB database of users.', { short: 'J', secret: true, build: 'mongo' }),
  database('redis-userdb', 'connection', 'Redis database of users.', { short: 'N', secret: true }),
  database('redis-statsdb', 'connection', 'Redis database for the state of allocations.', { short: 'O', secret: true }),
  database('secret-key-file', 'file', 'Key of an encrypted MySQL password.', { since: '4.5.0' }),
  tls('cert', 'file', 'Certificate and its chain, PEM.'),
  tls('pkey', 'file', 'Private key of the certificate, PEM.'),
  tls('pkey-pwd', 'text', 'Password of the private key.', { secret: true }),
  tls('CA-file', 'file', 'Asks clients for certificates of this authority.'),
  tls('cipher-list', 'text', 'OpenSSL ciphers.', { default: 'DEFAULT' }),
  tls('ec-curve-name', 'text', 'Curve of ECDHE.', { default: 'OpenSSL’s choice' }),
  tls('dh-file', 'file', 'Own Diffie-Hellman parameters, PEM.'),
  tls('dh566', 'flag', 'Diffie-Hellman with 566 bits. Broken.'),
  tls('dh1066', 'flag', 'Diffie-Hellman with 1066 bits. Weak.', { since: '4.5.1.3' }),
  tls('tlsv1', 'flag', 'Takes TLS 1.0.', { since: '4.7.0', default: 'off' }),
  tls('tlsv1_1', 'flag', 'Takes TLS 1.1.', { since: '4.7.0', default: 'off' }),
  tls('no-tlsv1', 'flag', 'No TLS 1.0.', { removed: '4.7.0' }),
  tls('no-tlsv1_1', 'flag', 'No TLS 1.1.', { removed: '4.7.0' }),
  tls('no-tlsv1_2', 'flag', 'No TLS 1.2.'),
  tls('no-sslv2', 'flag', 'Once switched SSL 2 off.', {
    removed: '4.7.0',
    obsolete: { since: '4.5.0', how: 'inert', instead: 'leave it out: SSL 2 is gone' },
  }),
  tls('no-sslv3', 'flag', 'Once switched SSL 3 off.', {
    removed: '4.7.0',
    obsolete: { since: '4.5.0', how: 'inert', instead: 'leave it out: SSL 3 is gone' },
  }),
  tls('raw-public-keys', 'flag', 'Offers raw public keys (RFC 7250) in TLS.', { since: '4.6.3' }),
  limit('user-quota', 'number', 'Allocations of one user at a time.', { short: 'q', default: '0, no limit' }),
  limit('total-quota', 'number', 'Allocations in all.', { short: 'Q', default: '0, no limit' }),
  limit('max-bps', 'number', 'Bytes a second of one session, each way.', { short: 's', default: '0, no limit' }),
  limit('bps-capacity', 'number', 'Bytes a second of all sessions; needs max-bps.', {
    short: 'B',
    default: '0, no limit',
  }),
  limit('max-allocate-lifetime', 'number', 'Longest lifetime of an allocation, seconds.', {
    since: '4.5.0',
    optional: true,
    default: '3600',
  }),
  limit('channel-lifetime', 'number', 'Lifetime of a channel, seconds. RFC 8656 §12 says 600.', {
    since: '4.5.0',
    optional: true,
    default: '600',
  }),
  limit('permission-lifetime', 'number', 'Lifetime of a permission, seconds. RFC 8656 §9 says 300.', {
    since: '4.5.0',
    optional: true,
    default: '300',
  }),
  limit('max-allocate-timeout', 'number', 'Seconds until a session needs its allocation.', { default: '60' }),
  abuse('stale-nonce', 'number', 'Seconds that a nonce is good for; 0 for ever.', { optional: true, default: '600' }),
  abuse('stateless-nonce', 'flag', 'Nonces that carry their own proof, so that floods take no memory.', {
    since: '4.16.0',
    default: 'on since 4.17.0',
  }),
  abuse('stateless-nonce-secret', 'text', 'Key of the nonces, shared by a fleet.', { since: '4.16.0', secret: true }),
  abuse('unauthorized-ratelimit', 'flag', 'Limits 401 responses to one address.', { since: '4.14.0', default: 'off' }),
  abuse('unauthorized-ratelimit-rps', 'number', 'How many 401 responses a second one address gets.', {
    since: '4.14.0',
    optional: true,
    default: '10',
  }),
  abuse('drop-invalid-packets', 'flag', 'Drops what is no STUN early.', { since: '4.8.0', default: 'on' }),
  abuse('drop-invalid-packets-log', 'flag', 'Logs what was dropped.', { since: '4.8.0' }),
]
