// What IPVS mode does while endpoints come and go, with live connections through a node that the syncer itself keeps right.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Counts, Namespace, Run } from '../traffic/agent.ts'
import type { EndpointSpec, Manifest } from '../traffic/cluster.ts'
import { eventually } from '../traffic/eventually.ts'
import { ask, type Bench, expectForeseen, expectRefused, type Row, serverOf, type Target } from '../traffic/row.ts'
import { type NodeSyncer, startNodeSyncer } from './node-syncer.ts'

export type HeldRow = Row & Required<Pick<Row, 'hold'>>

const POD_00 = { node: 0, pod: 0 }
const POD_10 = { node: 1, pod: 0 }
const POD_20 = { node: 2, pod: 0 }
/** The node that clients use. */
const NODE = 2
const TCP_AND_UDP = [{ port: 80 }, { port: 80, protocol: 'UDP' }] as const
const POD_TCP_AND_UDP = [{ port: 8080 }, { port: 8080, protocol: 'UDP' }] as const

function objects({ service, slice }: Bench, endpoints: readonly EndpointSpec[], spec: Manifest = {}): Manifest[] {
  return [service('a', { ports: TCP_AND_UDP, spec }), slice('a', endpoints, { ports: POD_TCP_AND_UDP })]
}

function targetOf({ ips }: Bench): Target {
  return [ips.clusterIP(1), 80]
}

async function realServers({ lab }: Bench): Promise<string> {
  const { stdout } = await lab.node(NODE).exec(['ipvsadm', '-Sn'])
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('-a -t '))
    .join('\n')
}

/** A stream to the endpoint that will go, opened by asking until it is chosen. */
async function openTo(bench: Bench, client: Namespace, server: string) {
  for (let opened = 0; opened < 10; opened += 1) {
    const [to, port] = targetOf(bench)
    const question = { to, port, resets: true }
    const stream = await client.open(question)
    const outcome = await stream.ask()
    expectForeseen(client, question, outcome)
    if (serverOf(outcome) === server) return stream
    await stream.close()
  }
  return expect.fail(`no stream to ${server}`)
}

/** By new connections, which end with a reset: others are remembered for two minutes. */
async function expectChosen(client: Namespace, target: Target, servers: readonly string[]): Promise<void> {
  const seen = new Set<string>()
  for (let asked = 0; asked < 8; asked += 1) seen.add(serverOf(await ask(client, target, { resets: true })))
  expect([...seen].toSorted()).toEqual(servers)
}

async function finishesStreams(bench: Bench): Promise<void> {
  const { lab } = bench
  const client = lab.pod(NODE, 1)
  await using node = await startNodeSyncer({ lab, node: NODE, family: bench.family })
  await node.sync(...objects(bench, [POD_00, POD_10]))
  const stream = await openTo(bench, client, 'pod-0-0')
  await node.sync(...objects(bench, [POD_10]))
  expect(await realServers(bench)).toContain('-m -w 0')
  await expectChosen(client, targetOf(bench), ['pod-1-0'])
  expect(serverOf(await stream.ask())).toBe('pod-0-0')

  await node.restart()
  await node.sync(...objects(bench, [POD_10]))
  expect(await realServers(bench)).toContain('-m -w 0')
  expect(serverOf(await stream.ask())).toBe('pod-0-0')
  await expectChosen(client, targetOf(bench), ['pod-1-0'])

  await node.sync(...objects(bench, [POD_00, POD_10]))
  expect(await realServers(bench)).not.toContain('-w 0')
  await expectChosen(client, targetOf(bench), ['pod-0-0', 'pod-1-0'])
  expect(serverOf(await stream.ask())).toBe('pod-0-0')

  await node.sync(...objects(bench, [POD_10]))
  await stream.close()
  await node.finish()
  expect((await realServers(bench)).split('\n')).toHaveLength(1)
}

async function bounded(bench: Bench): Promise<void> {
  const { lab } = bench
  const termination = { boundMs: 1_000 }
  await using node = await startNodeSyncer({ lab, node: NODE, family: bench.family, termination })
  await node.sync(...objects(bench, [POD_00, POD_10]))
  const stream = await openTo(bench, lab.pod(NODE, 1), 'pod-0-0')
  await node.sync(...objects(bench, [POD_10]))
  expect(serverOf(await stream.ask())).toBe('pod-0-0')
  await node.finish()
  expect((await realServers(bench)).split('\n')).toHaveLength(1)
  expect(serverOf(await stream.ask(1_000))).not.toBe('pod-0-0')
  await stream.close()
}

