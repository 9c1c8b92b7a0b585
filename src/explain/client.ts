// Who a client is, by its address: a Pod, a node, or somebody outside. Which rules decide depends on it.
import { cidrContains, type Ip, isLoopback } from '../model/address.ts'
import type { Cluster } from './cluster.ts'
import type { Viewpoint } from './viewpoint.ts'

export type Client =
  | {
      readonly kind: 'pod'
      readonly ip: Ip
      /** `Pod default/web-0`, or `a Pod`. */
      readonly title: string
      readonly node?: string
      readonly here: boolean
    }
  | { readonly kind: 'node'; readonly ip: Ip; readonly title: string; readonly node?: string; readonly here: boolean }
  | { readonly kind: 'outside'; readonly ip: Ip; readonly title: string; readonly here: false }

/** Pods and nodes by their addresses, else Pods by the pod networks that are known; everybody else is outside. */
export function identifyClient(ip: Ip, cluster: Cluster, { config, node }: Pick<Viewpoint, 'config' | 'node'>): Client {
  if (isLoopback(ip) || node?.host.addresses.includes(ip) === true) {
    return { kind: 'node', ip, title: 'this node itself', ...(node && { node: node.name }), here: true }
  }
  const isHere = (name: string | undefined) => node !== undefined && name === node.name
  const owner = cluster.nodeByAddress.get(ip)
  if (owner !== undefined) {
    return { kind: 'node', ip, title: `node ${owner.name}`, node: owner.name, here: isHere(owner.name) }
  }
  const pod = cluster.podByIp.get(ip)
  const name = pod?.nodeName ?? nodeOfAddress(ip, cluster)
  const where = name === undefined ? '' : ` on node ${name}`
  const found = { ip, ...(name !== undefined && { node: name }), here: isHere(name) }
  if (pod !== undefined) return { kind: 'pod', title: `Pod ${pod.key}${where}`, ...found }
  if (name !== undefined || config.clusterCIDRs.some((cidr) => cidrContains(cidr, ip))) {
    return { kind: 'pod', title: `a Pod${where}`, ...found }
  }
  return { kind: 'outside', ip, title: 'outside the cluster', here: false }
}

/** By endpoints that are known, then by pod networks. */
function nodeOfAddress(ip: Ip, { snapshot }: Cluster): string | undefined {
  for (const { slices } of snapshot.services) {
    for (const { endpoints } of slices) {
      const nodeName = endpoints.find((endpoint) => endpoint.ip === ip)?.nodeName
      if (nodeName !== undefined) return nodeName
    }
  }
  return [...snapshot.nodes.values()].find(({ podCIDRs }) => podCIDRs.some((cidr) => cidrContains(cidr, ip)))?.name
}
