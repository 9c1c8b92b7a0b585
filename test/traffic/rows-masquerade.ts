// The truth table of masquerading (InternalExternalMasquerade of kube-proxy's unit tests), seen from the server: whose
// address it sees, and which endpoints are chosen. Everything goes through node 0, which has one of the two endpoints.
import { expect } from 'vitest'
import type { Namespace, Question } from './agent.ts'
import type { LabMode } from './laboratory.ts'
import { ask, type Bench, expectUnserved, type Row } from './row.ts'

const NODE_PORT = 30080
const LOCAL = 'pod-0-0'
const REMOTE = 'pod-1-0'
const ENOUGH = 40

const CLIENTS = ['pod', 'node', 'localhost', 'external'] as const
const FRONTENDS = ['ClusterIP', 'NodePort', 'LoadBalancer'] as const
const POLICIES = ['default', 'eTP:Local', 'iTP:Local'] as const
type Client = (typeof CLIENTS)[number]
type Frontend = (typeof FRONTENDS)[number]
type Policy = (typeof POLICIES)[number]

interface Expected {
  readonly servers: readonly string[]
  readonly isMasqueraded: boolean
}

function expectation(client: Client, frontend: Frontend, policy: Policy, mode: LabMode): Expected {
  if (frontend === 'ClusterIP') {
    return { servers: policy === 'iTP:Local' ? [LOCAL] : [LOCAL, REMOTE], isMasqueraded: client !== 'pod' }
  }
  if (policy !== 'eTP:Local') return { servers: [LOCAL, REMOTE], isMasqueraded: true }
  // IPVS has one list of endpoints for everybody, and one rule for them.
  if (client === 'external' || mode === 'ipvs') return { servers: [LOCAL], isMasqueraded: false }
  // What comes from inside is not restricted to local endpoints.
  return { servers: [LOCAL, REMOTE], isMasqueraded: client !== 'pod' }
}

function hold(client: Client, frontend: Frontend, policy: Policy): (bench: Bench) => Promise<void> {
  return async (bench) => {
    await program(bench, policy)
    const { servers, isMasqueraded } = expectation(client, frontend, policy, bench.lab.mode)
    const [from, source] = clientOf(bench, client)
    const [to, port] = targetOf(bench, client, frontend)
    if (bench.lab.mode === 'ipvs' && client === 'localhost') {
      await expectUnserved(from, [to, port])
      return
    }
    const seen = new Map<string, Set<string>>()
    for (let asked = 0; asked < ENOUGH && (asked < 10 || seen.size < servers.length); asked++) {
      const outcome = await ask(from, [to, port], source)
      expect(outcome).toMatchObject({ kind: 'answer' })
      if (outcome.kind !== 'answer') continue
      seen.set(outcome.server, (seen.get(outcome.server) ?? new Set()).add(outcome.client))
    }
    expect([...seen.keys()].toSorted()).toEqual(servers)
    for (const [server, clients] of seen) {
      // The address that a node's packets get when they leave for another node is the one that they have.
      if (server === REMOTE && (client === 'node' || client === 'localhost')) continue
      const isKept = [...clients].every((ip) => ip === source.source)
      expect(isKept, `${server} sees ${[...clients].join(' ')}`).toBe(!isMasqueraded)
    }
  }
}

async function program({ lab, ips, cluster, service, slice }: Bench, policy: Policy): Promise<void> {
  const spec = {
    type: 'LoadBalancer',
    ...(policy === 'eTP:Local' && { externalTrafficPolicy: 'Local' }),
    ...(policy === 'iTP:Local' && { internalTrafficPolicy: 'Local' }),
  }
  const ports = [{ port: 80, nodePort: NODE_PORT }]
  await lab.routeTo(ips.clusterIP(1), 0)
  await lab.routeTo(ips.external(1), 0)
  const endpoints = slice('a', [
    { node: 0, pod: 0 },
    { node: 1, pod: 0 },
  ])
  await cluster(service('a', { ports, spec, loadBalancerIPs: [ips.external(1)] }), endpoints)
}

function clientOf({ lab, ips }: Bench, client: Client): readonly [Namespace, Pick<Question, 'source'>] {
  switch (client) {
    case 'pod':
      return [lab.pod(0, 1), { source: ips.pod(0, 1) }]
    case 'node':
      return [lab.node(0), { source: ips.node(0) }]
    case 'localhost':
      return [lab.node(0), { source: ips.loopback }]
    case 'external':
      return [lab.outside, { source: ips.outside }]
    default:
      return client satisfies never
  }
}

function targetOf({ ips }: Bench, client: Client, frontend: Frontend): readonly [ip: string, port: number] {
  if (frontend === 'ClusterIP') return [ips.clusterIP(1), 80]
  if (frontend === 'LoadBalancer') return [ips.external(1), 80]
  return [client === 'localhost' ? ips.loopback : ips.node(0), NODE_PORT]
}

export const MASQUERADE_ROWS: readonly Row[] = CLIENTS.flatMap((client) =>
  FRONTENDS.filter((frontend) => client !== 'localhost' || frontend === 'NodePort').flatMap((frontend) =>
    POLICIES.map((policy): Row => {
      const name = `${client} to ${frontend}, ${policy}`
      const row = { source: 'Masquerade', name, hold: hold(client, frontend, policy) }
      if (client !== 'localhost') return row
      return { ...row, family: 'ipv4', without: 'IPv6: the kernel does not let ::1 leave the node' }
    }),
  ),
)
