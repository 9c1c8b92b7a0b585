// What a row needs that is held while `sluice run` keeps the nodes right: a folder of manifests that the agents of all
// nodes watch, and clients that ask all the time.
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { FAMILIES, type Family } from '../../src/model/address.ts'
import type { Counts, Namespace, Run } from './agent.ts'
import { type Manifest, nodeName, nodeObject, service } from './cluster.ts'
import { eventually } from './eventually.ts'
import { ADDRESSES, type Laboratory } from './laboratory.ts'
import { createNodeAgent, type NodeAgent, type Variant } from './node-agent.ts'
import { type Bench, createBench, type Row, type Target } from './row.ts'

export interface LiveRow extends Omit<Row, 'hold'> {
  readonly hold?: (bench: LiveBench) => Promise<void>
}

/** `cluster` resolves when every node's kernel has the rules. */
export interface LiveBench extends Omit<Bench, 'configuredCluster'> {
  /** The same, without waiting for it: agents that run, or are started later, find it. */
  readonly describe: Bench['cluster']
  readonly agents: readonly NodeAgent[]
  readonly agent: (node: number) => NodeAgent
  readonly variant: Variant
  /** sluice. */
  readonly program: string
  /** For what a row writes; nobody watches it. */
  readonly folder: string
}

export interface LiveCluster extends AsyncDisposable {
  bench(family: Family): LiveBench
  /** Starts those that a row left dead, with an empty cluster. */
  reset(): Promise<void>
}

const MARKER = 'marker'
const MARKER_NUMBER = 99
const FIRST_MARKER_PORT = 10_000

export async function startAgents(lab: Laboratory, variant: Variant, program: string): Promise<LiveCluster> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-traffic-'))
  const manifests = path.join(folder, 'manifests')
  await mkdir(manifests)
  const clusterCIDR = FAMILIES.map((family) => ADDRESSES[family].podCIDR).join(',')
  const agents = lab.nodes.map((node, index) =>
    createNodeAgent({
      node,
      name: nodeName(index),
      variant,
      folder,
      manifests,
      clusterCIDR,
      program,
      mode: lab.mode,
    }),
  )
  let port = FIRST_MARKER_PORT

  /** With a Service that no state before had, by which its rules are known. */
  const describe = async (...objects: readonly Manifest[]) => {
    port += 1
    const markers = FAMILIES.map((family) =>
      service(family, `${MARKER}-${family}`, { number: MARKER_NUMBER, ports: [{ port }] }),
    )
    const all = [...agents.map((_, index) => nodeObject(index)), ...markers, ...objects]
    const half = path.join(folder, 'half.yaml')
    await writeFile(half, all.map((object) => `---\n${JSON.stringify(object)}\n`).join(''))
    await rename(half, path.join(manifests, 'cluster.yaml'))
  }
  const cluster = async (...objects: readonly Manifest[]) => {
    await describe(...objects)
    const places = agents.flatMap((agent, node) => FAMILIES.map((family) => ({ agent, family, node })))
    await Promise.all(
      places.map(({ agent, family, node }) =>
        lab.mode === 'ipvs' ? expectMarkedServer(lab.node(node), family, port) : expectMarker(agent, family, port),
      ),
    )
  }
  const startMissing = async () => {
    await Promise.all(agents.filter((agent) => !agent.isRunning()).map((agent) => agent.start()))
  }
  const end = async () => {
    await Promise.all(agents.map((agent) => agent.stop()))
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await writeFile(path.join(manifests, 'cluster.yaml'), `${JSON.stringify(nodeObject(0))}\n`)
    await startMissing()
  } catch (error) {
    await end()
    throw error
  }
  return {
    bench: (family) => ({
      ...createBench(lab, family),
      cluster,
      describe,
      agents,
      agent: (node) => agents[node] ?? expect.fail(`there is no node ${node}`),
      variant,
      program,
      folder,
    }),
    reset: async () => {
      await startMissing()
      await cluster()
      await Promise.all(lab.nodes.map((node) => node.flushConntrack()))
    },
    [Symbol.asyncDispose]: end,
  }
}

/** An agent that starts anew on a busy machine takes several seconds, and in a second kernel there ten times as many. */
const PROGRAMMED_MS = 180_000

/** In IPVS mode a Service without endpoints has no rule, but a virtual server without real servers. */
async function expectMarkedServer(node: Namespace, family: Family, port: number): Promise<void> {
  const ip = ADDRESSES[family].clusterIP(MARKER_NUMBER)
  const name = `-A -t ${family === 'ipv4' ? ip : `[${ip}]`}:${port} `
  const look = async () => {
    const { stdout } = await node.exec(['ipvsadm', '-Sn'])
    if (!stdout.includes(name)) throw new Error(`the virtual servers are not those of the manifests: no ${name}`)
  }
  await eventually(look, { withinMs: PROGRAMMED_MS, everyMs: 200 })
}

async function expectMarker(agent: NodeAgent, family: Family, port: number): Promise<void> {
  const look = async () => {
    const saved = await agent.iptables(family, 'save', ['-t', 'filter'])
    const line = saved.split('\n').find((text) => text.includes(`lab/${MARKER}-${family}`))
    if (line?.includes(`--dport ${port} `) === true) return
    const last = agent.log().slice(-5)
    const said = last.map((entry) => JSON.stringify(entry)).join('\n')
    throw new Error(`the rules are not those of the manifests: ${line ?? 'none'}\n${said}`)
  }
  await eventually(look, { withinMs: PROGRAMMED_MS })
}

/** A client that asks all the time, 50 times per second or less. */
export function askOften(
  from: Namespace,
  [to, port, protocol = 'tcp']: Target,
  { keep = false, everyMs = 20, ...limit }: { keep?: boolean; everyMs?: number; timeoutMs?: number } = {},
): Promise<Run> {
  return from.askOften({ to, port, protocol, keep, everyMs, ...limit })
}

/** A UDP client with one socket, that notices quickly when nobody answers: what a slow server says later counts too. */
export function askFromOnePort(from: Namespace, [to, port]: Target): Promise<Run> {
  return askOften(from, [to, port, 'udp'], { keep: true, everyMs: 50, timeoutMs: 200 })
}

/** A UDP client with one socket, of which every datagram must be answered: what is lost is lost, however long it waits. */
export function askWithoutLoss(from: Namespace, [to, port]: Target): Promise<Run> {
  return askOften(from, [to, port, 'udp'], { keep: true, everyMs: 50 })
}

/** Waits for what the run sees first; there it is of one kind. */
export async function firstSeen(run: Run): Promise<readonly string[]> {
  const seen = await eventually(async () => {
    const names = Object.keys(await run.read())
    expect(names).not.toEqual([])
    return names
  })
  expect(seen).toHaveLength(1)
  return seen
}

const WINDOW_MS = 300

/** Soon everything that is asked has one of these outcomes, and each of them is seen. */
export async function expectOnly(run: Run, outcomes: readonly string[], withinMs = 120_000): Promise<void> {
  await run.read()
  await eventually(
    async () => {
      await sleep(WINDOW_MS)
      const seen = Object.keys(await run.read()).toSorted()
      expect(seen).toEqual([...outcomes].toSorted())
    },
    { withinMs, everyMs: 0 },
  )
}

/** Everything that was asked was answered, by these servers, and by each of them. */
export function expectAnswered(counts: Counts, servers: readonly string[], what: string): void {
  expect(Object.keys(counts).toSorted(), `${what}: ${JSON.stringify(counts)}`).toEqual([...servers].toSorted())
}
