// Small objects of the API in, lines of chains out, so that a test of one behaviour reads at a glance. Without further
// words it is Service ns1/svc1 with port p80 (80/tcp) at 172.30.0.41, on node1 at 192.168.1.63 in zone za; pods are in
// 10.180.0.0/16 and fd00:10::/64.
import {
  assembleSnapshot,
  compile,
  defaultProxyConfig,
  describeNode,
  type Family,
  type HostFeatures,
  link,
  type Program,
  type ProxyConfig,
  parseCidr,
  parseIp,
} from '../../src/index.ts'
import { printRule } from '../../src/iptables/print-rule.ts'
import { placed } from './raw-objects.ts'

type Fields = Record<string, unknown>

export interface Circumstances {
  readonly family?: Family
  readonly config?: Partial<ProxyConfig>
  readonly features?: Partial<HostFeatures>
  readonly addresses?: readonly string[]
  readonly zone?: string
}

export interface CompiledLines {
  readonly program: Program
  readonly nat: (chain: string) => readonly string[]
  readonly filter: (chain: string) => readonly string[]
  /** Chains of Services, sorted. */
  readonly chains: readonly string[]
  /** What was reported about the input. */
  readonly issues: readonly string[]
}

export function service(spec: Fields = {}, more: Fields = {}): Fields {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'svc1', namespace: 'ns1' },
    spec: { clusterIP: '172.30.0.41', ports: [{ name: 'p80', port: 80 }], ...spec },
    ...more,
  }
}

/** Endpoints as `10.180.0.1`, or with conditions, node and hints. */
export function slice(endpoints: readonly (string | Fields)[], more: Fields = {}): Fields {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'svc1-1', namespace: 'ns1', labels: { 'kubernetes.io/service-name': 'svc1' } },
    addressType: 'IPv4',
    ports: [{ name: 'p80', port: 8080 }],
    endpoints: endpoints.map((endpoint) => (typeof endpoint === 'string' ? { addresses: [endpoint] } : endpoint)),
    ...more,
  }
}

export const TERMINATING: Fields = { conditions: { ready: false, serving: true, terminating: true } }
export const NOT_READY: Fields = { conditions: { ready: false, serving: true, terminating: false } }

/** An endpoint on this node. */
export function here(ip: string, more: Fields = {}): Fields {
  return { addresses: [ip], nodeName: 'node1', ...more }
}

export function elsewhere(ip: string, more: Fields = {}): Fields {
  return { addresses: [ip], nodeName: 'node2', ...more }
}

/** `status.loadBalancer` with these ingress entries. */
export function ingress(...entries: readonly Fields[]): Fields {
  return { status: { loadBalancer: { ingress: entries } } }
}

export function compiled(objects: readonly Fields[], circumstances: Circumstances = {}): CompiledLines {
  const { family = 'ipv4', addresses = ['127.0.0.1', '::1', '192.168.1.63'], zone = 'za' } = circumstances
  const clusterCIDRs = ['10.180.0.0/16', 'fd00:10::/64'].flatMap((text) => parseCidr(text) ?? [])
  const config = { ...defaultProxyConfig(), clusterCIDRs, ...circumstances.config }
  const { snapshot, issues } = assembleSnapshot(placed(...objects))
  const ips = (texts: readonly string[]) => texts.flatMap((text) => parseIp(text) ?? [])
  const features = { nfacct: true, randomFully: true, tcpBeLiberal: false, ...circumstances.features }
  const node = { name: 'node1', zone, podCIDRs: [], addresses: ips(['192.168.1.63', 'fd00:192::63']) }
  const { facts } = describeNode('node1', node, config, { addresses: ips(addresses), features })
  const program = compile(snapshot, config, facts, family)
  const { tables } = link(program)
  const lines = (table: string) => (chain: string) =>
    tables
      .get(table)
      ?.get(chain)
      ?.rules.map((rule) => printRule(rule, family)) ?? []
  return {
    program,
    nat: lines('nat'),
    filter: lines('filter'),
    chains: [...(tables.get('nat')?.keys() ?? [])]
      .filter((name) => /^KUBE-(?:SVC|SVL|SEP|EXT|FW)-/.test(name))
      .toSorted(),
    issues: issues.map(({ severity, at, message }) => `${severity} ${at.field ?? ''}: ${message}`),
  }
}
