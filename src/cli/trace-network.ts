// The node's network as a rule source tells of it, and the simulator of its rules.
import { decodeInterfaces, readLiveInterfaces } from '../host/host-interfaces.ts'
import { SERVICES } from '../iptables/names.ts'
import type { Rule, Ruleset } from '../iptables/rule.ts'
import { createSimulator, type Simulator } from '../iptables/simulate.ts'
import { parseIpvsadmSave } from '../ipvs/parse.ts'
import { setName } from '../ipvs/sets.ts'
import { createBalancer } from '../ipvs/simulate.ts'
import { servedByServers, serverAddress } from '../ipvs/simulate-served.ts'
import { type Cidr, cidrContains, type Family, familyOfIp, hostCidr, type Ip, parseIp } from '../model/address.ts'
import { IPVS_DEVICE } from '../model/host.ts'
import { interfaceOfAddresses, isLocal, type NetworkInterface, type NodeNetwork } from '../packet/network.ts'
import { networkOfNode } from '../packet/network-of-node.ts'
import type { Origin } from '../packet/origin.ts'
import type { Packet } from '../packet/packet.ts'
import { Failure } from './failure.ts'
import { readText } from './read-text.ts'
import type { RuleSource } from './rule-source.ts'
import { ownersOf } from './trace-owners.ts'

/** `host` is the option --host. */
export function networkFor(source: RuleSource, family: Family, host: string | undefined): NodeNetwork {
  const { node, device } = ipvsAddresses(source, family)
  const given = readInterfaces(source, host)?.filter(({ name }) => name !== IPVS_DEVICE)
  const ruleset = source.families.get(family)
  const podNetwork = ruleset === undefined ? [] : podNetworkOf(ruleset)
  const interfaces = given ?? (source.node === undefined ? interfaceOfAddresses(node, family) : undefined)
  const network = networkOfNode({ ...source, ...(interfaces && { interfaces }), podNetwork }, family)
  if (device.length === 0) return network
  // Last, so that nothing is masqueraded as one of them.
  const ipvs = interfaceOfAddresses(device, family).map((own) => ({ ...own, name: IPVS_DEVICE }))
  return { ...network, interfaces: [...network.interfaces, ...ipvs] }
}

interface IpvsAddresses {
  readonly node: readonly Ip[]
  readonly device: readonly Ip[]
}

/**
 * In IPVS mode every virtual server's address is the node's: those on kube-ipvs0 are in the set KUBE-IPVS-IPS, where that
 * is known, and the others are of other interfaces.
 */
function ipvsAddresses({ mode, addresses, sets, ipvs = '' }: RuleSource, family: Family): IpvsAddresses {
  if (mode !== 'ipvs') return { node: [], device: [] }
  const inSet = [...(sets?.get(setName('KUBE-IPVS-IPS', family))?.entries ?? [])].flatMap((text) => parseIp(text) ?? [])
  const device = new Set([...(addresses ?? []), ...inSet].filter((ip) => familyOfIp(ip) === family))
  const node = new Set<Ip>()
  for (const service of parseIpvsadmSave(ipvs).services) {
    const ip = serverAddress(service)?.ip
    if (ip !== undefined && familyOfIp(ip) === family && !device.has(ip)) node.add(ip)
  }
  return { node: [...node], device: [...device] }
}

function readInterfaces(source: RuleSource, host: string | undefined): readonly NetworkInterface[] | undefined {
  if (host === 'live' || (host === undefined && source.label === 'live')) return readLiveInterfaces()
  return host === undefined ? undefined : decodeInterfaces(readText(host, '--host'))
}

/** The networks that rules of kube-proxy take for that of pods: what they don't masquerade on the way to a cluster IP. */
function podNetworkOf({ tables }: Ruleset): readonly Cidr[] {
  for (const [name, { rules }] of tables.get('nat') ?? []) {
    // The last one is that of IPVS mode.
    if (!name.startsWith('KUBE-SVC-') && !name.startsWith('KUBE-SVL-') && name !== SERVICES) continue
    const networks = rules.flatMap((rule) => podNetworkOfRule(rule))
    if (networks.length > 0) return networks
  }
  return []
}

function podNetworkOfRule({ source, target }: Rule): readonly Cidr[] {
  const marks = target?.kind === 'jump' && target.chain === 'KUBE-MARK-MASQ'
  return marks && source?.not === true ? [source.value] : []
}

export interface Assumed {
  readonly network: NodeNetwork
  readonly note: string
}

/**
 * A dump does not say which addresses the node has. What comes in for an address that no rule names and no pod has is for
 * the node itself; so is the source of what the node sends.
 */
export function assumeLocal(
  packet: Packet,
  origin: Origin | undefined,
  network: NodeNetwork,
  source: RuleSource,
): Assumed | undefined {
  if (source.node !== undefined) return undefined
  const ip = origin?.kind === 'node' ? packet.source : packet.destination
  const isPod = network.clusterCIDRs.some((cidr) => cidrContains(cidr, ip))
  const ruleset = source.families.get(packet.family)
  if (isLocal(network, ip) || isPod || ruleset === undefined || isNamed(ruleset, ip)) return undefined
  const own = { addresses: [{ ip, network: hostCidr(ip) }] }
  return {
    network: { ...network, nodeIP: ip, interfaces: [...network.interfaces, own] },
    note: `assumed: ${ip} is an address of this node (--host FILE tells which it has)`,
  }
}

function isNamed({ tables }: Ruleset, ip: string): boolean {
  const named = (rule: Rule) =>
    rule.destination?.not !== true && rule.destination?.value === hostCidr(ip as Parameters<typeof hostCidr>[0])
  for (const [table, chain] of SERVICE_CHAINS)
    if (tables.get(table)?.get(chain)?.rules.some(named) === true) return true
  return false
}

const SERVICE_CHAINS = [
  ['nat', 'KUBE-SERVICES'],
  ['filter', 'KUBE-SERVICES'],
  ['filter', 'KUBE-EXTERNAL-SERVICES'],
  ['filter', 'KUBE-PROXY-FIREWALL'],
] as const

/** @throws Failure when the source has no rules of the family. */
export function simulatorFor(source: RuleSource, family: Family): Simulator {
  const ruleset = source.families.get(family)
  if (ruleset !== undefined) return simulatorOf(source, ruleset)
  const has = [...source.families.keys()].join(' and ')
  throw new Failure(
    `the packet is ${family}, and ${source.label} has only ${has} rules: give those of ${family === 'ipv4' ? 'iptables-save' : 'ip6tables-save'} too`,
  )
}

function simulatorOf(source: RuleSource, ruleset: Ruleset): Simulator {
  const { ipvs, sets } = source
  if (ipvs === undefined) return createSimulator(ruleset, sets)
  const { family } = ruleset
  const owners = ownersOf(source, family)
  const { services } = parseIpvsadmSave(ipvs)
  const balancer = createBalancer(services, family, owners)
  return createSimulator(ruleset, sets, balancer, servedByServers(services, family, sets, owners))
}
