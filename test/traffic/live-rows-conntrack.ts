// UDP clients that never stop sending from their one port, while the Service behind them changes. The pods of this
// laboratory go on serving when they are no endpoints any more, so an entry that stays behind is an answer from the
// wrong server.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Namespace } from './agent.ts'
import type { EndpointSpec, Manifest } from './cluster.ts'
import { eventually } from './eventually.ts'
import {
  askFromOnePort,
  askWithoutLoss,
  expectAnswered,
  expectOnly,
  firstSeen,
  type LiveBench,
  type LiveRow,
} from './live-bench.ts'
import { NODE_SERVER_PORT, type Target } from './row.ts'

const NODE_PORT = 30080
const POD_00 = { node: 0, pod: 0 }
const POD_01 = { node: 0, pod: 1 }
const POD_10 = { node: 1, pod: 0 }

function udpService({ service, ips }: LiveBench, spec: Manifest = {}): Manifest {
  const ports = [{ port: 80, protocol: 'UDP', nodePort: NODE_PORT }] as const
  return service('a', { ports, loadBalancerIPs: [ips.external(1)], spec: { type: 'LoadBalancer', ...spec } })
}

function udpSlice({ slice }: LiveBench, endpoints: readonly EndpointSpec[], port = 8080): Manifest {
  return slice('a', endpoints, { ports: [{ port, protocol: 'UDP' }] })
}

type Way = (bench: LiveBench) => readonly [Namespace, Target]

const BY_NODE_PORT: Way = ({ lab, ips }) => [lab.pod(1, 1), [ips.node(0), NODE_PORT]]
const BY_CLUSTER_IP: Way = ({ lab, ips }) => [lab.pod(1, 1), [ips.clusterIP(1), 80]]
const FROM_SAME_NODE: Way = ({ lab, ips }) => [lab.pod(0, 1), [ips.clusterIP(1), 80]]
const FROM_NODE: Way = ({ lab, ips }) => [lab.node(2), [ips.clusterIP(1), 80]]
const BY_LOAD_BALANCER: Way = ({ lab, ips }) => [lab.outside, [ips.external(1), 80]]

interface Cycle {
  readonly way: Way
  readonly spec?: Manifest
  /** The second server; the first is pod 0 of node 0. */
  readonly next: EndpointSpec
  readonly nextName: string
  readonly nextPort?: number
}

/** The server goes, as pods go: terminating first, then gone; another one comes. */
function serverCycles({ way, spec, next, nextName, nextPort }: Cycle): (bench: LiveBench) => Promise<void> {
  return async (bench) => {
    const [client, target] = way(bench)
    const service = udpService(bench, spec)
    await bench.lab.routeTo(bench.ips.external(1), 0)
    await bench.cluster(service, udpSlice(bench, [POD_00]))
    const run = await askFromOnePort(client, target)
    await expectOnly(run, ['pod-0-0'])
    const leaving = { ...POD_00, ready: false, serving: true, terminating: true }
    await bench.cluster(service, udpSlice(bench, [leaving]))
    await expectOnly(run, ['pod-0-0'])
    await bench.cluster(service, udpSlice(bench, [next], nextPort))
    await expectOnly(run, [nextName])
    await run.end()
  }
}

/** From refusal to an answer, with the same socket. */
async function getsReady(bench: LiveBench): Promise<void> {
  const service = udpService(bench)
  const [client, target] = BY_CLUSTER_IP(bench)
  await bench.cluster(service, udpSlice(bench, [{ ...POD_00, ready: false }]))
  const run = await askFromOnePort(client, target)
  await expectOnly(run, ['refused'])
  await bench.cluster(service, udpSlice(bench, [POD_00]))
  await expectOnly(run, ['pod-0-0'])
  await run.end()
}

