// kube-proxy's rules are there, with connections through them, when the agent starts; and the other way round.
// kube-proxy's part is played by recordings of it: the payload of a fixture, and its commands for jumps and canaries.
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Family } from '../../src/index.ts'
import type { Manifest } from './cluster.ts'
import { askOften, expectAnswered, firstSeen, type LiveBench, type LiveRow } from './live-bench.ts'
import { createNodeAgent, isSync, type NodeAgent } from './node-agent.ts'

const FIXTURES = path.join(import.meta.dirname, '../data/kube-proxy-fixtures')
const NODE_PORT = 3001

/** The addresses of the recorded cluster. */
const RECORDED = {
  ipv4: {
    fixture: 'nodeport-cluster.json',
    local: '10.180.0.1',
    remote: '10.180.0.2',
    clusterIP: '172.30.0.41',
    restore: 'iptables-restore',
    clusterCIDR: '10.0.0.0/8',
  },
  ipv6: {
    fixture: 'nodeport-v6.json',
    local: 'fd00:10::1',
    remote: 'fd00:10::a',
    clusterIP: 'fd00:172:30::41',
    restore: 'iptables-restore',
    clusterCIDR: 'fd00:10::/64',
  },
} as const

interface Fixture {
  readonly steps: readonly [
    {
      readonly upsertServices: readonly Manifest[]
      readonly upsertEndpointSlices: readonly Manifest[]
      readonly expected: Readonly<Record<string, string>>
    },
  ]
}

function readFixture(family: Family): { objects: readonly Manifest[]; payload: string } {
  const fixture = JSON.parse(readFileSync(path.join(FIXTURES, RECORDED[family].fixture), 'utf8')) as Fixture
  const [{ upsertServices, upsertEndpointSlices, expected }] = fixture.steps
  const payload = expected[RECORDED[family].restore] ?? expect.fail('the fixture has no payload')
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'test-node' } }
  return { objects: [node, ...upsertServices, ...upsertEndpointSlices], payload }
}

const NEW = ['-m', 'conntrack', '--ctstate', 'NEW']
const JUMPS: readonly (readonly [
  table: string,
  from: readonly string[],
  match: readonly string[],
  comment: string,
  to: string,
])[] = [
  ['filter', ['INPUT', 'FORWARD'], NEW, 'kubernetes externally-visible service portals', 'KUBE-EXTERNAL-SERVICES'],
  ['filter', ['INPUT'], [], 'kubernetes health check service ports', 'KUBE-NODEPORTS'],
  ['filter', ['FORWARD', 'OUTPUT'], NEW, 'kubernetes service portals', 'KUBE-SERVICES'],
  ['filter', ['FORWARD'], [], 'kubernetes forwarding rules', 'KUBE-FORWARD'],
  ['filter', ['INPUT', 'OUTPUT', 'FORWARD'], NEW, 'kubernetes load balancer firewall', 'KUBE-PROXY-FIREWALL'],
  ['nat', ['OUTPUT', 'PREROUTING'], [], 'kubernetes service portals', 'KUBE-SERVICES'],
  ['nat', ['POSTROUTING'], [], 'kubernetes postrouting rules', 'KUBE-POSTROUTING'],
  ['filter', ['INPUT', 'OUTPUT'], [], '', 'KUBE-FIREWALL'],
]

/** kube-proxy's full sync: chains and jumps by single commands that change nothing that is there, then its payload. */
async function runKubeProxy(bench: LiveBench, agent: NodeAgent, payload: string): Promise<void> {
  const { family, lab } = bench
  const iptables = (table: string, ...args: readonly string[]) =>
    agent.iptables(family, 'run', ['-w', '60', '-t', table, ...args])
  const ensureChain = (table: string, chain: string) => iptables(table, '-N', chain).catch(() => {})
  for (const counter of ['ct_state_invalid_dropped_pkts', 'localhost_nps_accepted_pkts']) {
    await lab
      .node(0)
      .exec(['nfacct', 'add', counter])
      .catch(() => {})
  }
  for (const table of ['mangle', 'nat', 'filter']) await ensureChain(table, 'KUBE-PROXY-CANARY')
  for (const [table, chains, match, comment, to] of JUMPS) {
    await ensureChain(table, to)
    const rule = [...match, ...(comment === '' ? [] : ['-m', 'comment', '--comment', comment]), '-j', to]
    for (const from of chains) {
      await iptables(table, '-C', from, ...rule).catch(() => iptables(table, '-I', from, ...rule))
    }
  }
  await agent.iptables(family, 'restore', ['-w', '60', '--noflush', '--counters'], payload)
}

