// Kubernetes' suites Traffic Distribution, DualStack and EndpointSlice. Each node is a zone of its own; the hints are
// those that the slice controller writes.
import { expect } from 'vitest'
import { type EndpointSpec, nodeName, programNodes, service, slice, zoneName } from './cluster.ts'
import { ADDRESSES } from './laboratory.ts'
import { ask, type Bench, expectServers, expectUnserved, type Row, serverOf } from './row.ts'

const inZone = (node: number, pod: number, zone = node): EndpointSpec => ({ node, pod, zones: [zoneName(zone)] })
const onNode = (node: number, pod: number, zone = node): EndpointSpec => ({
  ...inZone(node, pod, zone),
  nodes: [nodeName(node)],
})

async function expectEach({ lab, ips }: Bench, servers: readonly (readonly string[])[]): Promise<void> {
  for (const [node, expected] of servers.entries()) {
    for (const client of [lab.pod(node, 0), lab.node(node)])
      await expectServers(client, [ips.clusterIP(1), 80], expected)
  }
}

async function sameZone(bench: Bench): Promise<void> {
  await bench.cluster(bench.service('a'), bench.slice('a', [inZone(0, 0), inZone(1, 0)]))
  await expectEach(bench, [['pod-0-0'], ['pod-1-0'], ['pod-0-0', 'pod-1-0']])
}

async function severalNodes(bench: Bench): Promise<void> {
  await bench.cluster(bench.service('a'), bench.slice('a', [inZone(0, 0), inZone(1, 0, 0), inZone(1, 1), inZone(2, 0)]))
  await expectEach(bench, [['pod-0-0', 'pod-1-0'], ['pod-1-1'], ['pod-2-0']])
}

async function sameNode(bench: Bench): Promise<void> {
  await bench.cluster(bench.service('a'), bench.slice('a', [onNode(0, 0), onNode(1, 0), onNode(1, 1, 2)]))
  await expectEach(bench, [['pod-0-0'], ['pod-1-0', 'pod-1-1'], ['pod-1-1']])
}

async function sameNodeGoesAway(bench: Bench): Promise<void> {
  await bench.cluster(bench.service('a'), bench.slice('a', [onNode(0, 0), onNode(1, 0)]))
  await expectServers(bench.lab.pod(0, 1), [bench.ips.clusterIP(1), 80], ['pod-0-0'])
  await bench.cluster(bench.service('a'), bench.slice('a', [onNode(1, 0)]))
  await expectServers(bench.lab.pod(0, 1), [bench.ips.clusterIP(1), 80], ['pod-1-0'])
}

/** One Service with both families, its first family being that of the run. */
async function dualStack({ lab, family }: Bench): Promise<void> {
  const order = family === 'ipv4' ? (['ipv4', 'ipv6'] as const) : (['ipv6', 'ipv4'] as const)
  const clusterIPs = order.map((each) => ADDRESSES[each].clusterIP(4))
  const ipFamilies = order.map((each) => (each === 'ipv4' ? 'IPv4' : 'IPv6'))
  const spec = {
    type: 'NodePort',
    ipFamilyPolicy: 'RequireDualStack',
    clusterIP: clusterIPs[0],
    clusterIPs,
    ipFamilies,
  }
  const endpoints = [
    { node: 0, pod: 0 },
    { node: 1, pod: 0 },
  ]
  const slices = order.map((each) => slice(each, 'a', endpoints, { name: `a-${each}` }))
  await programNodes(lab, order, [service(family, 'a', { ports: [{ port: 80, nodePort: 30080 }], spec }), ...slices])
  for (const ips of order.map((each) => ADDRESSES[each])) {
    for (const client of [lab.pod(0, 0), lab.pod(2, 0), lab.node(2)]) {
      await expectServers(client, [ips.clusterIP(4), 80], ['pod-0-0', 'pod-1-0'])
    }
    await expectServers(lab.outside, [ips.node(2), 30080], ['pod-0-0', 'pod-1-0'])
  }
}

async function otherFamilyOnly({ lab, family, ips, cluster }: Bench): Promise<void> {
  const other = family === 'ipv4' ? 'ipv6' : 'ipv4'
  await cluster(service(other, 'a', { number: 5 }), slice(other, 'a', [{ node: 0, pod: 0 }]))
  await expectUnserved(lab.pod(1, 0), [ips.clusterIP(5), 80])
}

async function severalSlices({ lab, ips, cluster, service: make, slice: cut }: Bench): Promise<void> {
  const ports = [{ port: 80 }, { port: 81 }]
  const sliced = (name: string, node: number, port: 0 | 1) =>
    cut('a', [{ node, pod: 0 }], { name, ports: [{ name: `p${port}`, port: 8080 + port }] })
  await cluster(
    make('a', { ports }),
    sliced('a-0', 0, 0),
    sliced('a-1', 1, 0),
    sliced('a-2', 1, 1),
    sliced('a-3', 2, 1),
  )
  await expectServers(lab.pod(0, 1), [ips.clusterIP(1), 80], ['pod-0-0', 'pod-1-0'])
  await expectServers(lab.pod(0, 1), [ips.clusterIP(1), 81], ['pod-1-0', 'pod-2-0'])
}

/** Packets to pods themselves pass unchanged, whatever rules there are. */
async function noSnat({ lab, ips, cluster, service: make, slice: cut }: Bench): Promise<void> {
  await cluster(make('a'), cut('a', [{ node: 0, pod: 0 }]))
  const outcome = await ask(lab.pod(1, 1), [ips.pod(0, 0), 8080])
  expect(serverOf(outcome)).toBe('pod-0-0')
  expect(outcome).toMatchObject({ client: ips.pod(1, 1) })
}

export const TOPOLOGY_ROWS: readonly Row[] = [
  { source: 'Distribution', name: 'same zone: PreferClose, PreferSameZone', hold: sameZone },
  { source: 'Distribution', name: 'same zone on several nodes', hold: severalNodes },
  { source: 'Distribution', name: 'PreferSameNode with fallback to zone', hold: sameNode },
  { source: 'Distribution', name: 'PreferSameNode fallback when endpoint goes away', hold: sameNodeGoesAway },
  { source: 'DualStack', name: 'a Service of both families, this one first', hold: dualStack },
  { source: 'DualStack', name: 'a Service of the other family alone is not served', hold: otherFamilyOnly },
  { source: 'EndpointSlice', name: 'multiple ports and endpoint IPs in multiple slices', hold: severalSlices },
  { source: 'NoSNAT', name: 'pod to pod without a Service keeps its address', hold: noSnat },
]
