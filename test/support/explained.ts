// Explains the Services of a manifest's text, as the tests of src/explain want it.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { assembleCluster } from '../../src/explain/assemble.ts'
import type { Cluster } from '../../src/explain/cluster.ts'
import { type Explanation, explainService } from '../../src/explain/explain.ts'
import type { Finding } from '../../src/explain/finding.ts'
import type { Viewpoint } from '../../src/explain/viewpoint.ts'
import { type Ip, type NodeFacts, type ProxyConfig, parseDocuments, parseIp } from '../../src/index.ts'
import { resolveProxyConfig } from '../../src/kube/config/proxy-flags.ts'
import { describeNode } from '../../src/resolve/node-facts.ts'

export const CLUSTERS = path.join(import.meta.dirname, '..', 'explain', 'clusters')

export interface Place {
  /** A Node of the input; none in particular when absent. */
  readonly node?: string
  readonly client?: string
  /** `10.96.0.10:80` or an address alone. */
  readonly to?: string
  /** kube-proxy's. */
  readonly flags?: Readonly<Record<string, string>>
  readonly kernel?: Viewpoint['kernel']
}

export function clusterOf(text: string, complete = false): Cluster {
  return assembleCluster(parseDocuments(text, 'cluster.yaml').objects, { complete, knowsPods: complete }).cluster
}

export function readClusterFile(name: string): string {
  return readFileSync(path.join(CLUSTERS, `${name}.yaml`), 'utf8')
}

export function explainIn(cluster: Cluster, service: string, place: Place = {}): Explanation {
  const written = cluster.byKey.get(service)
  if (written === undefined) throw new Error(`there is no Service ${service}`)
  return explainService(written, cluster, viewpoint(cluster, place))
}

export function viewpoint(cluster: Cluster, { node, client, to, flags, kernel }: Place): Viewpoint {
  const config = configOf(flags)
  const [address = '', port] = to?.includes(':') === true ? to.split(':') : [to]
  return {
    config,
    ...(node !== undefined && { node: factsOf(cluster, config, node) }),
    ...(client !== undefined && { client: ipOf(client) }),
    ...(to !== undefined && {
      tried: { ip: ipOf(address), protocol: 'tcp' as const, ...(port !== undefined && { port: Number(port) }) },
    }),
    ...(kernel && { kernel }),
  }
}

/** `error selector-matches-no-pod` */
export function shortForm({ severity, check }: Finding): string {
  return `${severity} ${check}`
}

function ipOf(text: string): Ip {
  const ip = parseIp(text)
  if (ip === undefined) throw new Error(`${text} is not an address`)
  return ip
}

function configOf(flags: Place['flags'] = {}): ProxyConfig {
  const given = { 'cluster-cidr': '10.244.0.0/16,fd00:244::/48', ...flags }
  const { config, issues } = resolveProxyConfig({ flags: new Map(Object.entries(given)), over: new Map() })
  if (config === undefined) throw new Error(JSON.stringify(issues))
  return config
}

function factsOf(cluster: Cluster, config: ProxyConfig, node: string): NodeFacts {
  return describeNode(node, cluster.snapshot.nodes.get(node), config, undefined).facts
}
