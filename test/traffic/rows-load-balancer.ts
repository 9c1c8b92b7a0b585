// Kubernetes' suites LoadBalancers, Networking, Conntrack and KubeProxy. The cloud's part, to bring packets for the
// load-balancer IP to a node, is a route here.
import { expect } from 'vitest'
import type { Namespace, Outcome } from './agent.ts'
import type { ServiceSpec } from './cluster.ts'
import {
  ask,
  type Bench,
  expectClient,
  expectDropped,
  expectServers,
  expectUnserved,
  NODE_SERVER_PORT,
  type Row,
} from './row.ts'
import { LOAD_BALANCER_AFFINITY_ROWS } from './rows-affinity.ts'

const NODE_PORT = 30080
const POD_00 = { node: 0, pod: 0 }
const POD_10 = { node: 1, pod: 0 }
const BOTH = [{ port: 8080 }, { port: 8080, protocol: 'UDP' }] as const
const RUNNING = 'all of it: held while the agent runs, by'

function loadBalancer({ service, ips }: Bench, spec: Record<string, unknown>, given: ServiceSpec = {}) {
  const ports = [{ port: 80, nodePort: NODE_PORT }]
  return service('a', { ports, loadBalancerIPs: [ips.external(1)], ...given, spec: { type: 'LoadBalancer', ...spec } })
}

async function changeTypeAndPorts(bench: Bench): Promise<void> {
  const { lab, ips, cluster, service, slice } = bench
  const endpoints = slice('a', [POD_00], { ports: BOTH })
  const portsAt = (port: number, nodePort?: number) =>
    (['TCP', 'UDP'] as const).map((protocol) => ({ port, protocol, ...(nodePort !== undefined && { nodePort }) }))
  await lab.routeTo(ips.external(1), 1)
  const check = async (address: string, port: number, isServed: boolean) => {
    for (const protocol of ['tcp', 'udp'] as const) {
      if (isServed) await expectServers(lab.outside, [address, port, protocol], ['pod-0-0'])
      else await expectUnserved(lab.outside, [address, port, protocol])
    }
  }
  await cluster(service('a', { ports: portsAt(80, NODE_PORT), spec: { type: 'NodePort' } }), endpoints)
  await check(ips.node(1), NODE_PORT, true)
  await check(ips.external(1), 80, false)
  await cluster(loadBalancer(bench, {}, { ports: portsAt(80, NODE_PORT) }), endpoints)
  await check(ips.external(1), 80, true)
  await cluster(loadBalancer(bench, {}, { ports: portsAt(81, NODE_PORT + 1) }), endpoints)
  await check(ips.external(1), 80, false)
  await check(ips.external(1), 81, true)
  await check(ips.node(1), NODE_PORT, false)
  await check(ips.node(1), NODE_PORT + 1, true)
  await cluster(service('a', { ports: portsAt(81) }), endpoints)
  await check(ips.external(1), 81, false)
  await check(ips.node(1), NODE_PORT + 1, false)
}

async function sourceRanges(bench: Bench): Promise<void> {
  const { lab, ips, cluster, slice, family } = bench
  const only = (ip: string) => ({ loadBalancerSourceRanges: [`${ip}/${family === 'ipv4' ? 32 : 128}`] })
  await lab.routeTo(ips.external(1), 0)
  await cluster(loadBalancer(bench, only(ips.outside)), slice('a', [POD_00, POD_10]))
  await expectServers(lab.outside, [ips.external(1), 80], ['pod-0-0', 'pod-1-0'])
  await expectDropped(lab.pod(0, 1), [ips.external(1), 80])
  await cluster(loadBalancer(bench, only(ips.pod(0, 1))), slice('a', [POD_00, POD_10]))
  await expectDropped(lab.outside, [ips.external(1), 80])
  await expectServers(lab.pod(0, 1), [ips.external(1), 80], ['pod-0-0', 'pod-1-0'])
  // Node ports are not restricted.
  await expectServers(lab.outside, [ips.node(0), NODE_PORT], ['pod-0-0', 'pod-1-0'])
}

async function withoutNodePort(bench: Bench): Promise<void> {
  const { lab, ips, cluster, slice } = bench
  await lab.routeTo(ips.external(1), 2)
  await cluster(loadBalancer(bench, {}, { ports: [{ port: 80 }] }), slice('a', [POD_00]))
  await expectServers(lab.outside, [ips.external(1), 80], ['pod-0-0'])
}