/** Gives the pods the addresses that they have in the recording. */
async function readdress({ lab, family, ips }: LiveBench): Promise<void> {
  const { local, remote } = RECORDED[family]
  const length = family === 'ipv4' ? 32 : 128
  await lab.pod(0, 0).exec(['ip', 'address', 'replace', `${local}/${length}`, 'dev', 'eth0', 'nodad'])
  await lab.pod(1, 0).exec(['ip', 'address', 'replace', `${remote}/${length}`, 'dev', 'eth0', 'nodad'])
  await lab.node(0).exec(['ip', 'route', 'replace', local, 'dev', 'cni0'])
  await lab.node(1).exec(['ip', 'route', 'replace', remote, 'dev', 'cni0'])
  await lab.node(0).exec(['ip', 'route', 'replace', remote, 'via', ips.node(1)])
  for (const node of [1, 2]) await lab.node(node).exec(['ip', 'route', 'replace', local, 'via', ips.node(0)])
}

/** What counts: without counters, and without an option that kube-proxy gives where the kernel has it, as here. */
async function meaningOf(agent: NodeAgent, family: Family): Promise<readonly string[]> {
  const saved = await agent.iptables(family, 'save', [])
  return saved
    .replaceAll(/^#.*\n| \[\d+:\d+\]| --random-fully/gm, '')
    .split('\n')
    .map((line) => line.replaceAll(/ +/g, ' ').trim())
}

async function emptyNode({ agent, family }: LiveBench): Promise<void> {
  for (const table of ['filter', 'nat', 'mangle']) {
    for (const action of ['-F', '-X']) await agent(0).iptables(family, 'run', ['-w', '60', '-t', table, action])
  }
}

async function takeOver(bench: LiveBench): Promise<void> {
  const { lab, ips, family, agents, variant, folder, program } = bench
  const { clusterIP, clusterCIDR } = RECORDED[family]
  const { objects, payload } = readFixture(family)
  const manifests = path.join(folder, `recorded-${family}`)
  await mkdir(manifests, { recursive: true })
  await writeFile(
    path.join(manifests, 'cluster.yaml'),
    objects.map((value) => `---\n${JSON.stringify(value)}\n`).join(''),
  )
  await Promise.all(agents.map((agent) => agent.stop()))
  await emptyNode(bench)
  await readdress(bench)
  const options = { node: lab.node(0), name: 'test-node', variant, folder, manifests, clusterCIDR, program }
  const agent = createNodeAgent(options)
  await runKubeProxy(bench, agent, payload)

  const servers = ['pod-0-0', 'pod-1-0']
  const targets = [
    { what: 'a pod', from: lab.pod(0, 1), target: [clusterIP, 80] },
    { what: 'the node', from: lab.node(0), target: [clusterIP, 80] },
    { what: 'outside', from: lab.outside, target: [ips.node(0), NODE_PORT] },
  ] as const
  const fresh = await Promise.all(targets.map(({ from, target }) => askOften(from, target)))
  const kept = await Promise.all(targets.map(({ from, target }) => askOften(from, target, { keep: true })))
  const streamServers = await Promise.all(kept.map(firstSeen))
  for (const names of streamServers) expect(servers).toContain(names.join())
  const before = await meaningOf(agent, family)
  try {
    await agent.start()
    await sleep(500)
    expect(await meaningOf(agent, family)).toEqual(before)
    const synced = agent
      .log()
      .filter(isSync)
      .filter((line) => String(line['family']).toLowerCase() === family)
    for (const { lines = 0 } of synced) expect(lines, 'at most the one rule with --random-fully').toBeLessThan(12)
    await agent.stop()
    await runKubeProxy(bench, agent, payload)
    await sleep(500)
    expect(await meaningOf(agent, family)).toEqual(before)
    for (const [index, { what }] of targets.entries()) {
      expectAnswered((await fresh[index]?.end()) ?? {}, servers, `new connections of ${what}`)
      expectAnswered((await kept[index]?.end()) ?? {}, streamServers[index] ?? [], `the stream of ${what}`)
    }
  } finally {
    await agent.stop()
    await emptyNode(bench)
  }
}

export const TAKEOVER_ROWS: readonly LiveRow[] = [
  {
    source: 'Takeover',
    name: "from kube-proxy's recorded rules, and back: no stream is cut, no connection fails",
    hold: takeOver,
  },
]
