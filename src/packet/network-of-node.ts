// What sluice knows of a node -> its network for one family.
import { type Cidr, type Family, familyOfCidr, familyOfIp, type Ip, isLoopback } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { interfaceOfAddresses, LOOPBACK, type NetworkInterface, type NodeNetwork } from './network.ts'

export interface KnownNode {
  readonly node?: NodeFacts
  readonly config?: ProxyConfig
  readonly snapshot?: Snapshot
  /** With names and networks, where known. */
  readonly interfaces?: readonly NetworkInterface[]
  /** The pod network that rules tell of, for want of a configuration. */
  readonly podNetwork?: readonly Cidr[]
}

/** Nothing but loopback is local when nothing is known. */
export function networkOfNode(known: KnownNode, family: Family): NodeNetwork {
  const { node, config, snapshot } = known
  const interfaces = known.interfaces ?? []
  const ofFamily = withOthers(interfaces, node?.host.addresses ?? [], family).map(({ name, addresses }) => ({
    ...(name !== undefined && { name }),
    addresses: addresses.filter(({ ip }) => familyOfIp(ip) === family),
  }))
  const podInterface = podInterfaceOf(config)
  return {
    family,
    interfaces: [LOOPBACK[family], ...ofFamily.filter(({ name }) => name !== LOOPBACK[family].name)],
    nodeIP: chooseNodeIP(node, ofFamily, family),
    podCIDRs: (node?.podCIDRs ?? []).filter((cidr) => familyOfCidr(cidr) === family),
    ...(podInterface !== undefined && { podInterface }),
    clusterCIDRs: clusterNetwork(known).filter((cidr) => familyOfCidr(cidr) === family),
    otherNodes: [...(snapshot?.nodes.values() ?? [])]
      .filter(({ name }) => name !== node?.name)
      .flatMap(({ addresses }) => addresses.filter((ip) => familyOfIp(ip) === family)),
  }
}

/** Interfaces that are down are not always listed, and their addresses are the node's all the same. */
function withOthers(
  interfaces: readonly NetworkInterface[],
  addresses: readonly Ip[],
  family: Family,
): readonly NetworkInterface[] {
  const listed = new Set(interfaces.flatMap((known) => known.addresses.map(({ ip }) => ip)))
  const others = addresses.filter((ip) => !listed.has(ip))
  return others.length === 0 ? interfaces : [...interfaces, ...interfaceOfAddresses(others, family)]
}

function chooseNodeIP(node: NodeFacts | undefined, interfaces: readonly NetworkInterface[], family: Family): Ip {
  const given = node?.nodeIPs[family]
  if (given !== undefined && !isLoopback(given)) return given
  const own = interfaces.flatMap(({ addresses }) => addresses.map(({ ip }) => ip)).find((ip) => !isLoopback(ip))
  return own ?? given ?? ((family === 'ipv4' ? '127.0.0.1' : '::1') as Ip)
}

function podInterfaceOf(config: ProxyConfig | undefined): string | undefined {
  if (config?.detectLocalMode === 'BridgeInterface') return config.bridgeInterface
  // Any of many: what follows the prefix does not matter to the rules.
  return config?.detectLocalMode === 'InterfaceNamePrefix' ? `${config.interfaceNamePrefix}0` : undefined
}

function clusterNetwork({ config, podNetwork = [] }: KnownNode): readonly Cidr[] {
  return config !== undefined && config.clusterCIDRs.length > 0 ? config.clusterCIDRs : podNetwork
}
