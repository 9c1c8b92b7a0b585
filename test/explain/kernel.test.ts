// Findings from the kernel: rules that are missing or differ, a full connection table, MTUs that do not fit.
import { describe, expect, test } from 'vitest'
import { type Cluster } from '../../src/explain/cluster.ts'
import type { KernelState, NetworkLink } from '../../src/explain/kernel-state.ts'
import { compile, link, parseSave, printSave } from '../../src/index.ts'
import { clusterOf, explainIn, readClusterFile, shortForm, viewpoint } from '../support/explained.ts'

const cluster = clusterOf(readClusterFile('sound/node-port'))

/** The node's IPv4 rules as text that a kernel would show. */
function rulesOf(of: Cluster, node: string): string {
  const { config, node: facts } = viewpoint(of, { node })
  if (facts === undefined) throw new Error('no node')
  return printSave(link(compile(of.snapshot, config, facts, 'ipv4')))
}

function kernelOf(text: string, more: Partial<KernelState> = {}): KernelState {
  const rules = new Map([['ipv4' as const, parseSave(text, 'ipv4').ruleset]])
  return { mode: 'iptables', label: 'dump.txt', rules, links: [], ...more }
}

function found(kernel: KernelState): readonly string[] {
  const { findings } = explainIn(cluster, 'default/web', { node: 'node1', kernel })
  return findings.filter(({ severity }) => severity !== 'notice').map(shortForm)
}

describe('rules', () => {
  const text = rulesOf(cluster, 'node1')

  test('that are as they should be are no finding', () => {
    expect(text).toContain('default/web:http cluster IP')
    expect(found(kernelOf(text))).toEqual([])
  })

  test('of a Service that the node does not know yet are missing', () => {
    const lines = text.split('\n').filter((line) => !/default\/web|KUBE-(?:SVC|SEP|EXT)-/.test(line))
    const { findings } = explainIn(cluster, 'default/web', { node: 'node1', kernel: kernelOf(lines.join('\n')) })
    expect(findings[0]).toMatchObject({ severity: 'error', check: 'rules-missing' })
    expect(findings[0]?.means).toBe('There are no IPv4 rules of this Service (dump.txt).')
    expect(found(kernelOf('*nat\n:KUBE-MARK-MASQ - [0:0]\nCOMMIT\n'))).toEqual(['error rules-missing'])
  })

  test('that lead to another endpoint differ, and the chain is named', () => {
    const { findings } = explainIn(cluster, 'default/web', {
      node: 'node1',
      kernel: kernelOf(text.replace('--to-destination 10.244.2.5:8080', '--to-destination 10.244.2.6:8080')),
    })
    expect(findings[0]?.means).toMatch(/: KUBE-SEP-\w{16} of nat differs\.$/)
  })

  test('that lack the line of the cluster IP differ, and the shared chain is named', () => {
    const lines = text
      .split('\n')
      .filter((line) => !line.includes('default/web:http cluster IP" -m tcp --dport 80 -j KUBE-SVC'))
    expect(lines).toHaveLength(text.split('\n').length - 1)
    const { findings } = explainIn(cluster, 'default/web', { node: 'node1', kernel: kernelOf(lines.join('\n')) })
    expect(findings[0]?.means).toMatch(/: KUBE-SERVICES of nat lacks its lines\.$/)
  })

  test('of others, and counters, make no difference', () => {
    const others = text
      .replace('COMMIT', '-A FORWARD -s 192.0.2.1/32 -j DROP\nCOMMIT')
      .replaceAll(/^-A/gm, '[3:180] -A')
    expect(found(kernelOf(others))).toEqual([])
  })

  test('of another node, which drops, are not those of a node that serves', () => {
    const local = clusterOf(readClusterFile('broken/internal-local-none-here'))
    const { findings } = explainIn(local, 'default/web', { node: 'node1', kernel: kernelOf(rulesOf(local, 'node2')) })
    expect(findings.map(shortForm)[0]).toBe('error rules-missing')
  })
})

describe('the connection table', () => {
  const text = rulesOf(cluster, 'node1')
  test.each([
    [1000, 262_144, []],
    [240_000, 262_144, ['warning conntrack-full']],
    [262_144, 262_144, ['error conntrack-full']],
    [0, 0, []],
  ])('with %i of %i entries', (count, max, expected) => {
    expect(found(kernelOf(text, { conntrack: { count, max } }))).toEqual(expected)
  })
})

describe('MTUs', () => {
  const text = rulesOf(cluster, 'node1')
  const eth0: NetworkLink = { name: 'eth0', mtu: 1500, kind: '', toPod: false, uplink: true }
  const vxlan = (mtu: number): NetworkLink => ({ name: 'flannel.1', mtu, kind: 'vxlan', toPod: false, uplink: false })
  const veth = (mtu: number): NetworkLink => ({ name: 'veth1', mtu, kind: '', toPod: true, uplink: false })

  test.each<[string, readonly NetworkLink[], readonly string[]]>([
    ['a tunnel that leaves room for its header', [eth0, vxlan(1450), veth(1450)], []],
    ['a tunnel as wide as the interface below', [eth0, vxlan(1500)], ['warning mtu-tunnel']],
    ['Pods with more than the tunnel carries', [eth0, vxlan(1450), veth(1500)], ['warning mtu-pods']],
    ['no tunnel', [eth0, veth(1500)], []],
    ['a tunnel and no default route', [vxlan(1500)], []],
  ])('%s', (_, links, expected) => {
    expect(found(kernelOf(text, { links }))).toEqual(expected)
  })
})
