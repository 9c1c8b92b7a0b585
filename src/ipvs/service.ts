// One ServicePort -> its chunk: virtual servers, set entries, addresses, and rules that guard it from this node itself.
// Set entries do not depend on endpoints: a Service that nobody serves has virtual servers without real servers.
import type { Rule } from '../iptables/rule.ts'
import { DROP } from '../iptables/rule-parts.ts'
import { ownerOf } from '../iptables/service.ts'
import { type Cidr, hostCidr, type Ip, networkAddress } from '../model/address.ts'
import type { Protocol } from '../model/object-name.ts'
import type { Endpoint, ServicePort } from '../model/service-port.ts'
import type { TrafficPolicy } from '../model/snapshot.ts'
import type { IpvsChunk, SetEntry } from './chunk.ts'
import { type BaseSetName, setName } from './sets.ts'
import type { IpvsSettings } from './settings.ts'
import { type RealServer, type VirtualServer, type VirtualServerKey, virtualServerKey } from './virtual-server.ts'

/** What one ServicePort wants; every virtual server, entry and address once. */
export function compileIpvsServicePort(servicePort: ServicePort, settings: IpvsSettings): IpvsChunk {
  const { protocol, port, clusterIP, nodePort, externalIPs, loadBalancerIPs } = servicePort
  const nodePortIPs = nodePort === undefined ? [] : settings.nodePortAddresses
  const internal = realServers(servicePort, servicePort.internalPolicy)
  const external = servicePort.externallyAccessible ? realServers(servicePort, servicePort.externalPolicy) : []
  const virtualServers = new Map<VirtualServerKey, VirtualServer>()
  const serve = (address: Ip, at: number, targets: readonly RealServer[]) => {
    const virtualServer = { protocol, address, port: at, ...scheduling(servicePort, settings), realServers: targets }
    const key = virtualServerKey(virtualServer)
    // An address listed twice: the first role counts, as with the rules of iptables mode.
    if (!virtualServers.has(key)) virtualServers.set(key, virtualServer)
  }
  serve(clusterIP, port, internal)
  for (const ip of [...externalIPs, ...loadBalancerIPs]) serve(ip, port, external)
  for (const ip of nodePortIPs) serve(ip, nodePort ?? 0, external)

  const addresses = boundAddresses(servicePort, settings)
  return {
    owner: ownerOf(servicePort),
    virtualServers: [...virtualServers.values()],
    entries: compileEntries(servicePort, settings, addresses),
    addresses,
    outFilter: usesOutFilter(servicePort)
      ? [...new Set(loadBalancerIPs)].map((ip) => outFilterRule(ip, servicePort))
      : [],
  }
}

function scheduling(
  { affinitySeconds }: ServicePort,
  { scheduler }: IpvsSettings,
): Pick<VirtualServer, 'scheduler' | 'schedulerFlags' | 'persistenceSeconds'> {
  return {
    scheduler,
    // Clients behind one address are spread by their ports too, as kube-proxy does.
    schedulerFlags: scheduler === 'mh' ? ['mh-port'] : [],
    ...(affinitySeconds !== undefined && { persistenceSeconds: affinitySeconds }),
  }
}

/**
 * Unlike in the other modes, traffic under policy Local is not dropped where no endpoint is local: it goes to those of
 * other nodes. kube-proxy does so in IPVS mode, where a virtual server without real servers would refuse the
 * connections of this node's own Pods.
 */
function realServers({ endpoints }: ServicePort, policy: TrafficPolicy): readonly RealServer[] {
  const chosen = policy === 'Local' && endpoints.local.length > 0 ? endpoints.local : endpoints.cluster
  return chosen.map(({ ip, port }) => ({ address: ip, port, weight: 1 }))
}

/** An address that another interface of this node has stays where it is. */
function boundAddresses(servicePort: ServicePort, { nodeAddresses }: IpvsSettings): readonly Ip[] {
  const { clusterIP, externalIPs, loadBalancerIPs } = servicePort
  const foreign = [...externalIPs, ...loadBalancerIPs].filter((ip) => !nodeAddresses.includes(ip))
  return [...new Set([clusterIP, ...foreign])]
}

