// Clients that never stop asking, while agents die, rules are torn out and endpoints are replaced: nobody must notice.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { FAMILIES } from '../../src/model/address.ts'
import type { Run } from './agent.ts'
import type { EndpointSpec, Manifest } from './cluster.ts'
import { eventually } from './eventually.ts'
import { askOften, askWithoutLoss, expectAnswered, firstSeen, type LiveBench, type LiveRow } from './live-bench.ts'
import { isSync, type NodeAgent } from './node-agent.ts'
import { ask, expectDropped, expectServers, serverOf } from './row.ts'

const NODE_PORT = 30080
const POD_00 = { node: 0, pod: 0 }
const POD_01 = { node: 0, pod: 1 }
const POD_10 = { node: 1, pod: 0 }
const POD_20 = { node: 2, pod: 0 }

interface Steady {
  readonly what: string
  readonly run: Run
  readonly servers: readonly string[]
}

/** Two Services, one with everything that there is. */
function twoServices({ service, slice, ips }: LiveBench): readonly Manifest[] {
  const ports = [
    { port: 80, nodePort: NODE_PORT },
    { port: 80, protocol: 'UDP', nodePort: NODE_PORT },
  ] as const
  const both = [{ port: 8080 }, { port: 8080, protocol: 'UDP' }] as const
  return [
    service('a', { ports, loadBalancerIPs: [ips.external(1)], spec: { type: 'LoadBalancer' } }),
    slice('a', [POD_00, POD_10], { ports: both }),
    service('b', { number: 2 }),
    slice('b', [POD_01, POD_20]),
  ]
}

/** New connections, streams and flows, through each kind of address, from a pod, a node and outside. */
async function startSteady({ lab, ips }: LiveBench): Promise<readonly Steady[]> {
  await lab.routeTo(ips.external(1), 1)
  const [a, b] = [
    ['pod-0-0', 'pod-1-0'],
    ['pod-0-1', 'pod-2-0'],
  ]
  const clients = [
    { what: 'new connections of a pod', from: lab.pod(2, 1), target: [ips.clusterIP(1), 80], servers: a },
    { what: 'new connections of a node', from: lab.node(0), target: [ips.clusterIP(2), 80], servers: b },
    { what: 'new connections from outside', from: lab.outside, target: [ips.node(2), NODE_PORT], servers: a },
    { what: 'new connections to the load balancer', from: lab.outside, target: [ips.external(1), 80], servers: a },
  ] as const
  const steady: Steady[] = []
  for (const { what, from, target, servers } of clients) {
    steady.push({ what, run: await askOften(from, target), servers })
    const stream = await askOften(from, target, { keep: true })
    steady.push({ what: `a TCP stream beside ${what}`, run: stream, servers: await firstSeen(stream) })
  }
  const flow = await askWithoutLoss(lab.pod(2, 1), [ips.clusterIP(1), 80])
  return [...steady, { what: 'a UDP flow', run: flow, servers: await firstSeen(flow) }]
}

/** Nothing failed since the start. */
async function expectSteady(steady: readonly Steady[]): Promise<void> {
  for (const { what, run, servers } of steady) expectAnswered(await run.end(), servers, what)
}

