/** What Linux's own packet filter can do to a router's traffic: NATs, firewalls, and UDP that does not get through. */

/**
 * What Linux NATs do, as test/lab/kernel-nat.kernel.test.ts measures it (Linux 6.18, nftables 1.0.6):
 * - `masquerade`: conntrack keeps one entry for each 5-tuple, so the mapping is address-and-port-dependent on paper.
 *   But it keeps the internal port unless the resulting 5-tuple is taken, and a tuple is taken only when the same remote
 *   address and port is involved: towards different remotes one socket shows one and the same external port. Seen from
 *   outside that is endpoint-independent mapping. Filtering is address-and-port-dependent.
 *   Two inside hosts with the same port get the same external port too, as long as they write to different remotes.
 * - `masquerade-bare`: the same on a router that does not drop what comes to it uninvited, such as a container host or a
 *   plain `masquerade` rule. Conntrack then remembers each uninvited packet as a flow of the router's own, so a client
 *   that writes to its source later is given another port: only sockets that nobody wrote to look endpoint-independent.
 * - `masquerade-random` (`masquerade fully-random`): a random port for every 5-tuple, so address-and-port-dependent.
 * - `one-to-one`: addresses translated both ways, ports left alone: endpoint-independent mapping and filtering.
 */
export type KernelNatKind =
  | 'masquerade'
  | 'masquerade-bare'
  | 'masquerade-random'
  | 'one-to-one'
  | 'routed' // no NAT, no firewall
  | 'firewall' // stateful, without translation
  | 'udp-blocked' // dropped silently; TCP is masqueraded
  | 'udp-rejected' // dropped with ICMP administratively prohibited; TCP is masqueraded

/** The kinds behind which the client is seen under its own address. */
export const isRouted = (kind: string): boolean => kind === 'routed' || kind === 'firewall'

export interface RouterAddresses {
  readonly inside: string
  readonly outside: string
  readonly client4: string
  readonly client6: string
  readonly external4: string
  readonly external6: string
}

/** The whole ruleset of a router, to be loaded in place of what was there. */
export function ruleset(kind: KernelNatKind, router: RouterAddresses): string {
  return `flush ruleset\n${kind === 'masquerade-bare' ? '' : input(router)}\n${rules[kind](router)}\n`
}

/**
 * A home router drops what comes to its own outside address uninvited. It matters to the NAT: had such a packet been
 * accepted or rejected, conntrack would remember its 5-tuple, and a client writing there later would get another port.
 */
const input = ({ outside }: RouterAddresses): string => `
table inet router {
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "${outside}" meta l4proto { tcp, udp } ct state new drop
  }
}`

const masquerade = ({ outside }: RouterAddresses, match = '', how = ''): string => `
table inet nat {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "${outside}" ${match} masquerade ${how}
  }
}`

const forward = (rule: string): string => `
table inet firewall {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ${rule}
  }
}`

const rules: Record<KernelNatKind, (router: RouterAddresses) => string> = {
  masquerade: (router) => masquerade(router),
  'masquerade-bare': (router) => masquerade(router),
  'masquerade-random': (router) => masquerade(router, '', 'fully-random'),
  'one-to-one': ({ outside, client4, client6, external4, external6 }) => `
table inet nat {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "${outside}" ip daddr ${external4} dnat ip to ${client4}
    iifname "${outside}" ip6 daddr ${external6} dnat ip6 to ${client6}
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "${outside}" ip saddr ${client4} snat ip to ${external4}
    oifname "${outside}" ip6 saddr ${client6} snat ip6 to ${external6}
  }
}`,
  routed: () => '',
  firewall: ({ inside }) => forward(`iifname != "${inside}" ct state new drop`),
  'udp-blocked': (router) => `${masquerade(router)}\n${forward('meta l4proto udp drop')}`,
  'udp-rejected': (router) =>
    `${masquerade(router)}\n${forward('meta l4proto udp reject with icmpx type admin-prohibited')}`,
}

/**
 * Beside a NAT on a TUN device: its UDP is no business of conntrack, and TCP, which does not go through the device,
 * leaves under the same external address.
 */
export function tunRuleset({ inside, outside }: RouterAddresses, external4: string, external6: string): string {
  return `flush ruleset
table inet router {
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    meta l4proto udp notrack
  }
}
table inet nat {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    iifname "${inside}" oifname "${outside}" meta l4proto tcp meta nfproto ipv4 snat ip to ${external4}
    iifname "${inside}" oifname "${outside}" meta l4proto tcp meta nfproto ipv6 snat ip6 to ${external6}
  }
}
`
}
