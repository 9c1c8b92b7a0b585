// The API server goes away and comes back, while a node's agent watches it and clients ask: rules stay while it is away,
// and what was changed meanwhile arrives, whether the server still knows what it said before or has to be read anew.
import type { Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { FAMILIES, type Family } from '../../src/model/address.ts'
import { type ApiServer, type SeenRequest, startApiServer } from '../support/api-server.ts'
import { type Agent, startAgent } from '../support/daemon-place.ts'
import { oneContext, temporaryFolder } from '../support/kubeconfig-file.ts'
import { type Manifest, nodeName, nodeObject } from './cluster.ts'
import { eventually } from './eventually.ts'
import { ADDRESSES } from './laboratory.ts'
import { askOften, askWithoutLoss, expectAnswered, firstSeen, type LiveBench, type LiveRow } from './live-bench.ts'
import { createNodeAgent, type NodeAgent } from './node-agent.ts'
import { ask, expectServers, expectUnserved } from './row.ts'

const NODE = 0
const POD_00 = { node: 0, pod: 0 }
const POD_10 = { node: 1, pod: 0 }
const AWAY_MS = 2_000
/** A watch that was refused is tried again after a pause that grows. */
const ARRIVED_MS = 60_000
const PLURALS: Readonly<Record<string, string>> = {
  Service: 'services',
  EndpointSlice: 'endpointslices',
  Node: 'nodes',
}

function put({ store }: ApiServer, ...objects: readonly Manifest[]): void {
  for (const object of objects) store.put(PLURALS[String(object['kind'])] ?? '', object)
}

/** On a port of the node itself, where only the node reaches it. */
async function listenAt(inside: Agent, port: number): Promise<Server> {
  return (await inside.call({ kind: 'listen', port })).server as Server
}

/** Paged, or streamed at the beginning of a watch. */
function isList({ query }: SeenRequest): boolean {
  return query.get('watch') !== 'true' || query.get('sendInitialEvents') === 'true'
}

async function rulesOf(agent: NodeAgent, family: Family): Promise<string> {
  const saved = await agent.iptables(family, 'save', [])
  return saved.replaceAll(/^#.*\n| \[\d+:\d+\]/gm, '')
}

function bothProtocols({ service, slice }: LiveBench): readonly Manifest[] {
  const ports = [{ port: 80 }, { port: 80, protocol: 'UDP' }] as const
  const targets = [{ port: 8080 }, { port: 8080, protocol: 'UDP' }] as const
  return [service('a', { ports }), slice('a', [POD_00, POD_10], { ports: targets })]
}

async function restartsApiServer(bench: LiveBench): Promise<void> {
  const { lab, ips, service, slice, variant, program } = bench
  await bench.agent(NODE).stop()
  using folder = temporaryFolder()
  const inside = await startAgent(['nsenter', '--net', '--target', String(lab.node(NODE).pid)])
  const server = await startApiServer({ socket: await listenAt(inside, 0) })
  const { port } = server
  put(server, nodeObject(NODE), ...bothProtocols(bench), service('c', { number: 3 }), slice('c', [POD_10]))
  const agent = createNodeAgent({
    node: lab.node(NODE),
    name: nodeName(NODE),
    variant,
    folder: folder.path,
    manifests: { kubeconfig: folder.write('kubeconfig', oneContext({ server: server.url })) },
    clusterCIDR: FAMILIES.map((family) => ADDRESSES[family].podCIDR).join(','),
    program,
  })
  const client = lab.pod(NODE, 1)
  try {
    await agent.start()
    await expectServers(client, [ips.clusterIP(1), 80], ['pod-0-0', 'pod-1-0'])
    await expectServers(client, [ips.clusterIP(3), 80], ['pod-1-0'])
    const fresh = await askOften(client, [ips.clusterIP(1), 80])
    const stream = await askOften(client, [ips.clusterIP(1), 80], { keep: true })
    const flow = await askWithoutLoss(client, [ips.clusterIP(1), 80])
    const kept = await Promise.all([stream, flow].map(firstSeen))

    const before = await rulesOf(agent, bench.family)
    await server.close()
    await sleep(AWAY_MS)
    expect(await rulesOf(agent, bench.family), 'rules stay while the API server is away').toBe(before)
    put(server, service('b', { number: 2 }), slice('b', [POD_00]))
    server.store.delete('services', 'lab/c')
    await server.listen(await listenAt(inside, port))
    await expectSoon(bench, 2, 'pod-0-0')
    await expectUnserved(client, [ips.clusterIP(3), 80])

    await server.close()
    put(server, slice('b', [POD_10]), service('d', { number: 4 }), slice('d', [POD_00]))
    server.store.compact()
    const asked = server.requests.length
    await server.listen(await listenAt(inside, port))
    await expectSoon(bench, 4, 'pod-0-0')
    await expectSoon(bench, 2, 'pod-1-0')
    const lists = server.requests.slice(asked).filter(isList)
    expect(lists.map(({ path }) => path)).toContain('/api/v1/services')

    expectAnswered(await fresh.end(), ['pod-0-0', 'pod-1-0'], 'new connections')
    expectAnswered(await stream.end(), kept[0] ?? [], 'a TCP stream')
    expectAnswered(await flow.end(), kept[1] ?? [], 'a UDP flow')
  } finally {
    await agent.stop()
    await server.close()
    await inside.close()
  }
}

async function expectSoon({ lab, ips }: LiveBench, number: number, server: string): Promise<void> {
  await eventually(
    async () =>
      expect(await ask(lab.pod(NODE, 1), [ips.clusterIP(number), 80], { timeoutMs: 500 })).toMatchObject({ server }),
    { withinMs: ARRIVED_MS },
  )
}

export const API_SERVER_ROWS: readonly LiveRow[] = [
  { source: 1240, name: 'should work after restarting apiserver', hold: restartsApiServer },
]
