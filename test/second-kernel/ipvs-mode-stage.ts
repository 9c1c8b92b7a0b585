// The traffic laboratory with one `sluice run` in node 2 that changes between modes, and clients of that node.
import { FAMILIES } from '../../src/model/address.ts'
import type { DaemonProcess } from '../support/daemon-process.ts'
import type { Counts, Namespace, Run, Stream } from '../traffic/agent.ts'
import { type EndpointSpec, nodeName, nodeObject, service, slice } from '../traffic/cluster.ts'
import { ADDRESSES, createLaboratory } from '../traffic/laboratory.ts'
import { serverOf, startServers, type Target } from '../traffic/row.ts'
import { openStage, type Stage, synced } from './ipvs-stage.ts'

export interface ModeStage extends Stage, AsyncDisposable {
  /** The Services of both families have these endpoints. */
  readonly endpoints: (...endpoints: readonly EndpointSpec[]) => void
  /** Starts sluice in place of the one that ran, and waits until both families are synced. */
  readonly change: (mode: 'iptables' | 'ipvs', ...args: readonly string[]) => Promise<DaemonProcess>
  /** The running one. */
  readonly daemon: () => DaemonProcess
  /** Clients of every kind that connect again and again. */
  readonly startClients: () => Promise<readonly Client[]>
  /** UDP clients, in each family one, that keep their sockets. */
  readonly startTalkers: () => Promise<readonly Client[]>
  /** A connection of a pod in each family to one server. */
  readonly openStreams: (server: string) => Promise<readonly Stream[]>
}

export interface Client {
  readonly what: string
  readonly run: Run
}

export const NODE = 2
export const POD_00: EndpointSpec = { node: 0, pod: 0 }
export const POD_10: EndpointSpec = { node: 1, pod: 0 }
/** Virtual servers of these addresses are others'. */
export const EXCLUDED = '172.30.99.1'
const NODE_PORT = 30_080
const PORTS = [
  { port: 80, nodePort: NODE_PORT },
  { port: 80, protocol: 'UDP', nodePort: NODE_PORT },
] as const
const EVERY_MS = 100

function configOf(mode: string): string {
  return JSON.stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode,
    hostnameOverride: nodeName(NODE),
    clusterCIDR: FAMILIES.map((family) => ADDRESSES[family].podCIDR).join(','),
    conntrack: { maxPerCore: 0 },
    ipvs: { excludeCIDRs: [`${EXCLUDED}/32`], tcpFinTimeout: '5s' },
    logging: { verbosity: 2 },
  })
}

export async function openModeStage(program: string): Promise<ModeStage> {
  const lab = await createLaboratory({ variant: 'legacy', forgetsFlows: false })
  await startServers(lab)
  const stage = openStage(program, lab.node(NODE).pid)
  let running: DaemonProcess | undefined
  const clients: readonly (readonly [what: string, from: Namespace, target: (typeof targets)[number]])[] = [
    ['a pod', lab.pod(NODE, 1), clusterIp],
    ['the node', lab.node(NODE), clusterIp],
    ['outside', lab.outside, nodePort],
  ]
  return {
    ...stage,
    endpoints: (...endpoints) => {
      const objects = FAMILIES.flatMap((family) => [
        service(family, `a-${family}`, { ports: PORTS, spec: { type: 'NodePort' } }),
        slice(family, `a-${family}`, endpoints, { ports: [{ port: 8080 }, { port: 8080, protocol: 'UDP' }] }),
      ])
      const all = [nodeObject(0), nodeObject(1), nodeObject(NODE), ...objects]
      stage.manifests(all.map((object) => `---\n${JSON.stringify(object)}\n`).join(''))
    },
    change: async (mode, ...args) => {
      await running?.end()
      running = stage.agent(configOf(mode), ...args)
      await synced(running)
      return running
    },
    daemon: () => {
      if (running === undefined) throw new Error('no daemon was started')
      return running
    },
    startClients: () =>
      Promise.all(
        FAMILIES.flatMap((family) =>
          clients.map(async ([what, from, target]) => {
            const [to, port] = target(family)
            const question = { to, port, keep: false, everyMs: EVERY_MS, resets: true } as const
            return { what: `${what} over ${family}`, run: await from.askOften(question) }
          }),
        ),
      ),
    startTalkers: () =>
      Promise.all(
        FAMILIES.map(async (family) => {
          const [to, port] = clusterIp(family)
          const question = { to, port, protocol: 'udp', keep: true, everyMs: EVERY_MS, timeoutMs: 1_000 } as const
          return { what: `UDP over ${family}`, run: await lab.pod(NODE, 1).askOften(question) }
        }),
      ),
    openStreams: (server) => Promise.all(FAMILIES.map((family) => openTo(lab.pod(NODE, 1), clusterIp(family), server))),
    [Symbol.asyncDispose]: async () => {
      await stage.close()
      await lab[Symbol.asyncDispose]()
    },
  }
}

const clusterIp = (family: (typeof FAMILIES)[number]): Target => [ADDRESSES[family].clusterIP(1), 80]
const nodePort = (family: (typeof FAMILIES)[number]): Target => [ADDRESSES[family].node(NODE), NODE_PORT]
const targets = [clusterIp, nodePort] as const

async function openTo(client: Namespace, [to, port]: Target, server: string): Promise<Stream> {
  for (let opened = 0; opened < 40; opened += 1) {
    const stream = await client.open({ to, port, resets: true })
    if (serverOf(await stream.ask()) === server) return stream
    await stream.close()
  }
  throw new Error(`no stream to ${server}`)
}

/** Every connection was answered, by these servers and by each of them. */
export async function expectAllAnswered(clients: readonly Client[], servers: readonly string[]): Promise<void> {
  const counts = await Promise.all(clients.map(async ({ what, run }) => [what, await run.end()] as const))
  const wrong = counts.filter(([, seen]: readonly [string, Counts]) => {
    return Object.keys(seen).toSorted().join() !== servers.toSorted().join()
  })
  if (wrong.length > 0) throw new Error(`not all were answered by ${servers.join()}: ${JSON.stringify(wrong)}`)
}

export async function expectGoesOn(streams: readonly Stream[], server: string): Promise<void> {
  for (const stream of streams) {
    const outcome = await stream.ask()
    if (serverOf(outcome) !== server) throw new Error(`a stream to ${server}: ${JSON.stringify(outcome)}`)
  }
}