/** A client that sends before there is a Service has an entry that no rule translated. */
async function serviceComesLate(bench: LiveBench): Promise<void> {
  await bench.cluster()
  const runs = await Promise.all([BY_CLUSTER_IP, BY_NODE_PORT].map((way) => askFromOnePort(...way(bench))))
  await sleep(500)
  await bench.cluster(udpService(bench), udpSlice(bench, [POD_00]))
  for (const run of runs) await expectOnly(run, ['pod-0-0'])
  await Promise.all(runs.map((run) => run.end()))
}

async function targetPortChanges(bench: LiveBench): Promise<void> {
  const { lab } = bench
  const service = udpService(bench)
  await bench.cluster(service, udpSlice(bench, [POD_00], 8080))
  const run = await askFromOnePort(...BY_NODE_PORT(bench))
  await expectOnly(run, ['pod-0-0'])
  // Both ports would answer with the same name.
  await lab.pod(0, 0).unlisten(8080, 'udp')
  try {
    await bench.cluster(service, udpSlice(bench, [POD_00], 8081))
    await expectOnly(run, ['pod-0-0'])
  } finally {
    await run.end()
    await lab.pod(0, 0).listen(8080, 'udp')
  }
}

/** kubernetes/kubernetes#139628: kube-proxy leaves the entry, and the client talks to the old pod for ever. */
async function scaledToZero(bench: LiveBench): Promise<void> {
  const service = udpService(bench)
  await bench.cluster(service, udpSlice(bench, [POD_00]))
  const runs = await Promise.all([BY_CLUSTER_IP, BY_NODE_PORT, FROM_NODE].map((way) => askFromOnePort(...way(bench))))
  for (const run of runs) await expectOnly(run, ['pod-0-0'])
  await bench.cluster(service, udpSlice(bench, []))
  for (const run of runs) await expectOnly(run, ['refused'])
  await bench.cluster(service, udpSlice(bench, [POD_10]))
  for (const run of runs) await expectOnly(run, ['pod-1-0'])
  await Promise.all(runs.map((run) => run.end()))
}

/** kubernetes/kubernetes#141371. */
async function deleted(bench: LiveBench): Promise<void> {
  await bench.cluster(udpService(bench), udpSlice(bench, [POD_00]))
  const runs = await Promise.all([BY_CLUSTER_IP, BY_NODE_PORT].map((way) => askFromOnePort(...way(bench))))
  for (const run of runs) await expectOnly(run, ['pod-0-0'])
  await bench.cluster()
  for (const run of runs) await run.read()
  await eventually(async () => {
    await sleep(700)
    // Of all of them, so that none keeps what another one lost.
    for (const seen of await Promise.all(runs.map(async (run) => Object.keys(await run.read())))) {
      expect(seen).not.toContain('pod-0-0')
      expect(seen).not.toEqual([])
    }
  })
  await Promise.all(runs.map((run) => run.end()))
}

/** The rules that the agents find tell them whose the flows were. */
async function deletedMeanwhile(bench: LiveBench): Promise<void> {
  const { agents } = bench
  const kept = bench.service('b', { number: 2, ports: [{ port: 80, protocol: 'UDP' }] })
  const keptSlice = bench.slice('b', [POD_10], { ports: [{ port: 8080, protocol: 'UDP' }] })
  await bench.cluster(kept, keptSlice, udpService(bench), udpSlice(bench, [POD_00]))
  const runs = await Promise.all([BY_CLUSTER_IP, BY_NODE_PORT].map((way) => askFromOnePort(...way(bench))))
  for (const run of runs) await expectOnly(run, ['pod-0-0'])
  const other = await askWithoutLoss(bench.lab.pod(1, 1), [bench.ips.clusterIP(2), 80])
  await Promise.all(agents.map((agent) => agent.stop()))
  // Nobody is there to wait for.
  await bench.describe(kept, keptSlice)
  for (const run of runs) await expectOnly(run, ['pod-0-0'])
  await Promise.all(agents.map((agent) => agent.start()))
  for (const run of runs) await run.read()
  await eventually(async () => {
    await sleep(700)
    for (const seen of await Promise.all(runs.map(async (run) => Object.keys(await run.read())))) {
      expect(seen).not.toContain('pod-0-0')
      expect(seen).not.toEqual([])
    }
  })
  await Promise.all(runs.map((run) => run.end()))
  expectAnswered(await other.end(), ['pod-1-0'], 'a UDP flow to a Service that stayed')
}

