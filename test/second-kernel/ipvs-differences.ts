// Where the rows of iptables mode hold otherwise in IPVS mode, and why. kube-proxy's IPVS mode is the same in all of this.
// The rows ask `lab.mode`, and then for what stands here.

export interface Difference {
  /** Sources and names of rows begin so. */
  readonly rows: readonly string[]
  /** What holds in IPVS mode. */
  readonly instead: string
  readonly why: string
}

export const IPVS_DIFFERENCES: readonly Difference[] = [
  {
    rows: ['1287 should be able', 'Masquerade localhost to NodePort'],
    instead: 'node ports are not served at 127.0.0.1: refused',
    why: 'a virtual server has one address, and loopback addresses are none of those of the node',
  },
  {
    rows: ['2235', '2272'],
    instead:
      'a client keeps its server for the time of the Service after its last connection, until its connections are forgotten, and up to a minute longer',
    why: 'while a connection of the client is remembered, 10 s after a reset and 2 minutes after an orderly end, the kernel looks again every 60 s only',
  },
  {
    rows: ['Networking large requests'],
    instead:
      'a UDP datagram that is larger than the MTU: to the first one of a process of the node the kernel says "message too long" (EMSGSIZE), the second arrives; over IPv6 none arrives, and none from a pod either whose node has br_netfilter',
    why: 'IPVS refuses what does not fit the way to the real server: what the node sends goes by loopback first, which takes 64 KiB, and br_netfilter puts fragments of IPv6 together and forgets how large they were',
  },
  {
    rows: ['2528', '2597', '2668'],
    instead: 'a Local policy without an endpoint here: refused, not silent',
    why: 'a virtual server without real servers is answered by the kernel, with ICMP port unreachable; iptables mode drops',
  },
  {
    rows: ['2994'],
    instead:
      'internalTrafficPolicy Local of a Service that is reachable from outside: endpoints elsewhere, not silence',
    why: 'without endpoints here all endpoints become real servers',
  },
  {
    rows: ['LoadBalancers ExternalTrafficPolicy: Local works from pods'],
    instead: 'not from a node without an endpoint: no answer',
    why: 'the node asks from the load-balancer IP itself, which is on kube-ipvs0 of every node, so that answers stay where the endpoint is; iptables mode masquerades, IPVS mode returns at KUBE-LOAD-BALANCER-LOCAL',
  },
  {
    rows: ['Masquerade pod to NodePort, eTP:Local', 'Masquerade pod to LoadBalancer, eTP:Local'],
    instead: 'externalTrafficPolicy Local holds for pods of the node too: endpoints here only',
    why: 'a virtual server has one list of real servers for every client',
  },
  {
    rows: ['Masquerade node to NodePort, eTP:Local', 'Masquerade node to LoadBalancer, eTP:Local'],
    instead: 'externalTrafficPolicy Local holds for the node too: endpoints here only, which see its own address',
    why: 'the same, and one RETURN ahead of the mark for masquerading for every client',
  },
]

/** Also: what no row asks for. */
export const IPVS_REMARKS: readonly string[] = [
  'Services without endpoints are refused as in iptables mode, though there is no REJECT rule: by IPVS itself.',
  'Ports of a virtual address that no Service has are refused by KUBE-IPVS-FILTER; so are pings of it, by the same rule, which no row asks for.',
]

export function formatDifferences(): string {
  const lines = IPVS_DIFFERENCES.map(
    ({ rows, instead, why }) => `${rows.join('; ')}\n    ${instead}\n    because ${why}`,
  )
  return ['Where IPVS mode differs from iptables mode', ...lines, ...IPVS_REMARKS, ''].join('\n')
}

/** The remark of a row, for the table; undefined when it holds as in iptables mode. */
export function differenceOf(row: string): Difference | undefined {
  return IPVS_DIFFERENCES.find(({ rows }) => rows.some((start) => row.startsWith(start)))
}
