// Rows about session affinity.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Namespace } from './agent.ts'
import { timesOutInIpvs } from './ipvs-affinity.ts'
import { ask, type Bench, expectServers, type Row, serverOf, type Target } from './row.ts'

const NODE_PORT = 30080
const ENDPOINTS = [0, 1, 2].map((node) => ({ node, pod: 0 }))
const SERVERS = ['pod-0-0', 'pod-1-0', 'pod-2-0']
/** As in Kubernetes' tests. */
const CONFIRMATIONS = 15

type Way = 'cluster IP' | 'node port' | 'load balancer'

async function program(bench: Bench, affinity: 'None' | 'ClientIP', timeoutSeconds = 10_800): Promise<void> {
  const config = affinity === 'None' ? {} : { sessionAffinityConfig: { clientIP: { timeoutSeconds } } }
  const a = bench.service('a', {
    ports: [
      { port: 80, nodePort: NODE_PORT },
      { port: 80, protocol: 'UDP', nodePort: NODE_PORT },
    ],
    spec: { type: 'LoadBalancer', sessionAffinity: affinity, ...config },
    loadBalancerIPs: [bench.ips.external(3)],
  })
  await bench.cluster(a, bench.slice('a', ENDPOINTS, { ports: [{ port: 8080 }, { port: 8080, protocol: 'UDP' }] }))
}

function clientAndTarget({ lab, ips }: Bench, way: Way): readonly [Namespace, Target] {
  if (way === 'cluster IP') return [lab.pod(0, 1), [ips.clusterIP(1), 80]]
  return [lab.outside, way === 'node port' ? [ips.node(1), NODE_PORT] : [ips.external(3), 80]]
}

/** The servers of many questions, and the longest time from the beginning of one to the end of the next. */
async function askMany(client: Namespace, target: Target): Promise<{ servers: readonly string[]; longestMs: number }> {
  const servers = new Set<string>()
  let longestMs = 0
  let previous = performance.now()
  for (let count = 0; count < CONFIRMATIONS; count++) {
    const asked = performance.now()
    servers.add(serverOf(await ask(client, target)))
    longestMs = Math.max(longestMs, performance.now() - previous)
    previous = asked
  }
  return { servers: [...servers], longestMs }
}

/** So often may the machine be too slow for an affinity that ends soon. */
const MOST_SLOW = 20

/**
 * Returns the one server. Where questions come `timeoutMs` apart or more, the affinity may rightly end between them: only
 * then everything is asked again. That there was an answer to each counts all the same.
 */
async function expectAffinity(
  client: Namespace,
  target: Target,
  timeoutMs = Number.POSITIVE_INFINITY,
): Promise<string> {
  for (let slow = 0; slow < MOST_SLOW; slow++) {
    const { servers, longestMs } = await askMany(client, target)
    for (const server of servers) expect(SERVERS).toContain(server)
    if (longestMs >= timeoutMs) continue
    expect(servers).toHaveLength(1)
    return servers.join()
  }
  return expect.fail('this machine is too slow to ask within the time of the affinity')
}

function holds(way: Way): (bench: Bench) => Promise<void> {
  return async (bench) => {
    await program(bench, 'ClientIP')
    if (way === 'load balancer') await bench.lab.routeTo(bench.ips.external(3), 1)
    const [client, [ip, port]] = clientAndTarget(bench, way)
    await expectAffinity(client, [ip, port])
    await expectAffinity(client, [ip, port, 'udp'])
  }
}

/** By chance the same server may be chosen again, but hardly ten times. */
const MOST_CHOICES = 10

function timesOut(way: Way): (bench: Bench) => Promise<void> {
  return async (bench) => {
    if (bench.lab.mode === 'ipvs') {
      await timesOutInIpvs(bench, way)
      return
    }
    await program(bench, 'ClientIP', 1)
    const [client, target] = clientAndTarget(bench, way)
    const first = await expectAffinity(client, target, 1_000)
    for (let count = 0; count < MOST_CHOICES; count++) {
      await sleep(1_300)
      if ((await expectAffinity(client, target, 1_000)) !== first) return
    }
    expect.fail(`still ${first} after ${MOST_CHOICES} pauses`)
  }
}

function switches(way: Way): (bench: Bench) => Promise<void> {
  return async (bench) => {
    const [client, target] = clientAndTarget(bench, way)
    if (way === 'load balancer') await bench.lab.routeTo(bench.ips.external(3), 1)
    await program(bench, 'None')
    await expectServers(client, target, SERVERS)
    await program(bench, 'ClientIP')
    await expectAffinity(client, target)
    await program(bench, 'None')
    await expectServers(client, target, SERVERS)
  }
}

export const AFFINITY_ROWS: readonly Row[] = [
  {
    source: 2229,
    name: 'should have session affinity work for service with type clusterIP',
    hold: holds('cluster IP'),
  },
  {
    source: 2235,
    name: 'should have session affinity timeout work for service with type clusterIP',
    hold: timesOut('cluster IP'),
  },
  {
    source: 2251,
    name: 'should be able to switch session affinity for service with type clusterIP',
    hold: switches('cluster IP'),
  },
  { source: 2266, name: 'should have session affinity work for NodePort service', hold: holds('node port') },
  { source: 2272, name: 'should have session affinity timeout work for NodePort service', hold: timesOut('node port') },
  { source: 2288, name: 'should be able to switch session affinity for NodePort service', hold: switches('node port') },
]

export const LOAD_BALANCER_AFFINITY_ROWS: readonly Row[] = [
  { source: 'LoadBalancers', name: 'affinity', hold: holds('load balancer') },
  { source: 'LoadBalancers', name: 'affinity switched on and off', hold: switches('load balancer') },
]
