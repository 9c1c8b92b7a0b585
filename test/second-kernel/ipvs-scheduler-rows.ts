// Each scheduler of the kernel distributes as it is defined (ipvsadm(8), and net/netfilter/ipvs/ip_vs_<name>.c of Linux
// 6.1), through virtual servers that sluice renders. Three real servers of weight 1; everything is asked from one node.
import { expect } from 'vitest'
import { defaultProxyConfig } from '../../src/index.ts'
import type { Namespace, Stream } from '../traffic/agent.ts'
import { ask, type Bench, expectForeseen, serverOf, type Target } from '../traffic/row.ts'
import type { HeldRow } from './ipvs-rows.ts'

const ENDPOINTS = [0, 1, 2].map((node) => ({ node, pod: 0 }))
const SERVERS = ['pod-0-0', 'pod-1-0', 'pod-2-0']
const CLIENT = [2, 1] as const

async function program({ configuredCluster, service, slice }: Bench, scheduler: string): Promise<void> {
  const ipvs = { ...defaultProxyConfig().ipvs, scheduler }
  await configuredCluster({ ipvs }, service('a'), slice('a', ENDPOINTS))
}

function targetOf({ ips }: Bench): Target {
  return [ips.clusterIP(1), 80]
}

/** One after the other, each over before the next. */
async function serverOfEach(from: Namespace, target: Target, count: number): Promise<readonly string[]> {
  const servers: string[] = []
  for (let asked = 0; asked < count; asked += 1) servers.push(serverOf(await ask(from, target, { resets: true })))
  return servers
}

/** Connections that stay; their servers. */
async function openStreams(from: Namespace, [to, port]: Target, count: number) {
  const streams: Stream[] = []
  const servers: string[] = []
  for (let opened = 0; opened < count; opened += 1) {
    const question = { to, port, resets: true }
    const stream = await from.open(question)
    streams.push(stream)
    const outcome = await stream.ask()
    expectForeseen(from, question, outcome)
    servers.push(serverOf(outcome))
  }
  return { servers, close: async () => void (await Promise.all(streams.map((stream) => stream.close()))) }
}

function counts(servers: readonly string[]): readonly number[] {
  return SERVERS.map((name) => servers.filter((server) => server === name).length)
}

/** Each in turn. */
async function inTurn(bench: Bench): Promise<void> {
  const servers = await serverOfEach(bench.lab.pod(...CLIENT), targetOf(bench), 9)
  expect(counts(servers)).toEqual([3, 3, 3])
  expect(servers.slice(3)).toEqual(servers.slice(0, -3))
}

/** The one with the fewest connections: as many for each, and the one that loses some gets the next. */
async function leastConnections(bench: Bench): Promise<void> {
  const client = bench.lab.pod(...CLIENT)
  const held = await openStreams(client, targetOf(bench), 6)
  expect(counts(held.servers)).toEqual([2, 2, 2])
  await held.close()
}

/** Whatever the port, the same client has the same server; several clients have several. */
async function bySource(bench: Bench): Promise<void> {
  const servers = await serverOfEach(bench.lab.pod(...CLIENT), targetOf(bench), 6)
  expect(new Set(servers).size).toBe(1)
  expect(SERVERS).toContain(servers[0])
}

/** Whoever asks, the same virtual address has the same server. */
async function byDestination(bench: Bench): Promise<void> {
  const servers: string[] = []
  for (const client of [bench.lab.pod(2, 0), bench.lab.pod(2, 1), bench.lab.node(2)]) {
    servers.push(...(await serverOfEach(client, targetOf(bench), 3)))
  }
  expect(new Set(servers).size).toBe(1)
  expect(SERVERS).toContain(servers[0])
}

/** The same client and port have the same server; ports have several. */
async function bySourceAndPort(bench: Bench): Promise<void> {
  const client = bench.lab.pod(...CLIENT)
  const ports = Array.from({ length: 12 }, (_, index) => 40_001 + index * 7)
  const first: string[] = []
  for (const sourcePort of ports) {
    first.push(serverOf(await ask(client, targetOf(bench), { sourcePort, resets: true })))
  }
  expect(new Set(first).size).toBeGreaterThan(1)
  for (const [index, sourcePort] of ports.entries()) {
    expect(serverOf(await ask(client, targetOf(bench), { sourcePort, resets: true }))).toBe(first[index])
  }
}

/** The one that the address had before, until it has more connections than its weight and another has none. */
async function locality(bench: Bench): Promise<void> {
  const client = bench.lab.pod(...CLIENT)
  const servers = await serverOfEach(client, targetOf(bench), 6)
  expect(new Set(servers).size).toBe(1)
  const held = await openStreams(client, targetOf(bench), 6)
  expect(new Set(held.servers).size).toBeGreaterThan(1)
  await held.close()
}

/** Of those with the greatest weight one, always. */
async function failover(bench: Bench): Promise<void> {
  const held = await openStreams(bench.lab.pod(...CLIENT), targetOf(bench), 5)
  expect(new Set(held.servers).size).toBe(1)
  await held.close()
}

/** One, until it has more connections than its weight, 1; then the next; then nobody is there. */
async function overflow(bench: Bench): Promise<void> {
  const client = bench.lab.pod(...CLIENT)
  const held = await openStreams(client, targetOf(bench), 6)
  expect(counts(held.servers)).toEqual([2, 2, 2])
  const [one, two, three, four, five, six] = held.servers
  expect([one, three, five]).toEqual([two, four, six])
  expect((await ask(client, targetOf(bench), { timeoutMs: 3_000 })).kind).toBe('refused')
  await held.close()
}

const DEFINITIONS: readonly (readonly [scheduler: string, name: string, hold: (bench: Bench) => Promise<void>])[] = [
  ['rr', 'each in turn', inTurn],
  ['wrr', 'each in turn, at equal weights', inTurn],
  ['lc', 'the one with the fewest connections', leastConnections],
  ['wlc', 'the one with the fewest connections, at equal weights', leastConnections],
  ['sed', 'the one with the shortest expected delay', leastConnections],
  ['nq', 'an idle one, or the one with the shortest expected delay', leastConnections],
  ['sh', 'by source address', bySource],
  ['dh', 'by destination address', byDestination],
  ['mh', 'by source address and port', bySourceAndPort],
  ['lblc', 'by destination address, until overloaded', locality],
  ['lblcr', 'by destination address with replicas, until overloaded', locality],
  ['fo', 'the first of the greatest weight', failover],
  ['ovf', 'the first that is not full', overflow],
]

export const SCHEDULER_ROWS: readonly HeldRow[] = DEFINITIONS.map(([scheduler, name, distributes]) => ({
  source: 'Schedulers',
  name: `${scheduler}: ${name}`,
  hold: async (bench) => {
    await program(bench, scheduler)
    await distributes(bench)
  },
}))
