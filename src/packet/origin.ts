// Where a packet comes from, which decides the hooks that it passes and the interface by which it comes in.
import { type Cidr, type Ip, isLoopback } from '../model/address.ts'
import { isLocal, type NodeNetwork, podLink, routeTo, sourceTowards } from './network.ts'
import { networkTest } from './network-test.ts'

export const ORIGINS = ['pod', 'node', 'other node', 'outside'] as const
export type OriginKind = (typeof ORIGINS)[number]

export interface Origin {
  readonly kind: OriginKind
  /** The interface by which the packet comes in; absent for the node's own, and when nobody knows it. */
  readonly inInterface?: string
  /** A pod of this node, or the node itself: answers to it always come back here. */
  readonly here: boolean
}

/** What the source's address says about it. A pod without a known pod network is taken for an outsider. */
export function originOf(network: NodeNetwork, source: Ip): Origin {
  if (isLocal(network, source)) return originAs(network, 'node', source)
  if (isIn(network.podCIDRs, source) || isIn(network.clusterCIDRs, source)) return originAs(network, 'pod', source)
  return originAs(network, network.otherNodes.includes(source) ? 'other node' : 'outside', source)
}

/** The origin of a kind with a source address. A pod with an address of another node's pods comes in as others do. */
export function originAs(network: NodeNetwork, kind: OriginKind, source: Ip): Origin {
  if (kind === 'node') return { kind, here: true }
  const elsewhere =
    kind === 'pod' &&
    network.podCIDRs.length > 0 &&
    !isIn(network.podCIDRs, source) &&
    isIn(network.clusterCIDRs, source)
  const here = kind === 'pod' && !elsewhere
  const { name } = here ? podLink(network) : routeTo({ ...network, podCIDRs: [] }, source)
  return { kind, here, ...(name !== undefined && { inInterface: name }) }
}

/** An address that a source of this kind may have, for a packet to this destination. */
export function exampleSource(network: NodeNetwork, kind: OriginKind, destination: Ip): Ip | undefined {
  switch (kind) {
    case 'node':
      return sourceTowards(network, destination)
    case 'pod': {
      const cidr = network.podCIDRs[0] ?? network.clusterCIDRs[0]
      return cidr === undefined ? undefined : hostOf(cidr, destination)
    }
    case 'other node':
      return network.otherNodes[0] ?? neighbourOf(network.nodeIP)
    case 'outside':
      return (network.family === 'ipv4' ? '192.0.2.200' : '2001:db8:ffff::200') as Ip
    default:
      return kind satisfies never
  }
}

function isIn(cidrs: readonly Cidr[], ip: Ip): boolean {
  return cidrs.some((cidr) => networkTest(cidr)(ip))
}

/** An address late in the network, where few endpoints are. */
function hostOf(cidr: string, destination: Ip): Ip {
  const network = cidr.slice(0, cidr.lastIndexOf('/'))
  const candidates = network.includes(':')
    ? [`${network.replace(/::$/, '')}::c8`, `${network.replace(/::$/, '')}::c9`]
    : [network.replace(/\d+$/, '200'), network.replace(/\d+$/, '201')]
  return (candidates.find((ip) => ip !== destination) ?? network) as Ip
}

function neighbourOf(ip: Ip): Ip | undefined {
  if (isLoopback(ip)) return undefined
  if (ip.includes(':'))
    return ip.replace(/[0-9a-f]+$/, (last) => (Number.parseInt(last, 16) ^ 1 || 2).toString(16)) as Ip
  return ip.replace(/\d+$/, (last) => `${Number(last) ^ 1 || 2}`) as Ip
}
