// A Node object, the configuration and the host -> what rules need to know about the node.
import {
  type Cidr,
  type Family,
  familyOfCidr,
  familyOfIp,
  hostCidr,
  type Ip,
  isLoopback,
  isUnspecified,
} from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import { ASSUMED_FEATURES, type Host } from '../model/host.ts'
import type { Issue } from '../model/issue.ts'
import type { LocalDetector, NodeFacts } from '../model/node.ts'
import type { Node } from '../model/snapshot.ts'

const LOOPBACK: Readonly<Record<Family, Ip>> = { ipv4: '127.0.0.1' as Ip, ipv6: '::1' as Ip }

export interface DescribedNode {
  readonly facts: NodeFacts
  readonly issues: readonly Issue[]
}

/** `node` is absent when the cluster does not have it; `host` is absent when nobody has read the machine. */
export function describeNode(
  name: string,
  node: Node | undefined,
  config: ProxyConfig,
  host: Host | undefined,
): DescribedNode {
  const addresses = node?.addresses ?? []
  const bindAddress = isUnspecified(config.bindAddress) ? undefined : config.bindAddress
  const facts: NodeFacts = {
    name,
    zone: node?.zone ?? '',
    nodeIPs: chooseNodeIPs(addresses, bindAddress),
    primaryFamily: familyOfIp(bindAddress ?? addresses[0] ?? LOOPBACK.ipv4),
    podCIDRs: node?.podCIDRs ?? [],
    host: host ?? assumeHost(node),
  }
  return { facts, issues: config.detectLocalMode === 'NodeCIDR' ? checkPodCIDRs(facts) : [] }
}

/** A machine that nobody has read: loopback, the Node's addresses, and a current kernel and iptables. */
export function assumeHost(node: Node | undefined): Host {
  return { addresses: [LOOPBACK.ipv4, LOOPBACK.ipv6, ...(node?.addresses ?? [])], features: ASSUMED_FEATURES }
}

/** How pod traffic of one family is recognised; undefined when it can't be. */
export function localDetector(config: ProxyConfig, node: NodeFacts, family: Family): LocalDetector | undefined {
  switch (config.detectLocalMode) {
    case 'ClusterCIDR':
      return firstOfFamily(config.clusterCIDRs, family)
    case 'NodeCIDR':
      return firstOfFamily(node.podCIDRs, family)
    case 'BridgeInterface':
      return { kind: 'interface', name: config.bridgeInterface }
    case 'InterfaceNamePrefix':
      return { kind: 'interface', name: `${config.interfaceNamePrefix}+` }
    default:
      return config.detectLocalMode satisfies never
  }
}

/** The CIDRs that `nodePortAddresses` comes to: `primary` is the node's own addresses, without loopback. */
export function nodePortCIDRs(config: ProxyConfig, node: NodeFacts): readonly Cidr[] {
  if (config.nodePortAddresses !== 'primary') return config.nodePortAddresses
  return [node.nodeIPs.ipv4, node.nodeIPs.ipv6].filter((ip) => !isLoopback(ip)).map(hostCidr)
}

function chooseNodeIPs(addresses: readonly Ip[], bindAddress: Ip | undefined): NodeFacts['nodeIPs'] {
  const first = (family: Family) => addresses.find((ip) => familyOfIp(ip) === family) ?? LOOPBACK[family]
  const nodeIPs = { ipv4: first('ipv4'), ipv6: first('ipv6') }
  return bindAddress === undefined ? nodeIPs : { ...nodeIPs, [familyOfIp(bindAddress)]: bindAddress }
}

function firstOfFamily(cidrs: readonly Cidr[], family: Family): LocalDetector | undefined {
  const cidr = cidrs.find((candidate) => familyOfCidr(candidate) === family)
  return cidr === undefined ? undefined : { kind: 'source', cidr }
}

/** kube-proxy does not start in either case. */
function checkPodCIDRs({ name, podCIDRs, primaryFamily }: NodeFacts): readonly Issue[] {
  if (podCIDRs.some((cidr) => familyOfCidr(cidr) === primaryFamily)) return []
  const lack = podCIDRs.length === 0 ? 'no podCIDRs' : `no ${primaryFamily} podCIDR, the family of its primary address`
  const message = `detectLocalMode is NodeCIDR and the Node has ${lack}: add it, or choose another detectLocalMode`
  return [{ severity: 'error', at: { object: `Node ${name}`, field: 'spec.podCIDRs' }, message }]
}
