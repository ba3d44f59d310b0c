/** Options of listeners, relayed addresses and peers. */
import { type OptionSpec, type Row, rowsOf } from './spec.ts'

const listener: Row = rowsOf('listeners')
const relay: Row = rowsOf('relay')
const peer: Row = rowsOf('peers')
const redirect: Row = rowsOf('redirect')

export const networkOptions: readonly OptionSpec[] = [
  listener('listening-device', 'device', 'Network interface for clients; upstream advises against it.', { short: 'd' }),
  listener('listening-ip', 'ip', 'Local address that clients reach; each line adds one.', {
    short: 'L',
    list: true,
    default: 'all addresses of the machine',
  }),
  listener('listening-port', 'port', 'UDP and TCP port for clients.', { short: 'p', default: '3478' }),
  listener('tls-listening-port', 'port', 'TLS and DTLS port for clients.', { default: '5349' }),
  listener('alt-listening-port', 'port', 'Second port, for the NAT behaviour tests of RFC 5780.', {
    default: 'listening-port + 1',
  }),
  listener('alt-tls-listening-port', 'port', 'Second TLS port, for the tests of RFC 5780.', {
    default: 'tls-listening-port + 1',
  }),
  listener('tcp-proxy-port', 'port', 'TCP port behind a load balancer that speaks the binary PROXY protocol.', {
    since: '4.5.1.3',
  }),
  listener('aux-server', 'ip-port', 'Further plain listener, IP:PORT, without RFC 5780.', { list: true }),
  listener('udp-self-balance', 'flag', 'Spreads UDP clients over the aux-servers by ALTERNATE-SERVER.'),
  listener('no-udp', 'flag', 'No UDP listeners.'),
  listener('no-tcp', 'flag', 'No TCP listeners.'),
  listener('no-tls', 'flag', 'No TLS listeners.'),
  listener('dtls', 'flag', 'Starts the DTLS listeners.', { since: '4.17.0', default: 'off' }),
  listener('no-dtls', 'flag', 'No DTLS listeners.', {
    obsolete: { since: '4.17.0', how: 'deprecated', instead: 'leave it out: DTLS is off unless dtls is set' },
  }),
  listener('sock-buf-size', 'number', 'Bytes of socket buffer for UDP.', { since: '4.8.0' }),
  relay('relay-device', 'device', 'Network interface for relayed addresses; upstream advises against it.', {
    short: 'i',
  }),
  relay('relay-ip', 'ip', 'Local address from which packets go to peers; each line adds one.', {
    short: 'E',
    list: true,
    default: 'the listening addresses',
  }),
  relay('external-ip', 'mapping', 'Public address of a machine behind 1:1 NAT: PUBLIC, or PUBLIC/PRIVATE.', {
    short: 'X',
    list: true,
  }),
  relay('min-port', 'port', 'First port of relayed addresses.', { default: '49152' }),
  relay('max-port', 'port', 'Last port of relayed addresses.', { default: '65535' }),
  relay('no-udp-relay', 'flag', 'No UDP relayed addresses: RFC 6062 only.'),
  relay('no-tcp-relay', 'flag', 'No TCP relayed addresses (RFC 6062).'),
  relay('allocation-default-address-family', 'word', 'Family of a relayed address when the client asks for none.', {
    short: 'A',
    since: '4.6.0',
    default: 'ipv4',
    words: ['ipv4', 'ipv6', 'keep'],
  }),
  relay('keep-address-family', 'flag', "Relays in the family of the client's own address.", {
    short: 'K',
    since: '4.5.0',
    obsolete: { since: '4.6.0', how: 'deprecated', instead: 'write allocation-default-address-family=keep' },
  }),
  relay('server-relay', 'flag', 'Lets anybody send to relayed addresses, without permissions. Dangerous.'),
  relay('multiplex-peer', 'switch', 'One shared UDP socket to peers for each thread; not standard.', {
    since: '4.12.0',
  }),
  relay('multiplex-peer-port', 'port', 'First port of the shared sockets.', { since: '4.12.0', default: '3480' }),
  relay('multiplex-peer-max-peers', 'number', 'Peers of one allocation on a shared socket.', {
    since: '4.16.0',
    default: '256',
  }),
  peer('allowed-peer-ip', 'range', 'Peers that clients may reach; beats denied-peer-ip.', { list: true }),
  peer('denied-peer-ip', 'range', 'Peers that clients may not reach.', { list: true }),
  peer('no-multicast-peers', 'flag', 'No multicast and broadcast peers.'),
  peer('allow-loopback-peers', 'flag', 'Lets clients reach the loopback addresses of this machine. Dangerous.', {
    since: '4.5.1.1',
  }),
  peer('no-loopback-peers', 'flag', 'No loopback peers.', { removed: '4.5.1.1' }),
  redirect('alternate-server', 'ip-port', 'Sends UDP and TCP clients to another server; each line adds one.', {
    list: true,
  }),
  redirect('tls-alternate-server', 'ip-port', 'Sends TLS and DTLS clients to another server.', { list: true }),
  redirect('udp-alternate-server', 'ip-port', 'Sends UDP and DTLS clients to another server.', {
    list: true,
    since: '4.15.0',
  }),
  redirect('tcp-alternate-server', 'ip-port', 'Sends TCP clients to another server.', { list: true, since: '4.15.0' }),
]
