// The node's place in its network, as far as a packet's way depends on it: which addresses are its own, which interface
// leads where, and what the rest of the cluster's addresses are.
import { type Cidr, type Family, familyOfIp, type Ip, isLoopback } from '../model/address.ts'
import { networkTest } from './network-test.ts'

export interface NodeNetwork {
  readonly family: Family
  /** Interfaces by name where they are known. */
  readonly interfaces: readonly NetworkInterface[]
  /** The address of the node for others; packets that leave with no better one are masqueraded to it. */
  readonly nodeIP: Ip
  /** Pods of this node. */
  readonly podCIDRs: readonly Cidr[]
  /** The interface behind which this node's pods are, where known; it may be one of many. */
  readonly podInterface?: string
  /** Pods of all nodes. */
  readonly clusterCIDRs: readonly Cidr[]
  /** Addresses of the other nodes. */
  readonly otherNodes: readonly Ip[]
}

export interface NetworkInterface {
  /** Absent when only the addresses are known. */
  readonly name?: string
  readonly addresses: readonly InterfaceAddress[]
}

export interface InterfaceAddress {
  readonly ip: Ip
  /** Addresses that are reached there without a router. */
  readonly network: Cidr
}

/** An interface by its name; without one nobody knows it. */
export interface Link {
  readonly name?: string
  /** The source of what leaves there and has none, or is masqueraded. */
  readonly address: Ip
}

const LOOPBACK_NETWORK = { ipv4: '127.0.0.0/8', ipv6: '::1/128' } as unknown as Readonly<Record<Family, Cidr>>
export const LOOPBACK_INTERFACE = 'lo'

/** Whether packets to the address are for the node itself. */
export function isLocal(network: NodeNetwork, ip: Ip): boolean {
  return isLoopbackOf(network, ip) || network.interfaces.some(({ addresses }) => addresses.some((own) => own.ip === ip))
}

/** 127.0.0.0/8 is local without being listed. */
function isLoopbackOf({ family }: NodeNetwork, ip: Ip): boolean {
  return family === 'ipv4' ? ip.startsWith('127.') : ip === '::1'
}

/** Which way a packet to the address leaves the node. */
export function routeTo(network: NodeNetwork, ip: Ip): Link {
  if (isLocal(network, ip))
    return { name: LOOPBACK_INTERFACE, address: isLoopbackOf(network, ip) ? ip : network.nodeIP }
  for (const { name, addresses } of network.interfaces) {
    const own = addresses.find((address) => name !== LOOPBACK_INTERFACE && networkTest(address.network)(ip))
    if (own !== undefined) return { ...(name !== undefined && { name }), address: own.ip }
  }
  if (network.podCIDRs.some((cidr) => networkTest(cidr)(ip))) return podLink(network)
  const uplink = network.interfaces.find(
    ({ name, addresses }) => name !== LOOPBACK_INTERFACE && addresses.some((own) => own.ip === network.nodeIP),
  )
  return { ...(uplink?.name !== undefined && { name: uplink.name }), address: network.nodeIP }
}

/** Where this node's pods are. */
export function podLink(network: NodeNetwork): Link {
  const { podInterface, nodeIP, podCIDRs } = network
  const inPods = (own: InterfaceAddress) => podCIDRs.some((cidr) => networkTest(cidr)(own.ip))
  const link = network.interfaces.find(({ name, addresses }) =>
    podInterface === undefined ? addresses.some(inPods) : name === podInterface,
  )
  const name = podInterface ?? link?.name
  const address = link?.addresses.find(inPods)?.ip ?? link?.addresses[0]?.ip ?? nodeIP
  return { ...(name !== undefined && { name }), address }
}

/** The source that a process of the node has for a connection to the address. */
export function sourceTowards(network: NodeNetwork, ip: Ip): Ip {
  return isLocal(network, ip) ? ip : routeTo(network, ip).address
}

/** One interface for all addresses that are known without any; loopback is one of its own. */
export function interfaceOfAddresses(addresses: readonly Ip[], family: Family): readonly NetworkInterface[] {
  const own = addresses.filter((ip) => familyOfIp(ip) === family && !isLoopback(ip))
  const host = (ip: Ip) => ({ ip, network: `${ip}/${family === 'ipv4' ? 32 : 128}` as Cidr })
  return [{ addresses: own.map(host) }]
}

export const LOOPBACK: Readonly<Record<Family, NetworkInterface>> = {
  ipv4: { name: LOOPBACK_INTERFACE, addresses: [{ ip: '127.0.0.1' as Ip, network: LOOPBACK_NETWORK.ipv4 }] },
  ipv6: { name: LOOPBACK_INTERFACE, addresses: [{ ip: '::1' as Ip, network: LOOPBACK_NETWORK.ipv6 }] },
}
