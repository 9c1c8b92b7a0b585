// Findings that hold in IPVS mode alone, and what the kernel has of a Service there.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { assembleCluster } from '../../src/explain/assemble.ts'
import { explainService } from '../../src/explain/explain.ts'
import type { IpvsKernel, KernelState } from '../../src/explain/kernel-state.ts'
import { type Ip, parseDocuments } from '../../src/index.ts'
import { parseSavedSets } from '../../src/iptables/simulate-sets.ts'
import { compileIpvs } from '../../src/ipvs/compile.ts'
import { linkIpvs } from '../../src/ipvs/link.ts'
import { parseIpvsadmSave } from '../../src/ipvs/parse.ts'
import { FAMILIES } from '../../src/model/address.ts'
import { clusterOf, explainIn, shortForm } from '../support/explained.ts'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { type IpvsCase, type IpvsFiles, ipvsFiles, readIpvsCase, savedRules } from '../support/ipvs-side.ts'
import { edit } from '../support/rule-text.ts'

const MODE = { 'proxy-mode': 'ipvs' }
const service = (spec: string) => `apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.10
  selector: {app: web}
${spec}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: '', port: 8080}]
endpoints: [{addresses: [10.244.2.5], nodeName: node2, conditions: {ready: true}}]
---
apiVersion: v1
kind: Node
metadata: {name: node1}
status: {addresses: [{type: InternalIP, address: 192.168.1.11}]}
---
apiVersion: v1
kind: Node
metadata: {name: node2}
status: {addresses: [{type: InternalIP, address: 192.168.1.12}]}
`
const INTERNAL = service('  internalTrafficPolicy: Local\n  ports: [{port: 80, targetPort: 8080}]')
const INTERNAL_AND_NODE_PORT = service(
  '  type: NodePort\n  internalTrafficPolicy: Local\n  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]',
)
const EXTERNAL = service(
  '  type: NodePort\n  externalTrafficPolicy: Local\n  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]',
)

function found(text: string, place: Parameters<typeof explainIn>[2] = {}) {
  return explainIn(clusterOf(text), 'default/web', { node: 'node1', flags: MODE, ...place }).findings
}

describe('a Local policy without an endpoint on the node', () => {
  test('internal, and no address from outside: refused, not dropped', () => {
    const [first] = found(INTERNAL)
    expect(first).toMatchObject({ severity: 'error', check: 'internal-local-none-here' })
    expect(first?.means).toContain('is refused (IPVS mode)')
    expect(explainIn(clusterOf(INTERNAL), 'default/web', { node: 'node1' }).findings[0]?.means).toContain('is dropped')
  })

  test('internal, with a node port: endpoints on other nodes serve, against the policy', () => {
    const findings = found(INTERNAL_AND_NODE_PORT)
    expect(findings.map(shortForm)).toContain('notice internal-local-elsewhere')
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([])
  })

  test('external: their answers take another way', () => {
    const [first] = found(EXTERNAL)
    expect(first).toMatchObject({ severity: 'error', check: 'external-local-none-here' })
    expect(first?.means).toContain('goes to endpoints on other nodes without masquerading (IPVS mode)')
  })

  test('for a Pod of the node itself, the policy holds too', () => {
    const ways = (flags: Readonly<Record<string, string>>) =>
      explainIn(clusterOf(EXTERNAL), 'default/web', { node: 'node1', client: '10.244.1.7', flags }).client?.paths.map(
        ({ to, outcome, seenAs }) => [to, outcome, seenAs],
      )
    expect(ways(MODE)?.[1]).toEqual(['node port 30080/tcp', 'served', 'the client'])
  })
})

test('a ping of a virtual IP is rejected by the node, and says nothing', () => {
  expect(found(INTERNAL_AND_NODE_PORT, { to: '10.96.0.10' }).map(shortForm)).toContain('error ping-virtual-ip')
})

test('node ports are not on loopback addresses', () => {
  const [first] = found(INTERNAL_AND_NODE_PORT, { to: '127.0.0.1:30080' })
  expect(first).toMatchObject({ severity: 'error', check: 'node-port-on-loopback' })
  expect(found(EXTERNAL).map(shortForm)).toContain('notice node-port-not-on-localhost')
})

function kernelOf(name: string, files: IpvsFiles, suffix = ''): KernelState {
  const { services } = parseIpvsadmSave(files['ipvsadm-save'])
  const ipvs: IpvsKernel = {
    servers: new Map(services.flatMap((each) => (each.key === undefined ? [] : [[each.key, each]]))),
    sets: parseSavedSets(files['ipset-save']).sets,
    addresses: new Set(files['kube-ipvs0-addresses'].split('\n').map((line) => line.split('/', 1)[0] as Ip)),
  }
  const rules = new Map((['ipv4', 'ipv6'] as const).map((family) => [family, savedRules(name, family, suffix)]))
  return { mode: 'ipvs', label: 'dump', rules, ipvs, links: [] }
}