function compileEntries(
  servicePort: ServicePort,
  settings: IpvsSettings,
  addresses: readonly Ip[],
): readonly SetEntry[] {
  const { family } = settings
  const { protocol, port, clusterIP, externalIPs, endpoints } = servicePort
  const entries: SetEntry[] = []
  const add = (name: BaseSetName, text: string) => {
    const set = setName(name, family)
    if (!entries.some((entry) => entry.set === set && entry.text === text)) entries.push({ set, text })
  }
  for (const endpoint of endpoints.here ?? []) add('KUBE-LOOP-BACK', hairpin(endpoint, protocol))
  add('KUBE-CLUSTER-IP', ipPort(clusterIP, protocol, port))
  const isLocal = servicePort.externalPolicy === 'Local'
  for (const ip of externalIPs) add(isLocal ? 'KUBE-EXTERNAL-IP-LOCAL' : 'KUBE-EXTERNAL-IP', ipPort(ip, protocol, port))
  addLoadBalancerEntries(servicePort, add)
  addNodePortEntries(servicePort, settings, add)
  for (const ip of addresses) add('KUBE-IPVS-IPS', ip)
  return entries
}

type AddEntry = (name: BaseSetName, text: string) => void

function addLoadBalancerEntries(servicePort: ServicePort, add: AddEntry): void {
  const { protocol, port, sourceRanges, nodeInSourceRanges, loadBalancerIPs } = servicePort
  for (const ip of loadBalancerIPs) {
    const text = ipPort(ip, protocol, port)
    add('KUBE-LOAD-BALANCER', text)
    if (servicePort.externalPolicy === 'Local') add('KUBE-LOAD-BALANCER-LOCAL', text)
    if (sourceRanges.length === 0) continue
    add('KUBE-LOAD-BALANCER-FW', text)
    for (const range of sourceRanges) add('KUBE-LOAD-BALANCER-SOURCE-CIDR', `${text},${networkText(range)}`)
    // This node reaches the VIP from the VIP itself, which is on kube-ipvs0.
    if (nodeInSourceRanges) add('KUBE-LOAD-BALANCER-SOURCE-IP', `${text},${ip}`)
  }
}

/** A node port that no address of the node serves has no entries, and neither has the health check port beside it. */
function addNodePortEntries(servicePort: ServicePort, settings: IpvsSettings, add: AddEntry): void {
  const { protocol, nodePort, healthCheckNodePort } = servicePort
  const { nodePortAddresses } = settings
  if (nodePort !== undefined) {
    // That the health check port is left out too looks like a slip of kube-proxy, but nothing depends on the entry where
    // INPUT accepts by default: recorded case config-variants-nodeport-none-match.
    if (nodePortAddresses.length === 0) return
    const isLocal = servicePort.externalPolicy === 'Local'
    const [plain, local] = NODE_PORT_SETS[protocol]
    // The rules about SCTP ports look for address and port, those about TCP and UDP for the port alone.
    const texts =
      protocol === 'sctp' ? nodePortAddresses.map((ip) => ipPort(ip, protocol, nodePort)) : [String(nodePort)]
    for (const text of texts) {
      add(plain, text)
      if (isLocal) add(local, text)
    }
  }
  if (healthCheckNodePort !== undefined) add('KUBE-HEALTH-CHECK-NODE-PORT', String(healthCheckNodePort))
}

const NODE_PORT_SETS: Readonly<Record<Protocol, readonly [plain: BaseSetName, local: BaseSetName]>> = {
  tcp: ['KUBE-NODE-PORT-TCP', 'KUBE-NODE-PORT-LOCAL-TCP'],
  udp: ['KUBE-NODE-PORT-UDP', 'KUBE-NODE-PORT-LOCAL-UDP'],
  sctp: ['KUBE-NODE-PORT-SCTP-HASH', 'KUBE-NODE-PORT-LOCAL-SCTP-HASH'],
}

/** An endpoint that reaches itself by way of a Service. */
function hairpin({ ip, port }: Endpoint, protocol: Protocol): string {
  return `${ipPort(ip, protocol, port)},${ip}`
}

function ipPort(ip: Ip, protocol: Protocol, port: number): string {
  return `${ip},${protocol}:${port}`
}

/** The tool leaves out the length of a network that is a single address. */
function networkText(cidr: Cidr): string {
  const ip = networkAddress(cidr)
  return cidr === hostCidr(ip) ? ip : cidr
}

/** Whether this node is not among those who may use the VIPs. It would get there by itself, past KUBE-PROXY-FIREWALL. */
function usesOutFilter({ sourceRanges, nodeInSourceRanges }: ServicePort): boolean {
  return sourceRanges.length > 0 && !nodeInSourceRanges
}

const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 }

function outFilterRule(vip: Ip, { protocol, port }: ServicePort): Rule {
  return {
    source: { value: hostCidr(vip) },
    matches: [{ kind: 'ipvs', protocol: PROTOCOL_NUMBERS[protocol], address: vip, port }],
    target: DROP,
  }
}
