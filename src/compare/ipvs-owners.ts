// Whose a virtual server, a set's entry or an address of kube-ipvs0 is. Nothing in them says it, so the ServicePorts of the
// sides do; where there are none, the address or port itself is what things are grouped by.
import type { SetName } from '../ipset/ip-set.ts'
import type { SavedService } from '../ipvs/parse.ts'
import { type BaseSetName, SET_NAMES, setName } from '../ipvs/sets.ts'
import type { Ip } from '../model/address.ts'
import type { ObjectKey } from '../model/object-name.ts'
import { type IpvsSide, type ServedAddress, servedAddress } from './ipvs-side.ts'
import type { Group } from './owners.ts'

export interface IpvsOwners {
  readonly ofServer: (server: SavedService) => Group
  readonly ofEntry: (set: SetName, entry: string) => Group
  readonly ofAddress: (ip: Ip) => Group
}

export function createIpvsOwners(sides: readonly IpvsSide[]): IpvsOwners {
  const known = indexServices(sides)
  const { family } = sides[0] ?? { family: 'ipv4' as const }
  const baseOf = new Map(SET_NAMES.map((name) => [setName(name, family), name] as const))
  const has = (bases: readonly BaseSetName[], entry: string) =>
    sides.some(({ sets }) => bases.some((base) => sets.get(setName(base, family))?.entries.has(entry) === true))
  const isBound = (ip: Ip) => sides.some(({ addresses }) => addresses?.has(ip) === true) || has(['KUBE-IPVS-IPS'], ip)
  const grouped = (service: ObjectKey | undefined, name: string): Group =>
    service === undefined ? { kind: 'object', name } : { kind: 'service', service }
  const ofAddress = (ip: Ip) => grouped(known.addresses.get(ip), `virtual IP ${ip}`)
  return {
    ofServer: (server) => {
      const at = servedAddress(server)
      if (at === undefined) return FOREIGN
      const entry = entryOf(at)
      const own = known.ports.get(entry)
      if (own !== undefined) return { kind: 'service', service: own }
      if (isBound(at.address) || has(ADDRESS_SETS, entry)) return ofAddress(at.address)
      const nodePort = known.nodePorts.get(`${at.protocol}:${at.port}`)
      if (nodePort !== undefined) return { kind: 'service', service: nodePort }
      const isNodePort = has(NODE_PORT_SETS, entry) || has([...(BITMAPS[at.protocol] ?? [])], String(at.port))
      return isNodePort ? { kind: 'object', name: `node port ${at.port}/${at.protocol}` } : FOREIGN
    },
    ofEntry: (set, entry) => {
      const base = baseOf.get(set)
      if (base === 'KUBE-IPVS-IPS') return ofAddress(entry as Ip)
      if (base === 'KUBE-HEALTH-CHECK-NODE-PORT') {
        return grouped(known.healthChecks.get(Number(entry)), `health check port ${entry}`)
      }
      const bitmap = Object.entries(BITMAPS).find(([, bases]) => base !== undefined && bases.includes(base))?.[0]
      if (bitmap !== undefined)
        return grouped(known.nodePorts.get(`${bitmap}:${entry}`), `node port ${entry}/${bitmap}`)
      const [ip = '', port = ''] = entry.split(',')
      if (base === 'KUBE-LOOP-BACK') return grouped(known.endpoints.get(`${ip},${port}`), `endpoint ${ip}`)
      if (base !== undefined && NODE_PORT_SETS.includes(base)) {
        const [protocol = '', number = ''] = port.split(':')
        return grouped(known.nodePorts.get(port), `node port ${number}/${protocol}`)
      }
      return grouped(known.ports.get(`${ip},${port}`) ?? known.addresses.get(ip as Ip), `virtual IP ${ip}`)
    },
    ofAddress,
  }
}

const FOREIGN: Group = { kind: 'foreign' }

/** As sets have it: `10.0.0.1,tcp:80`. */
export function entryOf({ address, protocol, port }: ServedAddress): string {
  return `${address},${protocol}:${port}`
}

/** Every virtual server that is no node port's is in one of them. */
export const ADDRESS_SETS: readonly BaseSetName[] = [
  'KUBE-CLUSTER-IP',
  'KUBE-EXTERNAL-IP',
  'KUBE-EXTERNAL-IP-LOCAL',
  'KUBE-LOAD-BALANCER',
]
const NODE_PORT_SETS: readonly BaseSetName[] = ['KUBE-NODE-PORT-SCTP-HASH', 'KUBE-NODE-PORT-LOCAL-SCTP-HASH']
const BITMAPS: Readonly<Record<string, readonly BaseSetName[]>> = {
  tcp: ['KUBE-NODE-PORT-TCP', 'KUBE-NODE-PORT-LOCAL-TCP'],
  udp: ['KUBE-NODE-PORT-UDP', 'KUBE-NODE-PORT-LOCAL-UDP'],
}

interface KnownServices {
  /** By `10.0.0.1,tcp:80`. */
  readonly ports: ReadonlyMap<string, ObjectKey>
  readonly addresses: ReadonlyMap<Ip, ObjectKey>
  /** By `tcp:30080`. */
  readonly nodePorts: ReadonlyMap<string, ObjectKey>
  readonly healthChecks: ReadonlyMap<number, ObjectKey>
  /** By `10.0.0.1,tcp:80`; an endpoint of several is the first one's. */
  readonly endpoints: ReadonlyMap<string, ObjectKey>
}

function indexServices(sides: readonly IpvsSide[]): KnownServices {
  const ports = new Map<string, ObjectKey>()
  const addresses = new Map<Ip, ObjectKey>()
  const nodePorts = new Map<string, ObjectKey>()
  const healthChecks = new Map<number, ObjectKey>()
  const endpoints = new Map<string, ObjectKey>()
  const claim = <K>(map: Map<K, ObjectKey>, key: K, service: ObjectKey) => {
    if (!map.has(key)) map.set(key, service)
  }
  for (const port of sides.flatMap(({ servicePorts }) => servicePorts)) {
    const { service, protocol, clusterIP, externalIPs, loadBalancerIPs, nodePort, healthCheckNodePort } = port
    for (const ip of [clusterIP, ...externalIPs, ...loadBalancerIPs]) {
      claim(ports, `${ip},${protocol}:${port.port}`, service)
      claim(addresses, ip, service)
    }
    if (nodePort !== undefined) claim(nodePorts, `${protocol}:${nodePort}`, service)
    if (healthCheckNodePort !== undefined) claim(healthChecks, healthCheckNodePort, service)
    for (const { ip, port: at } of port.endpoints.here ?? []) claim(endpoints, `${ip},${protocol}:${at}`, service)
  }
  return { ports, addresses, nodePorts, healthChecks, endpoints }
}
