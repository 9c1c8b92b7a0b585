// What a row of Kubernetes' end-to-end assertions needs: a way to describe the cluster, and questions to put to it.
import { expect } from 'vitest'
import type { Family, ProxyConfig } from '../../src/index.ts'
import type { Namespace, Outcome, Question, Transport } from './agent.ts'
import {
  type EndpointSpec,
  type Manifest,
  programNodes,
  type ServiceSpec,
  type SliceSpec,
  service,
  slice,
} from './cluster.ts'
import { ADDRESSES, type AddressPlan, type Laboratory } from './laboratory.ts'
import { compareWithSimulator } from './simulated.ts'

export interface Row {
  /** The line in Kubernetes' test/e2e/network/service.go, or the group of the row. */
  readonly source: number | string
  readonly name: string
  /** Throws when the row does not hold. Absent when it can't be held here. */
  readonly hold?: (bench: Bench) => Promise<void>
  /** The only family of the row. */
  readonly family?: Family
  /** What of the row is not held here, and why. */
  readonly without?: string
}

/** A port and address to ask. */
export type Target = readonly [ip: string, port: number, protocol?: Transport]

export interface Bench {
  readonly lab: Laboratory
  readonly family: Family
  readonly ips: AddressPlan
  readonly service: (name: string, given?: ServiceSpec) => Manifest
  readonly slice: (name: string, endpoints: readonly EndpointSpec[], given?: SliceSpec) => Manifest
  /** From now on the cluster is this. */
  readonly cluster: (...objects: readonly Manifest[]) => Promise<void>
  readonly configuredCluster: (config: Partial<ProxyConfig>, ...objects: readonly Manifest[]) => Promise<void>
}

/** Every pod serves TCP and UDP on these. */
export const POD_PORTS = [8080, 8081] as const
/** Every node serves TCP and UDP on this, for Services with endpoints in the nodes' own network. */
export const NODE_SERVER_PORT = 9090

export async function startServers(lab: Laboratory): Promise<void> {
  const serve = (namespace: Namespace, port: number) =>
    Promise.all([namespace.listen(port, 'tcp'), namespace.listen(port, 'udp')])
  await Promise.all([
    ...lab.pods.flatMap((pod) => POD_PORTS.map((port) => serve(pod, port))),
    ...lab.nodes.map((node) => serve(node, NODE_SERVER_PORT)),
  ])
}

export function createBench(lab: Laboratory, family: Family): Bench {
  return {
    lab,
    family,
    ips: ADDRESSES[family],
    service: (name, given) => service(family, name, given),
    slice: (name, endpoints, given) => slice(family, name, endpoints, given),
    cluster: (...objects) => programNodes(lab, [family], objects),
    configuredCluster: (config, ...objects) => programNodes(lab, [family], objects, config),
  }
}

/** The simulator is asked the same, and must know what came of it. */
export async function ask(from: Namespace, [to, port, protocol = 'tcp']: Target, more: Partial<Question> = {}) {
  const question: Question = { to, port, protocol, ...more }
  const outcome = await from.connect(question)
  expectForeseen(from, question, outcome)
  return outcome
}

/** Throws when the simulator says that this can't come of the question. */
export function expectForeseen(from: Namespace, question: Question, outcome: Outcome): void {
  const difference = compareWithSimulator(from, question, outcome)
  if (difference !== undefined) throw new Error(difference)
}

/** Enough that a server chosen with one chance in three is missed once in 200,000 times. */
const MOST_QUESTIONS = 40

/** Exactly these servers answer, and every question is answered. */
export async function expectServers(from: Namespace, target: Target, servers: readonly string[]): Promise<void> {
  const seen = new Set<string>()
  for (let asked = 0; asked < MOST_QUESTIONS && (asked < 5 || seen.size < servers.length); asked++) {
    const outcome = await ask(from, target)
    expect(outcome, `${from.name} asks ${target.join(' ')}`).toMatchObject({ kind: 'answer' })
    seen.add(serverOf(outcome))
  }
  expect([...seen].toSorted(), `${from.name} asks ${target.join(' ')}`).toEqual([...servers].toSorted())
}

export function serverOf(outcome: Outcome): string {
  return outcome.kind === 'answer' ? outcome.server : outcome.kind
}

/** The server that answers, and the address it sees the client at. */
export async function expectClient(
  from: Namespace,
  target: Target,
  { server, client, ...more }: { server: string; client: string; source?: string },
): Promise<void> {
  const outcome = await ask(from, target, more)
  expect(outcome, `${from.name} asks ${target.join(' ')}`).toMatchObject({ kind: 'answer', server, client })
}

const TIMES = [1, 2, 3, 4, 5]
const SILENCE_MS = 500

async function expectFiveTimes(
  from: Namespace,
  target: Target,
  allowed: readonly string[],
  timeoutMs = SILENCE_MS,
): Promise<void> {
  const outcomes = await Promise.all(TIMES.map(() => ask(from, target, { timeoutMs })))
  for (const { kind } of outcomes) expect(allowed, `${from.name} asks ${target.join(' ')}: ${kind}`).toContain(kind)
}

/**
 * Five of a TCP client's SYNs. A client on this machine over IPv6 hears only the refusal of its second SYN, a second after
 * the first: that of the first arrives while its socket is still busy sending (LockDroppedIcmps).
 */
const REFUSAL_MS = 20_000

/** Told that nobody is there, five times. */
export async function expectRefused(from: Namespace, target: Target): Promise<void> {
  await expectFiveTimes(from, target, ['refused'], REFUSAL_MS)
}

/** No answer at all, five times. */
export async function expectDropped(from: Namespace, target: Target): Promise<void> {
  await expectFiveTimes(from, target, ['timeout'])
}

/** What a Local policy leaves without endpoints: iptables mode drops it, IPVS says that nobody is there. */
export async function expectNoneHere({ lab }: Pick<Bench, 'lab'>, from: Namespace, target: Target): Promise<void> {
  await (lab.mode === 'ipvs' ? expectUnserved(from, target) : expectDropped(from, target))
}

/** No server answers, in whichever way: an address that is not served any more leads nowhere. */
export async function expectUnserved(from: Namespace, target: Target): Promise<void> {
  await expectFiveTimes(from, target, ['timeout', 'refused', 'error'])
}
