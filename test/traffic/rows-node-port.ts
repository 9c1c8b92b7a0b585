// Rows about addresses from outside: node ports, external IPs, load-balancer IPs.
import { type Bench, expectServers, expectUnserved, type Row } from './row.ts'

const POD_00 = { node: 0, pod: 0 }
const POD_10 = { node: 1, pod: 0 }
const NODE_PORT = 30080
const TWO_PROTOCOLS = [{ port: 8080 }, { port: 8080, protocol: 'UDP' }] as const

async function nodePort({ lab, family, ips, cluster, service, slice }: Bench): Promise<void> {
  const a = service('a', { ports: [{ port: 80, nodePort: NODE_PORT }], spec: { type: 'NodePort' } })
  await cluster(a, slice('a', [POD_00, POD_10]))
  const servers = ['pod-0-0', 'pod-1-0']
  await lab.routeTo(ips.secondary(2), 2)
  for (const client of [lab.pod(0, 0), lab.pod(2, 1), lab.node(2), lab.outside]) {
    for (const node of [0, 1, 2]) await expectServers(client, [ips.node(node), NODE_PORT], servers)
  }
  await expectServers(lab.outside, [ips.secondary(2), NODE_PORT], servers)
  await expectServers(lab.pod(0, 0), [ips.clusterIP(1), 80], servers)
  if (family !== 'ipv4') return
  if (lab.mode === 'ipvs') await expectUnserved(lab.node(0), [ips.loopback, NODE_PORT])
  else await expectServers(lab.node(0), [ips.loopback, NODE_PORT], servers)
}

async function nodePortAddresses({ lab, ips, configuredCluster, service, slice }: Bench): Promise<void> {
  const a = service('a', { ports: [{ port: 80, nodePort: NODE_PORT }], spec: { type: 'NodePort' } })
  await configuredCluster({ nodePortAddresses: 'primary' }, a, slice('a', [POD_00]))
  await lab.routeTo(ips.secondary(1), 1)
  await expectServers(lab.outside, [ips.node(1), NODE_PORT], ['pod-0-0'])
  await expectUnserved(lab.outside, [ips.secondary(1), NODE_PORT])
}

async function externalIP({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  await cluster(service('a', { spec: { externalIPs: [ips.external(1)] } }), slice('a', [POD_00, POD_10]))
  await lab.routeTo(ips.external(1), 2)
  for (const client of [lab.pod(0, 1), lab.pod(2, 0), lab.node(1), lab.outside]) {
    await expectServers(client, [ips.external(1), 80], ['pod-0-0', 'pod-1-0'])
  }
}

async function toNodePortOfBothProtocols({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const endpoints = slice('a', [POD_00], { ports: TWO_PROTOCOLS })
  await cluster(service('a', { ports: [{ name: 'p0', port: 80 }] }), endpoints)
  await expectUnserved(lab.outside, [ips.node(1), NODE_PORT])
  const ports = [
    { port: 80, nodePort: NODE_PORT },
    { port: 80, protocol: 'UDP', nodePort: NODE_PORT },
  ] as const
  await cluster(service('a', { ports, spec: { type: 'NodePort' } }), endpoints)
  for (const protocol of ['tcp', 'udp'] as const) {
    await expectServers(lab.outside, [ips.node(1), NODE_PORT, protocol], ['pod-0-0'])
    await expectServers(lab.pod(2, 0), [ips.clusterIP(1), 80, protocol], ['pod-0-0'])
  }
}

async function loadBalancerOfBothProtocols({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const ports = [
    { port: 80, nodePort: NODE_PORT },
    { port: 80, protocol: 'UDP', nodePort: NODE_PORT },
  ] as const
  const a = service('a', { ports, spec: { type: 'LoadBalancer' }, loadBalancerIPs: [ips.external(2)] })
  await cluster(a, slice('a', [POD_00, POD_10], { ports: TWO_PROTOCOLS }))
  for (const protocol of ['tcp', 'udp'] as const) {
    for (const client of [lab.pod(0, 0), lab.pod(2, 0), lab.node(2)]) {
      await expectServers(client, [ips.external(2), 80, protocol], ['pod-0-0', 'pod-1-0'])
    }
  }
}

export const NODE_PORT_ROWS: readonly Row[] = [
  { source: 1287, name: 'should be able to create a functioning NodePort service', hold: nodePort },
  { source: 1287, name: 'the same with nodePortAddresses: primary', hold: nodePortAddresses },
  {
    source: 1313,
    name: 'should be possible to connect to a service via ExternalIP when the external IP is not assigned to a node',
    hold: externalIP,
  },
  {
    source: 1350,
    name: 'should be able to update service type to NodePort listening on same port number but different protocols',
    hold: toNodePortOfBothProtocols,
  },
  {
    source: 3701,
    name: 'should serve endpoints on same port and different protocol for internal traffic on Type LoadBalancer',
    hold: loadBalancerOfBothProtocols,
  },
]
