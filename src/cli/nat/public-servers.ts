/**
 * Public STUN servers for a check without --server, in the order in which they are asked. Taken from the lists that the
 * always-online-stun project keeps by asking servers every hour (valid_nat_testing_hosts: those that offer RFC 5780
 * with two working addresses), narrowed to operators who run the service as a part of their business. The last two
 * offer no RFC 5780, but are nearly always reachable: they tell mapping behaviour when the others are down.
 */
export const publicServers: readonly string[] = [
  'stun:stun.nextcloud.com:3478',
  'stun:stun.telnyx.com:3478',
  'stun:stun.freeswitch.org:3478',
  'stun:stun.voipgate.com:3478',
  'stun:stun.signalwire.com:3478',
  'stun:stun.m-online.net:3478',
  'stun:stun.cloudflare.com:3478',
  'stun:stun.l.google.com:19302',
]
