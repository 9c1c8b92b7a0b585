// What IPVS mode depends on beside the Services: the node and the configuration, reduced to decisions.
import {
  type Cidr,
  cidrContains,
  type Family,
  familyOfCidr,
  familyOfIp,
  type Ip,
  isLoopback,
  prefixLength,
} from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { LocalDetector, NodeFacts } from '../model/node.ts'
import { localDetector, nodePortCIDRs } from '../resolve/node-facts.ts'

export interface IpvsSettings {
  readonly family: Family
  /** Of the kernel: rr when the configuration names none. */
  readonly scheduler: string
  /** The bit that marks packets for masquerading, as a mask. */
  readonly masqueradeMark: number
  readonly masqueradeAll: boolean
  readonly localDetector?: LocalDetector
  readonly randomFully: boolean
  /** This node's addresses (without loopback, IPv6 link-local and those of kube-ipvs0), sorted: never bound to kube-ipvs0. */
  readonly nodeAddresses: readonly Ip[]
  /** Where node ports answer, sorted. */
  readonly nodePortAddresses: readonly Ip[]
  /** Virtual servers with these addresses are not sluice's to touch. */
  readonly excludeCIDRs: readonly Cidr[]
}

const LINK_LOCAL = 'fe80::/10' as Cidr

/** `node.host.addresses` must not have those of kube-ipvs0: they are Services', and come and go with them. */
export function settingsForIpvs(config: ProxyConfig, node: NodeFacts, family: Family): IpvsSettings {
  const detector = localDetector(config, node, family)
  const addresses = [...new Set(node.host.addresses)]
    .filter((ip) => familyOfIp(ip) === family && !isLoopback(ip))
    .toSorted()
  const nodeAddresses = addresses.filter((ip) => !cidrContains(LINK_LOCAL, ip))
  const cidrs = nodePortCIDRs(config, node).filter((cidr) => familyOfCidr(cidr) === family)
  const everywhere = cidrs.length === 0 || cidrs.some((cidr) => prefixLength(cidr) === 0)
  return {
    family,
    scheduler: config.ipvs.scheduler === '' ? 'rr' : config.ipvs.scheduler,
    masqueradeMark: (1 << config.masqueradeBit) >>> 0,
    masqueradeAll: config.masqueradeAll,
    ...(detector && { localDetector: detector }),
    randomFully: node.host.features.randomFully,
    nodeAddresses,
    nodePortAddresses: everywhere
      ? nodeAddresses
      : addresses.filter((ip) => cidrs.some((cidr) => cidrContains(cidr, ip))),
    excludeCIDRs: config.ipvs.excludeCIDRs.filter((cidr) => familyOfCidr(cidr) === family),
  }
}
