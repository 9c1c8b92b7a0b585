// Rows about SCTP Services, for a kernel that has SCTP. They are held through rules that sluice renders, but for the
// last one, which the node agent itself puts into the kernel.
import { readFileSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect } from 'vitest'
import { FAMILIES } from '../../src/model/address.ts'
import type { Namespace } from '../traffic/agent.ts'
import { nodeName, nodeObject } from '../traffic/cluster.ts'
import { ADDRESSES } from '../traffic/laboratory.ts'
import {
  ask,
  type Bench,
  createBench,
  expectClient,
  expectDropped,
  expectRefused,
  expectServers,
  expectUnserved,
  type Row,
  serverOf,
  type Target,
} from '../traffic/row.ts'
import { forgetRules } from '../traffic/simulated.ts'

const POD_00 = { node: 0, pod: 0 }
const POD_10 = { node: 1, pod: 0 }
const NODE_PORT = 30080
const SCTP = [{ port: 8080, protocol: 'SCTP' }] as const
const SCTP_PORTS = [{ port: 80, protocol: 'SCTP', nodePort: NODE_PORT }] as const

export type SctpRow = Row & Required<Pick<Row, 'hold'>>

function clusterIP({ ips }: Bench, number = 1): Target {
  return [ips.clusterIP(number), 80, 'sctp']
}

function nodePort({ ips }: Bench, node: number): Target {
  return [ips.node(node), NODE_PORT, 'sctp']
}

/** A Service of type NodePort with these endpoints. */
function program(bench: Bench, endpoints: readonly (typeof POD_00)[], spec: Readonly<Record<string, unknown>> = {}) {
  const { cluster, service, slice } = bench
  const a = service('a', { ports: SCTP_PORTS, spec: { type: 'NodePort', ...spec } })
  return cluster(a, slice('a', endpoints, { ports: SCTP }))
}

/** Whether the kernel has loaded its implementation of SCTP. */
export function isSctpLoaded(): boolean {
  return /^sctp /m.test(readFileSync('/proc/modules', 'utf8'))
}

async function rulesAlone(bench: Bench): Promise<void> {
  await program(bench, [POD_00])
  const { stdout } = await bench.lab.node(0).exec([bench.family === 'ipv4' ? 'iptables-save' : 'ip6tables-save'])
  expect(stdout, 'the rules are there').toContain(`-m sctp --dport ${NODE_PORT}`)
  expect(isSctpLoaded(), 'sctp.ko is loaded').toBe(false)
}

/** Through the cluster IP and each node's port, on every path between client and endpoint. */
function reachable(clientsOf: (bench: Bench) => readonly Namespace[]): (bench: Bench) => Promise<void> {
  return async (bench) => {
    await program(bench, [POD_00, POD_10])
    for (const client of clientsOf(bench)) {
      const targets = [clusterIP(bench), ...[0, 1, 2].map((node) => nodePort(bench, node))]
      for (const target of targets) await expectServers(client, target, ['pod-0-0', 'pod-1-0'])
    }
  }
}

async function fromOutside(bench: Bench): Promise<void> {
  await program(bench, [POD_00, POD_10])
  for (const node of [0, 1, 2]) await expectServers(bench.lab.outside, nodePort(bench, node), ['pod-0-0', 'pod-1-0'])
}

async function sourceKept(bench: Bench): Promise<void> {
  const { lab, ips } = bench
  await program(bench, [POD_00])
  for (const [node, pod] of [
    [0, 1],
    [2, 0],
  ] as const) {
    await expectClient(lab.pod(node, pod), clusterIP(bench), { server: 'pod-0-0', client: ips.pod(node, pod) })
  }
  await program(bench, [POD_00], { externalTrafficPolicy: 'Local' })
  await expectClient(lab.outside, nodePort(bench, 0), { server: 'pod-0-0', client: ips.outside })
  await expectDropped(lab.outside, nodePort(bench, 2))
}

async function masqueraded(bench: Bench): Promise<void> {
  const { lab, ips } = bench
  await program(bench, [POD_00])
  await expectClient(lab.outside, nodePort(bench, 2), { server: 'pod-0-0', client: ips.node(2) })
}