/** kubernetes/kubernetes#122740. Both endpoints serve, so a flow that is cut may find the other one. */
async function restartKeepsFlows(bench: LiveBench): Promise<void> {
  const { agents } = bench
  await bench.cluster(udpService(bench), udpSlice(bench, [POD_00, POD_10]))
  const ways = [BY_CLUSTER_IP, BY_NODE_PORT, FROM_NODE, BY_LOAD_BALANCER, BY_CLUSTER_IP, BY_CLUSTER_IP]
  await bench.lab.routeTo(bench.ips.external(1), 2)
  const runs = await Promise.all(ways.map((way) => askWithoutLoss(...way(bench))))
  const before = await Promise.all(runs.map(firstSeen))
  await Promise.all(agents.map((agent) => agent.kill()))
  await sleep(300)
  await Promise.all(agents.map((agent) => agent.start()))
  await sleep(500)
  for (const [index, run] of runs.entries()) expectAnswered(await run.end(), before[index] ?? [], 'a live UDP flow')
}

const CLIENT_STAYS = 'should be able to preserve UDP traffic when server pod cycles for a'

export const CONNTRACK_ROWS: readonly LiveRow[] = [
  {
    source: 'Conntrack',
    name: `${CLIENT_STAYS} NodePort service`,
    hold: serverCycles({ way: BY_NODE_PORT, next: POD_10, nextName: 'pod-1-0' }),
  },
  {
    source: 'Conntrack',
    name: `${CLIENT_STAYS} ClusterIP service`,
    hold: serverCycles({ way: BY_CLUSTER_IP, next: POD_10, nextName: 'pod-1-0' }),
  },
  {
    source: 'Conntrack',
    name: `${CLIENT_STAYS} ClusterIP service with InternalTrafficPolicy=Local`,
    hold: serverCycles({
      way: FROM_SAME_NODE,
      spec: { internalTrafficPolicy: 'Local' },
      next: { node: 0 },
      nextName: 'node-0',
      nextPort: NODE_SERVER_PORT,
    }),
  },
  {
    source: 'Conntrack',
    name: `${CLIENT_STAYS} ClusterIP service and client is hostNetwork`,
    hold: serverCycles({ way: FROM_NODE, next: POD_10, nextName: 'pod-1-0' }),
  },
  {
    source: 'Conntrack',
    name: 'should be able to preserve UDP traffic when initial unready endpoints get ready',
    hold: getsReady,
  },
  {
    source: 'Conntrack',
    name: 'should be able to cleanup conntrack entries when UDP service target port changes for a NodePort service',
    hold: targetPortChanges,
  },
  { source: 'Conntrack', name: 'a UDP client that sends before there is a Service', hold: serviceComesLate },
  { source: 'Conntrack', name: 'a UDP Service scaled to zero, and up again', hold: scaledToZero },
  { source: 'Conntrack', name: 'a UDP Service deleted', hold: deleted },
  { source: 'Conntrack', name: 'a UDP Service deleted while no agent runs', hold: deletedMeanwhile },
  { source: 'Conntrack', name: 'kill -9 and restart keep live UDP flows', hold: restartKeepsFlows },
  {
    source: 'LoadBalancers',
    name: 'UDP when server pod cycles, on different nodes',
    hold: serverCycles({ way: BY_LOAD_BALANCER, next: POD_10, nextName: 'pod-1-0' }),
  },
  {
    source: 'LoadBalancers',
    name: 'UDP when server pod cycles, on the same node',
    hold: serverCycles({ way: BY_LOAD_BALANCER, next: POD_01, nextName: 'pod-0-1' }),
  },
]