function explainCase(name: string, kernel: KernelState, suffix = '') {
  const { config, node } = readIpvsCase(name, suffix)
  const text = readFileSync(path.join(GOLDEN_ROOT, name, `cluster${suffix}.yaml`), 'utf8')
  const { cluster } = assembleCluster(parseDocuments(text, 'cluster.yaml').objects, {
    complete: false,
    knowsPods: false,
  })
  return cluster.services.map((each) => ({
    key: each.key,
    findings: explainService(each, cluster, { config, node, kernel }).findings,
  }))
}

/** Answers that take another way, and addresses for which no virtual server is made. */
const OTHER_REASONS: ReadonlySet<string> = new Set([
  'external-local-none-here',
  'external-ip-family',
  'node-port-nowhere',
])

/** The keys of virtual servers, by Service. */
function compiledServers({ snapshot, config, node }: IpvsCase): ReadonlyMap<string, readonly string[]> {
  const servers = new Map<string, readonly string[]>()
  for (const family of FAMILIES) {
    const { virtualServers } = linkIpvs(compileIpvs(snapshot, config, node, family))
    for (const [key, { owner }] of virtualServers) {
      const name = owner.split(/[: ]/, 1)[0] ?? ''
      servers.set(name, [...(servers.get(name) ?? []), key])
    }
  }
  return servers
}

describe('the kernel', () => {
  const recorded = readdirSync(path.join(GOLDEN_ROOT, 'recorded'))
    .map((name) => `recorded/${name}`)
    .filter((name) => existsSync(path.join(GOLDEN_ROOT, name, 'ipvs')))

  test('that kube-proxy filled has what each Service comes to', () => {
    const differing = recorded.flatMap((name) =>
      explainCase(name, kernelOf(name, ipvsFiles(name))).flatMap(({ key, findings }) =>
        findings
          .filter(({ check }) => check === 'rules-differ' || check === 'rules-missing')
          .map(({ means }) => `${name} ${key}: ${means}`),
      ),
    )
    expect(differing).toEqual([])
  })

  test('that serves a Service at every address has no error, but where answers take another way', () => {
    const wrong = recorded.flatMap((name) => {
      const files = ipvsFiles(name)
      const { services } = parseIpvsadmSave(files['ipvsadm-save'])
      const empty = new Set(services.filter(({ realServers }) => realServers.length === 0).map(({ key }) => key))
      const { snapshot, config, node } = readIpvsCase(name)
      const servers = compiledServers({ snapshot, config, node })
      return explainCase(name, kernelOf(name, files)).flatMap(({ key, findings }) => {
        const own = servers.get(key) ?? []
        if (own.length === 0 || own.some((server) => empty.has(server))) return []
        const errors = findings.filter(({ severity }) => severity === 'error').map(({ check }) => check)
        return errors.filter((check) => !OTHER_REASONS.has(check)).map((check) => `${name} ${key} ${check}`)
      })
    })
    expect(wrong).toEqual([])
  })

  const NAME = 'own/story-scale'
  const files = ipvsFiles(NAME, '.2')
  const differences = (change: Partial<IpvsFiles>) =>
    explainCase(NAME, kernelOf(NAME, { ...files, ...change }, '.2'), '.2')
      .find(({ key }) => key === 'shop/web')
      ?.findings.filter(({ check }) => check.startsWith('rules-'))
      .map(({ severity, check, means }) => [severity, check, means.replace(/^.*?: /, '')])

  test('that lacks the virtual server, a real server, an address or an entry is told', () => {
    const servers = files['ipvsadm-save']
    expect(differences({})).toEqual([])
    expect(differences({ 'ipvsadm-save': '' })?.[0]?.slice(0, 2)).toEqual(['error', 'rules-missing'])
    const real = '-a -t 10.96.1.10:80 -r 10.244.2.5:8080 -m -w 1\n'
    const lacks = ['error', 'rules-differ', 'virtual server tcp 10.96.1.10:80 lacks 10.244.2.5:8080.']
    expect(differences({ 'ipvsadm-save': edit(servers, real, '') })).toEqual([lacks])
    expect(differences({ 'ipvsadm-save': edit(servers, real, real.replace('-w 1', '-w 0')) })).toEqual([lacks])
    const addresses = edit(files['kube-ipvs0-addresses'], '10.96.1.10/32\n', '')
    expect(differences({ 'kube-ipvs0-addresses': addresses })).toEqual([
      ['error', 'rules-differ', 'kube-ipvs0 lacks 10.96.1.10.'],
    ])
    const sets = edit(files['ipset-save'], 'add KUBE-CLUSTER-IP 10.96.1.10,tcp:80\n', '')
    expect(differences({ 'ipset-save': sets })).toEqual([
      ['error', 'rules-differ', 'set KUBE-CLUSTER-IP lacks 10.96.1.10,tcp:80.'],
    ])
  })
})
