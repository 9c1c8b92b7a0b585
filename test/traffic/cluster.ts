// Kubernetes objects of the laboratory's cluster, and their rules on its nodes.
import {
  assembleSnapshot,
  type Cidr,
  compile,
  defaultProxyConfig,
  describeNode,
  type Family,
  type Ip,
  link,
  type ProxyConfig,
  printPayload,
  type Snapshot,
} from '../../src/index.ts'
import { createSimulator } from '../../src/iptables/simulate.ts'
import { compileIpvs } from '../../src/ipvs/compile.ts'
import { printNodeRestore } from '../../src/ipvs/print-node.ts'
import { showState } from '../../src/ipvs/shown-state.ts'
import { simulateIpvs } from '../support/simulate-ipvs.ts'
import { loadIpvs } from './ipvs-node.ts'
import { ADDRESSES, allOrNone, type Laboratory, NODES } from './laboratory.ts'
import { rememberRules } from './simulated.ts'

export type Manifest = Readonly<Record<string, unknown>>

export interface PortSpec {
  readonly name?: string
  readonly port: number
  /** TCP when absent. */
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP'
  readonly nodePort?: number
}

export interface ServiceSpec {
  /** Distinguishes the cluster IPs of Services, from 1 to 9. */
  readonly number?: number
  /** One TCP port 80 when absent. */
  readonly ports?: readonly PortSpec[]
  readonly labels?: Readonly<Record<string, string>>
  readonly loadBalancerIPs?: readonly string[]
  /** Other fields of `spec`. */
  readonly spec?: Manifest
}

const NAMESPACE = 'lab'

export function service(family: Family, name: string, given: ServiceSpec = {}): Manifest {
  const { number = 1, ports = [{ port: 80 }], labels = {}, loadBalancerIPs = [], spec = {} } = given
  const isNamed = ports.length > 1
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: NAMESPACE, name, labels },
    spec: {
      ...(spec['type'] !== 'ExternalName' && {
        clusterIP: ADDRESSES[family].clusterIP(number),
        clusterIPs: [ADDRESSES[family].clusterIP(number)],
        ipFamilies: [family === 'ipv4' ? 'IPv4' : 'IPv6'],
      }),
      ports: ports.map((port, index) => ({ protocol: 'TCP', ...(isNamed && { name: `p${index}` }), ...port })),
      ...spec,
    },
    ...(loadBalancerIPs.length > 0 && {
      status: { loadBalancer: { ingress: loadBalancerIPs.map((ip) => ({ ip, ipMode: 'VIP' })) } },
    }),
  }
}

export interface EndpointSpec {
  /** A pod's node and number; without a number, the node itself, which has a server in its own network. */
  readonly node: number
  readonly pod?: number
  readonly ready?: boolean
  readonly serving?: boolean
  readonly terminating?: boolean
  readonly zones?: readonly string[]
  readonly nodes?: readonly string[]
}

export interface SliceSpec {
  readonly name?: string
  readonly labels?: Readonly<Record<string, string>>
  /** One TCP port 8080 when absent, which all pods serve. */
  readonly ports?: readonly PortSpec[]
}

/** The Service's slice with these endpoints. */
export function slice(
  family: Family,
  serviceName: string,
  endpoints: readonly EndpointSpec[],
  { name = `${serviceName}-a`, labels = {}, ports = [{ port: 8080 }] }: SliceSpec = {},
): Manifest {
  const isNamed = ports.length > 1
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: NAMESPACE, name, labels: { 'kubernetes.io/service-name': serviceName, ...labels } },
    addressType: family === 'ipv4' ? 'IPv4' : 'IPv6',
    ports: ports.map((port, index) => ({ name: isNamed ? `p${index}` : '', protocol: 'TCP', ...port })),
    endpoints: endpoints.map(({ node, pod, zones = [], nodes = [], ready = true, serving, terminating = false }) => ({
      addresses: [pod === undefined ? ADDRESSES[family].node(node) : ADDRESSES[family].pod(node, pod)],
      conditions: { ready, serving: serving ?? ready, terminating },
      nodeName: nodeName(node),
      ...(zones.length + nodes.length > 0 && {
        hints: { forZones: zones.map((zone) => ({ name: zone })), forNodes: nodes.map((hint) => ({ name: hint })) },
      }),
    })),
  }
}

export function nodeName(index: number): string {
  return `node-${index}`
}

/** Each node is a zone of its own. */
export function zoneName(index: number): string {
  return `zone-${index}`
}

export function nodeObject(index: number): Manifest {
  const addresses = [ADDRESSES.ipv4, ADDRESSES.ipv6].map((plan) => ({ type: 'InternalIP', address: plan.node(index) }))
  const labels = { 'topology.kubernetes.io/zone': zoneName(index) }
  return { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName(index), labels }, status: { addresses } }
}

const INDEXES = Array.from({ length: NODES }, (_, index) => index)

/**
 * Gives each node the rules for exactly these objects, as `sluice render` prints them, and forgets UDP flows, which the
 * agent's conntrack clean-up does otherwise.
 */
export async function programNodes(
  lab: Laboratory,
  families: readonly Family[],
  objects: readonly Manifest[],
  change: Partial<ProxyConfig> = {},
): Promise<void> {
  const snapshot = snapshotFor(objects)
  await allOrNone(
    lab.nodes.map(async (node, index) => {
      const { config, facts } = factsFor(snapshot, index, change)
      if (lab.mode === 'ipvs') {
        const states = families.map((family) => showState(compileIpvs(snapshot, config, facts, family)))
        await loadIpvs(node, printNodeRestore(states))
        for (const state of states) rememberRules(lab, state.family, index, (network) => simulateIpvs(state, network))
      } else {
        const programs = families.map((family) => compile(snapshot, config, facts, family))
        await node.applyRules(Object.fromEntries(programs.map((program) => [program.family, printPayload(program)])))
        for (const program of programs) {
          rememberRules(lab, program.family, index, (network) => ({
            simulate: createSimulator(link(program)),
            network,
          }))
        }
      }
      await node.flushConntrack('udp')
    }),
  )
}

/** The objects and all nodes. */
export function snapshotFor(objects: readonly Manifest[]): Snapshot {
  const raw = [...INDEXES.map(nodeObject), ...objects].map((value) => ({ value, at: {} }))
  const { snapshot, issues } = assembleSnapshot(raw)
  const errors = issues.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new Error(`the described cluster is wrong: ${JSON.stringify(errors)}`)
  return snapshot
}

export function factsFor(snapshot: Snapshot, node: number, change: Partial<ProxyConfig>) {
  const clusterCIDRs = [ADDRESSES.ipv4, ADDRESSES.ipv6].map(({ podCIDR }) => podCIDR as Cidr)
  const config: ProxyConfig = { ...defaultProxyConfig(), clusterCIDRs, ...change }
  const plans = [ADDRESSES.ipv4, ADDRESSES.ipv6]
  const addresses = plans.flatMap((plan) => [plan.loopback, plan.node(node), plan.secondary(node)] as Ip[])
  // Counters are not of interest here, and a namespace would have to make them first.
  const host = { addresses, features: { nfacct: false, randomFully: true, tcpBeLiberal: false } }
  return { config, facts: describeNode(nodeName(node), snapshot.nodes.get(nodeName(node)), config, host).facts }
}
