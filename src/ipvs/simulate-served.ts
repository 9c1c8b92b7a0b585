// Which ports IPVS serves at an address, and which node ports there are, by its virtual servers and the sets around them.
import { type FoundPort, type ServedPorts, servedPorts } from '../iptables/simulate-served.ts'
import type { SavedSets } from '../iptables/simulate-sets.ts'
import { type Family, familyOfIp, type Ip, parseIp } from '../model/address.ts'
import type { SavedService } from './parse.ts'
import { type BaseSetName, setName } from './sets.ts'
import type { VirtualServerOwner } from './simulate.ts'
import type { VirtualServerKey } from './virtual-server.ts'

/** An address and port of a virtual server. */
export interface ServerAddress {
  readonly key: VirtualServerKey
  readonly protocol: string
  readonly ip: Ip
  readonly port: number
}

/** Undefined for a firewall mark. */
export function serverAddress({ key }: SavedService): ServerAddress | undefined {
  const [, protocol = '', bracketed, plain = '', port = ''] =
    /^(\S+) (?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(key ?? '') ?? []
  const ip = parseIp(bracketed ?? plain)
  return key === undefined || ip === undefined ? undefined : { key, protocol, ip, port: Number(port) }
}

/** As the sets have it: `10.96.1.10,tcp:80`. */
export function setEntry(protocol: string, ip: Ip, port: number): string {
  return `${ip},${protocol}:${port}`
}

const NODE_PORTS: Readonly<Record<string, BaseSetName>> = {
  tcp: 'KUBE-NODE-PORT-TCP',
  udp: 'KUBE-NODE-PORT-UDP',
  sctp: 'KUBE-NODE-PORT-SCTP-HASH',
}
/** What is in these is no node port, whatever its number. */
const ADDRESSES: readonly BaseSetName[] = [
  'KUBE-CLUSTER-IP',
  'KUBE-EXTERNAL-IP',
  'KUBE-EXTERNAL-IP-LOCAL',
  'KUBE-LOAD-BALANCER',
]

/** Those of one family; without `sets` node ports are ports like others. They are read when it is first asked. */
export function servedByServers(
  services: readonly SavedService[],
  family: Family,
  sets: SavedSets | undefined,
  owners: ReadonlyMap<VirtualServerKey, VirtualServerOwner>,
): ServedPorts {
  const has = (name: BaseSetName, entry: string) => sets?.get(setName(name, family))?.entries.has(entry) === true
  const isNodePort = ({ protocol, ip, port }: ServerAddress) => {
    const entry = setEntry(protocol, ip, port)
    const nodePorts = NODE_PORTS[protocol]
    if (nodePorts === undefined || ADDRESSES.some((name) => has(name, entry))) return false
    return has(nodePorts, protocol === 'sctp' ? entry : String(port))
  }
  const read = () =>
    services.flatMap((saved): readonly FoundPort[] => {
      const server = serverAddress(saved)
      if (server === undefined || familyOfIp(server.ip) !== family) return []
      const { key, protocol, ip, port } = server
      const service = owners.get(key)?.service
      const served = { protocol, port, ...(service !== undefined && { service }) }
      return isNodePort(server) ? [served] : [{ ...served, address: ip }]
    })
  return servedPorts(read)
}
