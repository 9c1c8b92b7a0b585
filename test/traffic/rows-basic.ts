// Rows about Services coming, changing and going.
import {
  ask,
  type Bench,
  expectClient,
  expectRefused,
  expectServers,
  expectUnserved,
  type Row,
  serverOf,
} from './row.ts'

const POD_00 = { node: 0, pod: 0 }
const POD_01 = { node: 0, pod: 1 }
const POD_10 = { node: 1, pod: 0 }
const POD_20 = { node: 2, pod: 0 }

async function basicEndpoint({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  for (const endpoints of [[], [POD_00], [POD_00, POD_10], [POD_10], []]) {
    await cluster(service('a'), slice('a', endpoints))
    const servers = endpoints.map(({ node, pod }) => `pod-${node}-${pod}`)
    for (const client of [lab.pod(0, 1), lab.pod(2, 0), lab.node(1)]) {
      if (servers.length === 0) await expectRefused(client, [ips.clusterIP(1), 80])
      else await expectServers(client, [ips.clusterIP(1), 80], servers)
    }
  }
}

async function multiport({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const ports = [{ port: 80 }, { port: 81 }]
  const first = slice('a', [POD_00], { name: 'a-0', ports: [{ name: 'p0', port: 8080 }] })
  const second = slice('a', [POD_10], { name: 'a-1', ports: [{ name: 'p1', port: 8081 }] })
  const client = lab.pod(2, 0)
  await cluster(service('a', { ports }), first, second)
  await expectServers(client, [ips.clusterIP(1), 80], ['pod-0-0'])
  await expectServers(client, [ips.clusterIP(1), 81], ['pod-1-0'])
  await cluster(service('a', { ports }), second)
  await expectRefused(client, [ips.clusterIP(1), 80])
  await expectServers(client, [ips.clusterIP(1), 81], ['pod-1-0'])
  await cluster(service('a', { ports }))
  await expectRefused(client, [ips.clusterIP(1), 81])
}

async function portsAddedAndRemoved({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const [one, two] = [
    { name: 'p0', port: 80 },
    { name: 'p1', port: 81 },
  ] as const
  const endpoints = slice('a', [POD_00], { ports: [{ port: 8080 }, { port: 8081 }] })
  const client = lab.pod(1, 0)
  await cluster(service('a', { ports: [one] }), endpoints)
  await expectServers(client, [ips.clusterIP(1), 80], ['pod-0-0'])
  await expectUnserved(client, [ips.clusterIP(1), 81])
  await cluster(service('a', { ports: [one, two] }), endpoints)
  await expectServers(client, [ips.clusterIP(1), 80], ['pod-0-0'])
  await expectServers(client, [ips.clusterIP(1), 81], ['pod-0-0'])
  await cluster(service('a', { ports: [two] }), endpoints)
  await expectUnserved(client, [ips.clusterIP(1), 80])
  await expectServers(client, [ips.clusterIP(1), 81], ['pod-0-0'])
}

async function sourceKept({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  await cluster(service('a'), slice('a', [POD_00]))
  for (const [node, pod] of [
    [0, 1],
    [1, 0],
    [2, 1],
  ] as const) {
    const client = ips.pod(node, pod)
    await expectClient(lab.pod(node, pod), [ips.clusterIP(1), 80], { server: 'pod-0-0', client })
  }
}

async function hairpin({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const ports = [{ port: 80 }, { port: 80, protocol: 'UDP' }] as const
  await cluster(
    service('a', { ports }),
    slice('a', [POD_00], { ports: [{ port: 8080 }, { port: 8080, protocol: 'UDP' }] }),
  )
  await expectServers(lab.pod(0, 0), [ips.clusterIP(1), 80], ['pod-0-0'])
  await expectServers(lab.pod(0, 0), [ips.clusterIP(1), 80, 'udp'], ['pod-0-0'])
}

async function upAndDown({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const made = (name: string, number: number, endpoints: readonly (typeof POD_00)[]) => [
    service(name, { number }),
    slice(name, endpoints),
  ]
  const [a, b, c] = [made('a', 1, [POD_00, POD_10]), made('b', 2, [POD_01, POD_20]), made('c', 3, [POD_10, POD_20])]
  const client = lab.pod(2, 1)
  await cluster(...a, ...b)
  await expectServers(client, [ips.clusterIP(1), 80], ['pod-0-0', 'pod-1-0'])
  await expectServers(client, [ips.clusterIP(2), 80], ['pod-0-1', 'pod-2-0'])
  await cluster(...b)
  await expectUnserved(client, [ips.clusterIP(1), 80])
  await expectServers(client, [ips.clusterIP(2), 80], ['pod-0-1', 'pod-2-0'])
  await cluster(...b, ...c)
  await expectServers(client, [ips.clusterIP(2), 80], ['pod-0-1', 'pod-2-0'])
  await expectServers(client, [ips.clusterIP(3), 80], ['pod-1-0', 'pod-2-0'])
}

async function recreated({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const objects = [service('a'), slice('a', [POD_00, POD_10, POD_20])]
  const servers = ['pod-0-0', 'pod-1-0', 'pod-2-0']
  await cluster(...objects)
  await expectServers(lab.node(0), [ips.clusterIP(1), 80], servers)
  await cluster()
  await expectUnserved(lab.node(0), [ips.clusterIP(1), 80])
  await cluster(...objects)
  await expectServers(lab.node(0), [ips.clusterIP(1), 80], servers)
}

const TO_EXTERNAL_NAME = { spec: { type: 'ExternalName', externalName: 'example.com' } }

function fromExternalName(nodePort?: number): (bench: Bench) => Promise<void> {
  return async ({ lab, ips, cluster, service, slice }) => {
    await cluster(service('a', TO_EXTERNAL_NAME), slice('a', [POD_00]))
    await expectUnserved(lab.pod(1, 0), [ips.clusterIP(1), 80])
    await cluster(serviceOfType(service, nodePort), slice('a', [POD_00]))
    await expectServers(lab.pod(1, 0), [ips.clusterIP(1), 80], ['pod-0-0'])
    if (nodePort !== undefined) await expectServers(lab.outside, [ips.node(1), nodePort], ['pod-0-0'])
  }
}

function toExternalName(nodePort?: number): (bench: Bench) => Promise<void> {
  return async ({ lab, ips, cluster, service, slice }) => {
    await cluster(serviceOfType(service, nodePort), slice('a', [POD_00]))
    await expectServers(lab.pod(1, 0), [ips.clusterIP(1), 80], ['pod-0-0'])
    if (nodePort !== undefined) await expectServers(lab.outside, [ips.node(1), nodePort], ['pod-0-0'])
    await cluster(service('a', TO_EXTERNAL_NAME), slice('a', [POD_00]))
    await expectUnserved(lab.pod(1, 0), [ips.clusterIP(1), 80])
    if (nodePort !== undefined) await expectUnserved(lab.outside, [ips.node(1), nodePort])
  }
}

function serviceOfType(service: Bench['service'], nodePort?: number) {
  if (nodePort === undefined) return service('a')
  return service('a', { ports: [{ port: 80, nodePort }], spec: { type: 'NodePort' } })
}

const PROXY_NAME = { 'service.kubernetes.io/service-proxy-name': 'another' }

async function serviceProxyName({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const never = [service('never', { number: 1, labels: PROXY_NAME }), slice('never', [POD_00])]
  const client = lab.pod(1, 0)
  for (const labels of [{}, PROXY_NAME, {}]) {
    await cluster(...never, service('a', { number: 2, labels }), slice('a', [POD_10]))
    await expectUnserved(client, [ips.clusterIP(1), 80])
    if (labels === PROXY_NAME) await expectUnserved(client, [ips.clusterIP(2), 80])
    else await expectServers(client, [ips.clusterIP(2), 80], ['pod-1-0'])
  }
}

async function headlessLabel({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  await cluster(service('a'), slice('a', [POD_00]))
  await expectServers(lab.pod(1, 0), [ips.clusterIP(1), 80], ['pod-0-0'])
  const labels = { 'service.kubernetes.io/headless': '' }
  await cluster(service('a'), slice('a', [POD_00], { labels }))
  await expectUnserved(lab.pod(1, 0), [ips.clusterIP(1), 80])
}

async function noEndpoints({ lab, ips, cluster, service }: Bench): Promise<void> {
  const ports = [
    { port: 80, nodePort: 30080 },
    { port: 80, protocol: 'UDP', nodePort: 30080 },
  ] as const
  await cluster(service('a', { ports, spec: { type: 'NodePort' } }))
  for (const protocol of ['tcp', 'udp'] as const) {
    for (const client of [lab.pod(0, 0), lab.node(1)]) await expectRefused(client, [ips.clusterIP(1), 80, protocol])
    for (const client of [lab.pod(0, 0), lab.node(1), lab.outside]) {
      await expectRefused(client, [ips.node(2), 30080, protocol])
    }
  }
}

async function evicted({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  await cluster(service('a'), slice('a', []))
  await expectRefused(lab.pod(0, 0), [ips.clusterIP(1), 80])
}

async function samePortTwoProtocols({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  const [tcp, udp] = [
    { name: 'p0', port: 80, protocol: 'TCP' },
    { name: 'p1', port: 80, protocol: 'UDP' },
  ] as const
  const endpoints = slice('a', [POD_00], { ports: [{ port: 8080 }, { port: 8080, protocol: 'UDP' }] })
  const client = lab.pod(1, 0)
  for (const ports of [[tcp, udp], [tcp], [udp]]) {
    await cluster(service('a', { ports }), endpoints)
    for (const protocol of ['tcp', 'udp'] as const) {
      const isServed = ports.some((port) => port.protocol.toLowerCase() === protocol)
      if (isServed) await expectServers(client, [ips.clusterIP(1), 80, protocol], ['pod-0-0'])
      else await expectUnserved(client, [ips.clusterIP(1), 80, protocol])
    }
  }
}

/** What a container port is named and where it comes from is the slice controller's matter: a plain slice port here. */
function plainSlicePort(name: string): (bench: Bench) => Promise<void> {
  return async ({ lab, ips, cluster, service, slice }) => {
    await cluster(
      service('a', { ports: [{ name, port: 80 }] }),
      slice('a', [POD_00], { ports: [{ name, port: 8081 }] }),
    )
    await expectServers(lab.pod(1, 0), [ips.clusterIP(1), 80], ['pod-0-0'])
  }
}

async function namedTargetPorts({ lab, ips, cluster, service, slice }: Bench): Promise<void> {
  for (const [first, second] of [
    [8080, 8081],
    [8081, 8080],
  ] as const) {
    await cluster(
      service('a', { ports: [{ name: 'web', port: 80 }] }),
      slice('a', [POD_00], { name: 'a-0', ports: [{ name: 'web', port: first }] }),
      slice('a', [POD_10], { name: 'a-1', ports: [{ name: 'web', port: second }] }),
    )
    const outcome = await ask(lab.pod(2, 0), [ips.clusterIP(1), 80])
    if (!['pod-0-0', 'pod-1-0'].includes(serverOf(outcome))) throw new Error(`answered by ${serverOf(outcome)}`)
    await expectServers(lab.pod(2, 0), [ips.clusterIP(1), 80], ['pod-0-0', 'pod-1-0'])
  }
}

export const BASIC_ROWS: readonly Row[] = [
  { source: 733, name: 'should serve a basic endpoint from pods', hold: basicEndpoint },
  { source: 803, name: 'should serve multiport endpoints from pods', hold: multiport },
  { source: 906, name: 'should be updated after adding or deleting ports', hold: portsAddedAndRemoved },
  { source: 1020, name: 'should preserve source pod IP for traffic thru service cluster IP', hold: sourceKept },
  { source: 1095, name: 'should allow pods to hairpin back to themselves through services', hold: hairpin },
  { source: 1125, name: 'should be able to up and down services', hold: upAndDown },
  { source: 1171, name: 'should work after the service has been recreated', hold: recreated },
  {
    source: 1207,
    name: 'should work after restarting kube-proxy',
    without: 'all of it: held while the agent runs, by live-rows-steady.ts',
  },
  { source: 1423, name: 'should be able to change the type from ExternalName to ClusterIP', hold: fromExternalName() },
  {
    source: 1462,
    name: 'should be able to change the type from ExternalName to NodePort',
    hold: fromExternalName(30080),
  },
  { source: 1500, name: 'should be able to change the type from ClusterIP to ExternalName', hold: toExternalName() },
  {
    source: 1540,
    name: 'should be able to change the type from NodePort to ExternalName',
    hold: toExternalName(30080),
  },
  { source: 2294, name: 'should implement service.kubernetes.io/service-proxy-name', hold: serviceProxyName },
  { source: 2345, name: 'should implement service.kubernetes.io/headless', hold: headlessLabel },
  { source: 2419, name: 'should be rejected when no endpoints exist', hold: noEndpoints },
  { source: 2464, name: 'should be rejected for evicted pods (no endpoints exist)', hold: evicted },
  { source: 3579, name: 'should serve endpoints on same port and different protocols', hold: samePortTwoProtocols },
  {
    source: 4044,
    name: 'should connect to the ports exposed by restartable init containers',
    hold: plainSlicePort(''),
  },
  {
    source: 4080,
    name: 'should connect to the named ports exposed by restartable init containers',
    hold: plainSlicePort('web'),
  },
  {
    source: 4116,
    name: 'should support named targetPorts that resolve to different ports on different endpoints',
    hold: namedTargetPorts,
  },
]