/** Rules without counters. */
async function rulesOf(agent: NodeAgent): Promise<string> {
  const saves = await Promise.all(FAMILIES.map((family) => agent.iptables(family, 'save', [])))
  return saves.join('').replaceAll(/^#.*\n| \[\d+:\d+\]/gm, '')
}

async function restart(bench: LiveBench): Promise<void> {
  const { lab, ips, agents } = bench
  const objects = twoServices(bench)
  await bench.cluster(...objects)
  const steady = await startSteady(bench)
  await Promise.all(agents.map((agent) => agent.kill()))
  const before = await Promise.all(agents.map(rulesOf))
  await sleep(500)
  await Promise.all(agents.map((agent) => agent.start()))
  const written = agents.flatMap((agent) => agent.log().filter(isSync)).filter((line) => Number(line['lines'] ?? 0) > 0)
  expect(written, 'a restart with the same cluster writes nothing').toEqual([])
  expect(await Promise.all(agents.map(rulesOf))).toEqual(before)
  await sleep(500)
  await expectSteady(steady)
  await expectServers(lab.pod(2, 1), [ips.clusterIP(1), 80], ['pod-0-0', 'pod-1-0'])
  await expectServers(lab.pod(2, 1), [ips.clusterIP(2), 80], ['pod-0-1', 'pod-2-0'])
  // The new agents follow the cluster.
  await bench.cluster(...objects.slice(0, 2))
}

/** In the middle of syncs. */
async function restartWhileChanging(bench: LiveBench): Promise<void> {
  const { agents } = bench
  const objects = twoServices(bench)
  await bench.cluster(...objects)
  const steady = await startSteady(bench)
  for (let round = 0; round < 2; round++) {
    const { service, slice } = bench
    const others = Array.from({ length: 9 }, (_, index) => [
      service(`c${round}-${index}`, { number: 10 + index }),
      slice(`c${round}-${index}`, [POD_00, POD_10]),
    ])
    const killed = async () => {
      await sleep(90 + 40 * round)
      await Promise.all(agents.map((agent) => agent.kill()))
      await Promise.all(agents.map((agent) => agent.start()))
    }
    await Promise.all([bench.cluster(...objects, ...others.flat()), killed()])
  }
  await expectSteady(steady)
}

/** One endpoint after the other is replaced, each with an overlap, as a Deployment does it. */
function rollingUpdate(policy: 'Cluster' | 'Local'): (bench: LiveBench) => Promise<void> {
  return async (bench) => {
    const { lab, ips, service, slice } = bench
    const a = service('a', {
      ports: [{ port: 80, nodePort: NODE_PORT }],
      loadBalancerIPs: [ips.external(1)],
      spec: { type: 'LoadBalancer', externalTrafficPolicy: policy },
    })
    const leaving = (endpoint: EndpointSpec) => ({ ...endpoint, ready: false, serving: true, terminating: true })
    const steps: readonly (readonly EndpointSpec[])[] = [
      [POD_00, POD_10],
      [POD_00, POD_10, POD_01],
      [leaving(POD_00), POD_10, POD_01],
      [POD_10, POD_01],
      [POD_10, POD_01, POD_20],
      [leaving(POD_10), POD_01, POD_20],
      [POD_01, POD_20],
    ]
    await lab.routeTo(ips.external(1), 0)
    await bench.cluster(a, slice('a', steps[0] ?? []))
    const runs = await Promise.all([
      askOften(lab.outside, [ips.external(1), 80], { everyMs: 10 }),
      askOften(lab.outside, [ips.node(0), NODE_PORT], { everyMs: 10 }),
      askOften(lab.pod(2, 1), [ips.clusterIP(1), 80], { everyMs: 10 }),
      // The terminating pod serves the connections that it has.
      askOften(lab.outside, [ips.external(1), 80], { keep: true, everyMs: 10 }),
    ])
    for (const endpoints of steps.slice(1)) {
      await bench.cluster(a, slice('a', endpoints))
      await sleep(200)
    }
    for (const [index, run] of runs.entries()) {
      const counts = await run.end()
      const failures = Object.keys(counts).filter((name) => !name.startsWith('pod-'))
      expect(failures, `run ${index}: ${JSON.stringify(counts)}`).toEqual([])
    }
  }
}

/** All endpoints are replaced at once, again and again. */
async function blueGreen(bench: LiveBench): Promise<void> {
  const { lab, ips, service, slice } = bench
  const a = service('a', { ports: [{ port: 80, nodePort: NODE_PORT }], spec: { type: 'NodePort' } })
  const colours = [
    [POD_00, POD_10],
    [POD_01, POD_20],
  ]
  await bench.cluster(a, slice('a', colours[0] ?? []))
  const runs = await Promise.all([
    askOften(lab.pod(2, 1), [ips.clusterIP(1), 80], { everyMs: 10 }),
    askOften(lab.outside, [ips.node(1), NODE_PORT], { everyMs: 10 }),
  ])
  for (const endpoints of [...colours, ...colours]) {
    await bench.cluster(a, slice('a', endpoints))
    await sleep(100)
  }
  const servers = ['pod-0-0', 'pod-0-1', 'pod-1-0', 'pod-2-0']
  for (const run of runs) expectAnswered(await run.end(), servers, 'new connections')
}

/** Upstream's way: first all jumps, then all chains. */
async function deleteRules(agent: NodeAgent): Promise<void> {
  for (const family of FAMILIES) {
    for (const table of ['filter', 'nat', 'mangle']) {
      const saved = await agent.iptables(family, 'save', ['-t', table])
      const jumps = saved.match(/^-A (?!KUBE-).* -j KUBE-.*$/gm) ?? []
      const chains = (saved.match(/^:KUBE-\S+/gm) ?? []).map((text) => text.slice(1))
      const lines = [
        ...jumps.map((jump) => jump.replace('-A', '-D')),
        ...chains.map((chain) => `-F ${chain}`),
        ...chains.map((chain) => `-X ${chain}`),
      ]
      const payload = [`*${table}`, ...lines, 'COMMIT', ''].join('\n')
      await agent.iptables(family, 'restore', ['--noflush', '-w', '60'], payload)
    }
  }
}

async function flushEverything(agent: NodeAgent): Promise<void> {
  for (const family of FAMILIES) {
    for (const table of ['filter', 'nat', 'mangle'])
      await agent.iptables(family, 'run', ['-w', '60', '-t', table, '-F'])
  }
}

/**
 * The agent looks every second, or so seldom that looking costs a twentieth of a core: a look that takes a second, because six
 * agents share this machine, is followed by the next after 20.
 */
const REPAIRED_MS = 90_000

function repaired(damage: (agent: NodeAgent) => Promise<void>): (bench: LiveBench) => Promise<void> {
  return async (bench) => {
    const { lab, ips, agents } = bench
    await bench.cluster(...twoServices(bench))
    const before = await Promise.all(agents.map(rulesOf))
    await Promise.all(agents.map(damage))
    await eventually(async () => expect(await Promise.all(agents.map(rulesOf))).toEqual(before), {
      withinMs: REPAIRED_MS,
    })
    await expectServers(lab.pod(2, 1), [ips.clusterIP(1), 80], ['pod-0-0', 'pod-1-0'])
    await expectServers(lab.outside, [ips.node(2), NODE_PORT], ['pod-0-0', 'pod-1-0'])
    await expectServers(lab.node(0), [ips.clusterIP(2), 80], ['pod-0-1', 'pod-2-0'])
  }
}

async function sourceRangesLive({ lab, ips, cluster, service, slice, family }: LiveBench): Promise<void> {
  const length = family === 'ipv4' ? 32 : 128
  const allowing = (ip?: string) =>
    service('a', {
      ports: [{ port: 80, nodePort: NODE_PORT }],
      loadBalancerIPs: [ips.external(1)],
      spec: { type: 'LoadBalancer', ...(ip !== undefined && { loadBalancerSourceRanges: [`${ip}/${length}`] }) },
    })
  const endpoints = slice('a', [POD_00, POD_10])
  await lab.routeTo(ips.external(1), 0)
  await cluster(allowing(), endpoints)
  const stream = await lab.outside.open({ to: ips.external(1), port: 80 })
  await expectServers(lab.outside, [ips.external(1), 80], ['pod-0-0', 'pod-1-0'])
  await cluster(allowing(ips.pod(0, 1)), endpoints)
  await expectDropped(lab.outside, [ips.external(1), 80])
  await expectServers(lab.pod(0, 1), [ips.external(1), 80], ['pod-0-0', 'pod-1-0'])
  // Ranges are for new connections.
  expect(await stream.ask()).toMatchObject({ kind: 'answer' })
  await cluster(allowing(ips.outside), endpoints)
  await expectServers(lab.outside, [ips.external(1), 80], ['pod-0-0', 'pod-1-0'])
  await expectDropped(lab.pod(0, 1), [ips.external(1), 80])
  await stream.close()
}

/** What the kernel remembers of clients is lost with the rule that remembers it. */
async function affinityKept(bench: LiveBench): Promise<void> {
  const { lab, ips, cluster, service, slice, agents } = bench
  const a = [service('a', { spec: { sessionAffinity: 'ClientIP' } }), slice('a', [POD_00, POD_10, POD_20])]
  const clients = [lab.pod(0, 1), lab.pod(1, 1), lab.pod(2, 1), lab.node(0), lab.node(1), lab.node(2)]
  const chosen = async () => Promise.all(clients.map(async (from) => serverOf(await ask(from, [ips.clusterIP(1), 80]))))
  await cluster(...a)
  const first = await chosen()
  for (const endpoints of [[POD_00], [POD_01, POD_10], [], [POD_20]]) {
    await cluster(...a, service('b', { number: 2 }), slice('b', endpoints))
    expect(await chosen()).toEqual(first)
  }
  await Promise.all(agents.map((agent) => agent.kill()))
  await Promise.all(agents.map((agent) => agent.start()))
  expect(await chosen()).toEqual(first)
}

export const STEADY_ROWS: readonly LiveRow[] = [
  { source: 1207, name: 'should work after restarting kube-proxy, and no connection fails meanwhile', hold: restart },
  { source: 1207, name: 'the same, killed in the middle of syncs', hold: restartWhileChanging },
  {
    source: 'LoadBalancers',
    name: 'no disruption during rolling update, externalTrafficPolicy: Cluster',
    hold: rollingUpdate('Cluster'),
  },
  {
    source: 'LoadBalancers',
    name: 'no disruption during rolling update, externalTrafficPolicy: Local',
    hold: rollingUpdate('Local'),
  },
  {
    source: 'Pod Lifecycle',
    name: 'should have zero downtime during a blue-green deployment',
    hold: blueGreen,
  },
  { source: 'LoadBalancers', name: 'source ranges change while connections are open', hold: sourceRangesLive },
  {
    source: 'Networking',
    name: 'should recreate its iptables rules if they are deleted',
    hold: repaired(deleteRules),
    without: "KUBE-IPTABLES-HINT: the kubelet's own",
  },
  { source: 'Networking', name: 'the same after iptables -F of every table', hold: repaired(flushEverything) },
  { source: 'Affinity', name: 'survives changes of other Services, and a restart', hold: affinityKept },
]