async function noEndpoints(bench: Bench): Promise<void> {
  const { lab } = bench
  await program(bench, [])
  for (const client of [lab.pod(0, 0), lab.node(1)]) await expectRefused(client, clusterIP(bench))
  for (const client of [lab.pod(0, 0), lab.node(1), lab.outside]) await expectRefused(client, nodePort(bench, 2))
}

async function followsChanges(bench: Bench): Promise<void> {
  const client = bench.lab.pod(2, 0)
  await program(bench, [POD_00])
  await expectServers(client, clusterIP(bench), ['pod-0-0'])
  await program(bench, [POD_10])
  await expectServers(client, clusterIP(bench), ['pod-1-0'])
  await bench.cluster()
  await expectUnserved(client, clusterIP(bench))
  await program(bench, [POD_00, POD_10])
  await expectServers(client, clusterIP(bench), ['pod-0-0', 'pod-1-0'])
}

/** Each protocol has an endpoint of its own, so that a rule that takes another protocol's packets is found. */
async function samePort(bench: Bench): Promise<void> {
  const { lab, ips, cluster, service, slice } = bench
  const endpoints = { TCP: 'pod-0-0', UDP: 'pod-0-1', SCTP: 'pod-1-0' } as const
  const ports = (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => ({
    name: protocol.toLowerCase(),
    port: 80,
    protocol,
  }))
  const slices = ports.map(({ name, protocol }) => {
    const [, node, pod] = endpoints[protocol].split('-').map(Number)
    if (node === undefined) throw new Error(`${endpoints[protocol]} is no pod`)
    const one = [{ name, port: 8080, protocol }]
    return slice('a', [{ node, ...(pod !== undefined && { pod }) }], { name: `a-${name}`, ports: one })
  })
  for (const kept of [ports, ports.slice(0, 2), ports.slice(2)]) {
    await cluster(service('a', { ports: kept }), ...slices)
    for (const { protocol } of ports) {
      const target: Target = [ips.clusterIP(1), 80, protocol.toLowerCase() as 'tcp' | 'udp' | 'sctp']
      if (kept.some((port) => port.protocol === protocol)) {
        await expectServers(lab.pod(2, 0), target, [endpoints[protocol]])
      } else await expectUnserved(lab.pod(2, 0), target)
    }
  }
}

async function affinity(bench: Bench): Promise<void> {
  const { lab } = bench
  const endpoints = [0, 1, 2].map((node) => ({ node, pod: 0 }))
  await program(bench, endpoints)
  await expectServers(lab.outside, nodePort(bench, 1), ['pod-0-0', 'pod-1-0', 'pod-2-0'])
  const timeout = { sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } } }
  await program(bench, endpoints, { sessionAffinity: 'ClientIP', ...timeout })
  for (const [client, target] of [
    [lab.pod(0, 1), clusterIP(bench)],
    [lab.outside, nodePort(bench, 1)],
  ] as const) {
    const first = serverOf(await ask(client, target))
    for (let count = 0; count < 15; count++) expect(serverOf(await ask(client, target))).toBe(first)
    expect(['pod-0-0', 'pod-1-0', 'pod-2-0']).toContain(first)
  }
}

async function localhost(bench: Bench): Promise<void> {
  await program(bench, [POD_00, POD_10])
  await expectServers(bench.lab.node(0), [bench.ips.loopback, NODE_PORT, 'sctp'], ['pod-0-0', 'pod-1-0'])
}

async function externalIPs(bench: Bench): Promise<void> {
  const { lab, ips, cluster, service, slice } = bench
  const spec = { type: 'LoadBalancer', externalIPs: [ips.external(1)] }
  const a = service('a', { ports: SCTP_PORTS, spec, loadBalancerIPs: [ips.external(2)] })
  await cluster(a, slice('a', [POD_00, POD_10], { ports: SCTP }))
  for (const ip of [ips.external(1), ips.external(2)]) {
    await lab.routeTo(ip, 2)
    for (const client of [lab.outside, lab.pod(0, 1), lab.node(1)]) {
      await expectServers(client, [ip, 80, 'sctp'], ['pod-0-0', 'pod-1-0'])
    }
  }
}