async function datagramsAtOnce(bench: Bench): Promise<void> {
  const { lab, ips } = bench
  await using node = await startNodeSyncer({ lab, node: NODE, family: bench.family })
  await node.sync(...objects(bench, [POD_00]))
  const sourcePort = 45_555
  const target: Target = [ips.clusterIP(1), 80, 'udp']
  expect(serverOf(await ask(lab.pod(NODE, 1), target, { sourcePort }))).toBe('pod-0-0')
  await node.sync(...objects(bench, [POD_10]))
  // The kernel may drop the datagram by which it finds that the server of the flow is gone.
  await eventually(async () => expect(serverOf(await ask(lab.pod(NODE, 1), target, { sourcePort }))).toBe('pod-1-0'))
}

async function otherPorts(bench: Bench): Promise<void> {
  const { lab, ips, cluster, service, slice } = bench
  await cluster(service('a'), slice('a', [POD_00]))
  for (const client of [lab.pod(0, 1), lab.pod(2, 0), lab.node(1)]) await expectRefused(client, [ips.clusterIP(1), 81])
}

const CLIENTS = 4
const PORTS_EACH = 25
const STEPS: readonly (readonly EndpointSpec[])[] = [
  [POD_00, POD_10],
  [POD_10, POD_20],
  [POD_20, POD_00],
  [POD_00, POD_10],
]
const STEP_MS = 700
/** Of all connections; when a reused port stalls, nearly all do. */
const STALLED_SHARE = 0.02

/** Few source ports, each used again at once, while endpoints are replaced and then go away. */
function reusedPorts(spec: Manifest): (bench: Bench) => Promise<void> {
  return async (bench) => {
    const { lab } = bench
    const client = lab.pod(NODE, 1)
    await using node = await startNodeSyncer({ lab, node: NODE, family: bench.family })
    await node.sync(...objects(bench, STEPS[0] ?? [], spec))
    const before = await retransmitted(client)
    const runs = await Promise.all(Array.from({ length: CLIENTS }, (_, index) => startStorm(bench, client, index)))
    for (const endpoints of STEPS.slice(1)) await rollOut(bench, node, endpoints, spec)
    const outcomes = await Promise.all(runs.map((run) => run.end()))
    const counts = sum(outcomes)
    const asked = Object.values(counts).reduce((all, count) => all + count, 0)
    const failed = Object.entries(counts).filter(([name]) => !name.startsWith('pod-'))
    expect(failed).toEqual([])
    expect(asked).toBeGreaterThan(CLIENTS * PORTS_EACH)
    expect((await retransmitted(client)) - before, `of ${asked} connections`).toBeLessThanOrEqual(asked * STALLED_SHARE)
  }
}

function startStorm(bench: Bench, client: Namespace, index: number): Promise<Run> {
  const [to, port] = targetOf(bench)
  const sourcePorts = Array.from({ length: PORTS_EACH }, (_, number) => 41_000 + index * 100 + number)
  return client.askOften({ to, port, keep: false, everyMs: 5, resets: true, sourcePorts, timeoutMs: 5_000 })
}

/** Who is no endpoint any more stops to serve. Nobody who stays does. */
async function rollOut(bench: Bench, node: NodeSyncer, endpoints: readonly EndpointSpec[], spec: Manifest) {
  const pods = [POD_00, POD_10, POD_20]
  const isKept = (pod: EndpointSpec) => endpoints.some((each) => each.node === pod.node)
  await sleep(STEP_MS)
  await node.sync(...objects(bench, endpoints, spec))
  const gone = pods.filter((pod) => !isKept(pod))
  // What it was asked before, it answers.
  await sleep(STEP_MS)
  await Promise.all(gone.map((pod) => bench.lab.pod(pod.node, pod.pod).unlisten(8080)))
  await sleep(STEP_MS)
  await Promise.all(gone.map((pod) => bench.lab.pod(pod.node, pod.pod).listen(8080)))
}

async function retransmitted(client: Namespace): Promise<number> {
  const { stdout } = await client.exec(['cat', '/proc/net/snmp'])
  const [names = [], values = []] = stdout
    .split('\n')
    .filter((line) => line.startsWith('Tcp: '))
    .map((line) => line.split(' '))
  return Number(values[names.indexOf('RetransSegs')])
}

function sum(all: readonly Counts[]): Counts {
  const total: Record<string, number> = {}
  for (const [name, count] of all.flatMap((counts) => Object.entries(counts))) total[name] = (total[name] ?? 0) + count
  return total
}

export const IPVS_ROWS: readonly HeldRow[] = [
  { source: 'IPVS', name: 'a port of a virtual address that no Service has is refused', hold: otherPorts },
  {
    source: 'Termination',
    name: 'a removed endpoint finishes its connections and gets no new ones, through a restart, and comes back at once',
    hold: finishesStreams,
  },
  { source: 'Termination', name: 'for a bounded time', hold: bounded },
  { source: 'Termination', name: 'a UDP flow goes to another endpoint at once', hold: datagramsAtOnce },
  { source: 'Port reuse', name: 'no stall and no dead endpoint while endpoints are replaced', hold: reusedPorts({}) },
  {
    source: 'Port reuse',
    name: 'the same with session affinity',
    hold: reusedPorts({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } } }),
  },
]