async function localKeepsSource(bench: Bench): Promise<void> {
  const { lab, ips, cluster, slice } = bench
  await lab.routeTo(ips.external(1), 0)
  await cluster(loadBalancer(bench, { externalTrafficPolicy: 'Local' }), slice('a', [POD_00, POD_10]))
  const expected = { server: 'pod-0-0', client: ips.outside }
  for (let count = 0; count < 5; count++) await expectClient(lab.outside, [ips.external(1), 80], expected)
}

async function localNodes(bench: Bench): Promise<void> {
  const { lab, ips, cluster, slice } = bench
  await cluster(loadBalancer(bench, { externalTrafficPolicy: 'Local' }), slice('a', [POD_00, POD_10]))
  for (const node of [0, 1]) {
    await lab.routeTo(ips.external(1), node)
    await expectServers(lab.outside, [ips.external(1), 80], [`pod-${node}-0`])
  }
  await lab.routeTo(ips.external(1), 2)
  await expectDropped(lab.outside, [ips.external(1), 80])
}

async function localFromPods(bench: Bench): Promise<void> {
  const { lab, ips, cluster, slice } = bench
  await cluster(loadBalancer(bench, { externalTrafficPolicy: 'Local' }), slice('a', [POD_00]))
  const clients = [lab.pod(0, 1), lab.pod(2, 0)]
  for (const client of [...clients, ...(lab.mode === 'ipvs' ? [] : [lab.node(2)])]) {
    await expectServers(client, [ips.external(1), 80], ['pod-0-0'])
  }
  if (lab.mode === 'ipvs') await expectUnserved(lab.node(2), [ips.external(1), 80])
}

