// Rows about traffic policies.
import {
  type Bench,
  expectClient,
  expectDropped,
  expectNoneHere,
  expectServers,
  NODE_SERVER_PORT,
  type Row,
} from './row.ts'

const NODE_PORT = 30080
const POD_00 = { node: 0, pod: 0 }
const INTERNAL_LOCAL = { spec: { internalTrafficPolicy: 'Local' } }

async function podToPod(bench: Bench): Promise<void> {
  const { lab, ips, cluster, service, slice } = bench
  await cluster(service('a', INTERNAL_LOCAL), slice('a', [POD_00]))
  await expectServers(lab.pod(0, 1), [ips.clusterIP(1), 80], ['pod-0-0'])
  await expectNoneHere(bench, lab.pod(1, 0), [ips.clusterIP(1), 80])
}

async function nodeToPod(bench: Bench): Promise<void> {
  const { lab, ips, cluster, service, slice } = bench
  await cluster(service('a', INTERNAL_LOCAL), slice('a', [POD_00]))
  await expectServers(lab.node(0), [ips.clusterIP(1), 80], ['pod-0-0'])
  await expectNoneHere(bench, lab.node(1), [ips.clusterIP(1), 80])
}

async function toHostNetwork(bench: Bench): Promise<void> {
  const { lab, ips, cluster, service, slice } = bench
  await cluster(service('a', INTERNAL_LOCAL), slice('a', [{ node: 0 }], { ports: [{ port: NODE_SERVER_PORT }] }))
  for (const client of [lab.pod(0, 0), lab.node(0)]) await expectServers(client, [ips.clusterIP(1), 80], ['node-0'])
  for (const client of [lab.pod(1, 0), lab.node(1)]) await expectNoneHere(bench, client, [ips.clusterIP(1), 80])
}

function nodePortService({ service }: Bench, externalTrafficPolicy: string) {
  const spec = { type: 'NodePort', externalTrafficPolicy }
  return service('a', { ports: [{ port: 80, nodePort: NODE_PORT }], spec })
}

async function externalLocal(bench: Bench): Promise<void> {
  const { lab, ips, cluster, slice } = bench
  await cluster(nodePortService(bench, 'Local'), slice('a', [POD_00]))
  await expectClient(lab.node(1), [ips.node(0), NODE_PORT], { server: 'pod-0-0', client: ips.node(1) })
  await expectClient(lab.outside, [ips.node(0), NODE_PORT], { server: 'pod-0-0', client: ips.outside })
  await expectDropped(lab.outside, [ips.node(1), NODE_PORT])
}

async function policyChanges(bench: Bench): Promise<void> {
  const { lab, ips, cluster, slice } = bench
  for (const policy of ['Local', 'Cluster', 'Local']) {
    await cluster(nodePortService(bench, policy), slice('a', [POD_00]))
    for (const client of [lab.pod(1, 0), lab.node(1)]) {
      await expectServers(client, [ips.node(0), NODE_PORT], ['pod-0-0'])
      await expectServers(client, [ips.node(1), NODE_PORT], ['pod-0-0'])
      if (policy === 'Cluster') await expectServers(client, [ips.node(2), NODE_PORT], ['pod-0-0'])
      else await expectDropped(client, [ips.node(2), NODE_PORT])
    }
  }
}

export const POLICY_ROWS: readonly Row[] = [
  { source: 2528, name: 'should respect internalTrafficPolicy=Local Pod to Pod', hold: podToPod },
  { source: 2597, name: 'should respect internalTrafficPolicy=Local Pod (hostNetwork: true) to Pod', hold: nodeToPod },
  {
    source: 2668,
    name: 'should respect internalTrafficPolicy=Local Pod and Node, to Pod (hostNetwork: true)',
    hold: toHostNetwork,
  },
  { source: 2771, name: 'should support externalTrafficPolicy=Local for type=NodePort', hold: externalLocal },
  {
    source: 3833,
    name: 'should implement NodePort and HealthCheckNodePort correctly when ExternalTrafficPolicy changes',
    hold: policyChanges,
    without: 'the health check node port: held while the agent runs, by live-rows-observed.ts',
  },
]