/**
 * `sluice run` finds out itself what this kernel can do, and puts the rules of both families into a node whose Services
 * are gone. The script is the program, such as the bundle that is shipped.
 */
function nodeAgent(script: string): (bench: Bench) => Promise<void> {
  return async ({ lab }) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'sluice-sctp-'))
    const benches = FAMILIES.map((family) => createBench(lab, family))
    const services = benches.flatMap(({ family, service, slice }) => [
      service(family, { ports: SCTP_PORTS, spec: { type: 'NodePort' } }),
      slice(family, [POD_00, POD_10], { ports: SCTP }),
    ])
    const list = { apiVersion: 'v1', kind: 'List', items: [nodeObject(2), ...services] }
    await writeFile(path.join(folder, 'cluster.json'), JSON.stringify(list))
    for (const bench of benches) {
      await bench.cluster()
      await expectUnserved(lab.pod(2, 0), clusterIP(bench))
    }
    const flags = {
      filename: folder,
      'hostname-override': nodeName(2),
      'cluster-cidr': FAMILIES.map((family) => ADDRESSES[family].podCIDR).join(),
      // Only the kernel's first namespace may size the connection table.
      'conntrack-max-per-core': 0,
    }
    const settings = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)
    await lab.node(2).exec([process.execPath, script, 'run', '--once', ...settings])
    forgetRules(lab)
    for (const bench of benches) {
      for (const client of [lab.pod(2, 0), lab.node(2)]) {
        await expectServers(client, clusterIP(bench), ['pod-0-0', 'pod-1-0'])
      }
      await expectServers(lab.outside, nodePort(bench, 2), ['pod-0-0', 'pod-1-0'])
    }
  }
}

/** Held before anything else is: after the first SCTP socket the module stays. */
export const RULES_ALONE: SctpRow = {
  source: 3776,
  name: 'should allow creating a basic SCTP service with pod and endpoints: its rules alone do not load sctp.ko',
  hold: rulesAlone,
}

export const TRAFFIC_ROWS: readonly SctpRow[] = [
  {
    source: 'Networking',
    name: 'should function for pod-Service: sctp',
    hold: reachable(({ lab }) => [lab.pod(0, 1), lab.pod(2, 0)]),
  },
  {
    source: 'Networking',
    name: 'should function for node-Service: sctp',
    hold: reachable(({ lab }) => [lab.node(0), lab.node(2)]),
  },
  {
    source: 'Networking',
    name: 'should function for endpoint-Service: sctp',
    hold: reachable(({ lab }) => [lab.pod(0, 0)]),
  },
  {
    source: 1287,
    name: 'should be able to create a functioning NodePort service: sctp, from outside',
    hold: fromOutside,
  },
  {
    source: 1020,
    name: 'should preserve the source IP: sctp, cluster IP and externalTrafficPolicy Local',
    hold: sourceKept,
  },
  { source: 'Masquerade', name: 'a node port hides the client behind the node: sctp', hold: masqueraded },
  { source: 2419, name: 'should be rejected when no endpoints exist: sctp', hold: noEndpoints },
  {
    source: 1171,
    name: 'should follow endpoints, and work after the service has been recreated: sctp',
    hold: followsChanges,
  },
  { source: 'ClusterIP', name: 'TCP, UDP and SCTP on the same port, each its own', hold: samePort },
  { source: 2229, name: 'should have session affinity work: sctp, cluster IP and NodePort', hold: affinity },
  { source: 'NodePorts', name: 'localhost: sctp', family: 'ipv4', hold: localhost },
  { source: 1313, name: 'should be possible to connect via external IP and load-balancer IP: sctp', hold: externalIPs },
]

/** Held by the program `script`, in both families at once. */
export function nodeAgentRow(script: string): SctpRow {
  const name = 'sluice run --once programs a node of this kernel, in both families'
  return { source: 'sluice', name, family: 'ipv4', hold: nodeAgent(script) }
}