/** pod-Service, node-Service and endpoint-Service, TCP and UDP. */
async function everyWay({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const ports = [
    { port: 80, nodePort: NODE_PORT },
    { port: 80, protocol: 'UDP', nodePort: NODE_PORT },
  ] as const
  await cluster(service('a', { ports, spec: { type: 'NodePort' } }), slice('a', [POD_00, POD_10], { ports: BOTH }))
  for (const protocol of ['tcp', 'udp'] as const) {
    for (const client of [lab.pod(2, 0), lab.node(2), lab.pod(0, 0)]) {
      await expectServers(client, [ips.clusterIP(1), 80, protocol], ['pod-0-0', 'pod-1-0'])
      await expectServers(client, [ips.node(0), NODE_PORT, protocol], ['pod-0-0', 'pod-1-0'])
    }
  }
}

async function sameEndpoints({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const [a, b] = [service('a', { number: 1 }), service('b', { number: 2 })]
  await cluster(a, b, slice('a', [POD_00, POD_10]), slice('b', [POD_00, POD_10]))
  for (const number of [1, 2]) await expectServers(lab.pod(2, 0), [ips.clusterIP(number), 80], ['pod-0-0', 'pod-1-0'])
  await cluster(b, slice('b', [POD_00, POD_10]))
  await expectServers(lab.pod(2, 0), [ips.clusterIP(2), 80], ['pod-0-0', 'pod-1-0'])
}

async function hostNetworkEndpoints({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  await cluster(service('a'), slice('a', [{ node: 0 }, { node: 1 }], { ports: [{ port: NODE_SERVER_PORT }] }))
  for (const client of [lab.pod(0, 0), lab.pod(2, 0), lab.node(0), lab.node(2)]) {
    await expectServers(client, [ips.clusterIP(1), 80], ['node-0', 'node-1'])
  }
}

async function nodePortChanges({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const portsAt = (nodePort: number) => (['TCP', 'UDP'] as const).map((protocol) => ({ port: 80, protocol, nodePort }))
  for (const nodePort of [NODE_PORT, NODE_PORT + 5]) {
    const a = service('a', { ports: portsAt(nodePort), spec: { type: 'NodePort' } })
    await cluster(a, slice('a', [POD_00], { ports: BOTH }))
    for (const protocol of ['tcp', 'udp'] as const) {
      await expectServers(lab.outside, [ips.node(1), nodePort, protocol], ['pod-0-0'])
      if (nodePort !== NODE_PORT) await expectUnserved(lab.outside, [ips.node(1), NODE_PORT, protocol])
    }
  }
}

/** Larger than a packet: as upstream, and many packets. UDP travels in fragments then. */
const LARGE = [2_000, 20_000]

/** EMSGSIZE, "message too long". */
function isTooLong(outcome: Outcome): boolean {
  return outcome.kind === 'error' && outcome.code === 'EMSGSIZE'
}

/**
 * IPVS asks whether a datagram fits the way to the real server, and refuses one that does not (ip_vs_xmit.c), where it is
 * not in fragments that fit: what a process of the node sends goes by loopback first, which takes 64 KiB. Over IPv4 the
 * node remembers then what fits, and the next datagram arrives. Over IPv6 it does not; and a bridge with br_netfilter
 * puts together what pods send in fragments, and forgets how large they were.
 */
function mayBeTooLong({ lab, ips, family }: Bench, from: Namespace, to: string, protocol: string): boolean {
  if (lab.mode !== 'ipvs' || protocol !== 'udp') return false
  const isBehindBridge = family === 'ipv6' && lab.pods.includes(from) && to === ips.clusterIP(1)
  return isBehindBridge || lab.nodes.some((node) => node === from)
}

async function largeRequests(bench: Bench): Promise<void> {
  const { lab, ips, cluster, service, slice, family } = bench
  const ports = [
    { port: 80, nodePort: NODE_PORT },
    { port: 80, protocol: 'UDP', nodePort: NODE_PORT },
  ] as const
  await cluster(service('a', { ports, spec: { type: 'NodePort' } }), slice('a', [POD_10], { ports: BOTH }))
  const ways = [
    [lab.pod(1, 1), ips.clusterIP(1), 80],
    [lab.pod(2, 0), ips.clusterIP(1), 80],
    [lab.node(0), ips.clusterIP(1), 80],
    [lab.pod(0, 0), ips.node(2), NODE_PORT],
    [lab.outside, ips.node(0), NODE_PORT],
  ] as const
  for (const protocol of ['tcp', 'udp'] as const) {
    for (const [from, to, port] of ways) {
      for (const echo of LARGE) {
        let outcome = await ask(from, [to, port, protocol], { echo })
        if (mayBeTooLong(bench, from, to, protocol) && isTooLong(outcome)) {
          if (family === 'ipv6') continue
          outcome = await ask(from, [to, port, protocol], { echo })
        }
        const what = `${from.name} asks ${to} ${port} ${protocol}`
        expect({ what, ...outcome }).toMatchObject({ what, kind: 'answer', server: 'pod-1-0', echoed: echo })
      }
    }
  }
}

export const LOAD_BALANCER_ROWS: readonly Row[] = [
  { source: 'LoadBalancers', name: 'change type and ports, TCP and UDP', hold: changeTypeAndPorts },
  { source: 'LoadBalancers', name: 'only allow access from source ranges', hold: sourceRanges },
  ...LOAD_BALANCER_AFFINITY_ROWS,
  { source: 'LoadBalancers', name: 'without NodePort', hold: withoutNodePort },
  {
    source: 'LoadBalancers',
    name: 'UDP when server pod cycles, different and same node',
    without: `${RUNNING} live-rows-conntrack.ts`,
  },
  {
    source: 'LoadBalancers',
    name: 'no disruption during rolling update, Cluster and Local',
    without: `${RUNNING} live-rows-steady.ts`,
  },
  { source: 'LoadBalancers', name: 'ExternalTrafficPolicy: Local keeps the client address', hold: localKeepsSource },
  { source: 'LoadBalancers', name: 'ExternalTrafficPolicy: Local uses nodes with endpoints only', hold: localNodes },
  { source: 'LoadBalancers', name: 'ExternalTrafficPolicy: Local works from pods', hold: localFromPods },
  {
    source: 'Networking',
    name: 'pod-Service, node-Service and endpoint-Service',
    hold: everyWay,
    without: 'SCTP: held in test/second-kernel',
  },
  { source: 'Networking', name: 'several Services with the same endpoints', hold: sameEndpoints },
  { source: 'Networking', name: 'endpoints using hostNetwork', hold: hostNetworkEndpoints },
  { source: 'Networking', name: 'update nodePort', hold: nodePortChanges },
  { source: 'Networking', name: 'large requests, TCP and UDP', hold: largeRequests },
  {
    source: 'Networking',
    name: 'recreate its iptables rules if they are deleted',
    without: `${RUNNING} live-rows-steady.ts`,
  },
  {
    source: 'Conntrack',
    name: 'UDP flows after pods, ports and Services changed',
    without: `${RUNNING} live-rows-conntrack.ts`,
  },
  {
    source: 'Conntrack',
    name: 'not vulnerable to the invalid conntrack state bug',
    without: `${RUNNING} live-rows-observed.ts`,
  },
  {
    source: 'KubeProxy',
    name: 'TCP CLOSE_WAIT timeout; localhost node port metric',
    without: `${RUNNING} live-rows-observed.ts`,
  },
]
