// What the rules of one family depend on beside the Services: the node and the configuration, reduced to decisions.
import {
  cidrContains,
  type Family,
  familyOfCidr,
  familyOfIp,
  type Ip,
  isLoopback,
  networkAddress,
  prefixLength,
} from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { LocalDetector, NodeFacts } from '../model/node.ts'
import { localDetector, nodePortCIDRs } from '../resolve/node-facts.ts'

export interface IptablesSettings {
  readonly family: Family
  /** The bit that marks packets for masquerading, as a mask. */
  readonly masqueradeMark: number
  readonly masqueradeAll: boolean
  readonly localDetector?: LocalDetector
  /** Node ports answer on 127.0.0.1 too. */
  readonly localhostNodePorts: boolean
  /** Node ports answer on every local address, or on these. */
  readonly nodePortAddresses: 'local' | readonly Ip[]
  readonly nfacct: boolean
  readonly randomFully: boolean
  readonly tcpBeLiberal: boolean
}

const LOOPBACK_NETWORK = '127.0.0.0' as Ip

export function settingsFor(config: ProxyConfig, node: NodeFacts, family: Family): IptablesSettings {
  const cidrs = nodePortCIDRs(config, node).filter((cidr) => familyOfCidr(cidr) === family)
  const everywhere = cidrs.length === 0 || cidrs.some((cidr) => prefixLength(cidr) === 0)
  const containsLoopback =
    everywhere || cidrs.some((cidr) => isLoopback(networkAddress(cidr)) || cidrContains(cidr, LOOPBACK_NETWORK))
  const localhostNodePorts = family === 'ipv4' && config.localhostNodePorts && containsLoopback
  const detector = localDetector(config, node, family)
  const serves = (ip: Ip) =>
    familyOfIp(ip) === family && cidrs.some((cidr) => cidrContains(cidr, ip)) && (localhostNodePorts || !isLoopback(ip))
  return {
    family,
    masqueradeMark: (1 << config.masqueradeBit) >>> 0,
    masqueradeAll: config.masqueradeAll,
    ...(detector && { localDetector: detector }),
    localhostNodePorts,
    nodePortAddresses: everywhere ? 'local' : [...new Set(node.host.addresses.filter(serves))].toSorted(),
    nfacct: node.host.features.nfacct,
    randomFully: node.host.features.randomFully,
    tcpBeLiberal: node.host.features.tcpBeLiberal || config.conntrack.tcpBeLiberal,
  }
}
