// Rows about endpoints that are not ready, or terminating.
import type { EndpointSpec } from './cluster.ts'
import { type Bench, expectDropped, expectRefused, expectServers, type Row } from './row.ts'

const NODE_PORT = 30080
const POD_00 = { node: 0, pod: 0 }
/** As the slice controller writes it. */
const TERMINATING: EndpointSpec = { ...POD_00, ready: false, serving: true, terminating: true }
const TERMINATING_UNREADY: EndpointSpec = { ...POD_00, ready: false, serving: false, terminating: true }
/** The same with publishNotReadyAddresses, which the controller puts into `ready`. */
const PUBLISHED: EndpointSpec = { ...TERMINATING_UNREADY, ready: true }

async function program(bench: Bench, endpoint: EndpointSpec, policy: Record<string, string> = {}): Promise<void> {
  const ports = [{ port: 80, nodePort: NODE_PORT }]
  await bench.cluster(
    bench.service('a', { ports, spec: { type: 'NodePort', ...policy } }),
    bench.slice('a', [endpoint]),
  )
}

async function unreadyPods(bench: Bench): Promise<void> {
  const { lab, ips } = bench
  await program(bench, TERMINATING_UNREADY)
  await expectRefused(lab.pod(1, 0), [ips.clusterIP(1), 80])
  await program(bench, PUBLISHED)
  await expectServers(lab.pod(1, 0), [ips.clusterIP(1), 80], ['pod-0-0'])
}

async function published(bench: Bench): Promise<void> {
  const { lab, ips } = bench
  await program(bench, PUBLISHED)
  for (const client of [lab.pod(0, 1), lab.pod(1, 0)]) {
    await expectServers(client, [ips.clusterIP(1), 80], ['pod-0-0'])
    for (const node of [0, 1]) await expectServers(client, [ips.node(node), NODE_PORT], ['pod-0-0'])
  }
}

async function notPublished(bench: Bench): Promise<void> {
  const { lab, ips } = bench
  await program(bench, TERMINATING_UNREADY)
  for (const client of [lab.pod(0, 1), lab.pod(1, 0)]) {
    await expectRefused(client, [ips.clusterIP(1), 80])
    for (const node of [0, 1]) await expectRefused(client, [ips.node(node), NODE_PORT])
  }
}

async function internalCluster(bench: Bench): Promise<void> {
  const { lab, ips } = bench
  await program(bench, TERMINATING)
  for (const client of [lab.pod(0, 1), lab.pod(1, 0)]) await expectServers(client, [ips.clusterIP(1), 80], ['pod-0-0'])
}

async function internalLocal(bench: Bench): Promise<void> {
  const { lab, ips } = bench
  await program(bench, TERMINATING, { internalTrafficPolicy: 'Local' })
  await expectServers(lab.pod(0, 1), [ips.clusterIP(1), 80], ['pod-0-0'])
  // IPVS falls back to what is elsewhere: ipvs-differences.ts.
  if (lab.mode === 'ipvs') await expectServers(lab.pod(1, 0), [ips.clusterIP(1), 80], ['pod-0-0'])
  else await expectDropped(lab.pod(1, 0), [ips.clusterIP(1), 80])
}

async function externalCluster(bench: Bench): Promise<void> {
  const { lab, ips } = bench
  await program(bench, TERMINATING)
  for (const client of [lab.pod(0, 1), lab.pod(1, 0), lab.outside]) {
    await expectServers(client, [ips.node(0), NODE_PORT], ['pod-0-0'])
  }
}

async function externalLocal(bench: Bench): Promise<void> {
  const { lab, ips } = bench
  await program(bench, TERMINATING, { externalTrafficPolicy: 'Local' })
  await expectDropped(lab.pod(0, 1), [ips.node(1), NODE_PORT])
  await expectDropped(lab.outside, [ips.node(1), NODE_PORT])
  for (const client of [lab.pod(0, 1), lab.pod(1, 0), lab.outside]) {
    await expectServers(client, [ips.node(0), NODE_PORT], ['pod-0-0'])
  }
}

/** All of the row that can be asked by packets: the terminating pod still gets what reaches its node. */
async function onlyTerminating({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 30090 }
  const a = service('a', { ports: [{ port: 80, nodePort: NODE_PORT }], spec, loadBalancerIPs: [ips.external(1)] })
  await cluster(a, slice('a', [POD_00]))
  await expectServers(lab.outside, [ips.node(0), NODE_PORT], ['pod-0-0'])
  await cluster(a, slice('a', [TERMINATING]))
  await expectServers(lab.outside, [ips.node(0), NODE_PORT], ['pod-0-0'])
}

export const TERMINATING_ROWS: readonly Row[] = [
  { source: 1792, name: 'should create endpoints for unready pods', hold: unreadyPods },
  {
    source: 1948,
    name: 'should be able to connect to terminating and unready endpoints if PublishNotReadyAddresses is true',
    hold: published,
  },
  {
    source: 2068,
    name: 'should not be able to connect to terminating and unready endpoints if PublishNotReadyAddresses is false',
    hold: notPublished,
  },
  {
    source: 2823,
    name: 'should fail health check node port if there are only terminating endpoints',
    hold: onlyTerminating,
    without: 'the health check node port: held while the agent runs, by live-rows-observed.ts',
  },
  {
    source: 2920,
    name: 'should fallback to terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Cluster',
    hold: internalCluster,
  },
  {
    source: 2994,
    name: 'should fallback to local terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Local',
    hold: internalLocal,
  },
  {
    source: 3073,
    name: 'should fallback to terminating endpoints when there are no ready endpoints with externallTrafficPolicy=Cluster',
    hold: externalCluster,
  },
  {
    source: 3149,
    name: 'should fallback to local terminating endpoints when there are no ready endpoints with externalTrafficPolicy=Local',
    hold: externalLocal,
  },
]
