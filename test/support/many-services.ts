// Clusters of any size as Snapshots: equal Services with some endpoints each. Changing one keeps the others' identity.
import type { EndpointSlice, Family, Ip, NodeFacts, Service, ServiceEntry, Snapshot } from '../../src/index.ts'
import { defaultProxyConfig, describeNode } from '../../src/index.ts'

export const NODE_NAME = 'node1'

/** A node without nfacct, which a private network namespace cannot always have. */
export function plainNode(): NodeFacts {
  const host = {
    addresses: ['127.0.0.1', '192.168.1.63', '::1', 'fd00:1::63'].map((ip) => ip as Ip),
    features: { nfacct: false, randomFully: true, tcpBeLiberal: false },
  }
  return describeNode(NODE_NAME, undefined, defaultProxyConfig(), host).facts
}

/** `services` Services with `endpoints` endpoints each. */
export function manyServices(services: number, endpoints: number, family: Family = 'ipv4'): Snapshot {
  return snapshotOf(
    Array.from({ length: services }, (_, index) => serviceEntry(index, endpointIps(index, endpoints, family), family)),
  )
}

export function snapshotOf(entries: readonly ServiceEntry[]): Snapshot {
  const services = entries.toSorted((a, b) => (a.key < b.key ? -1 : 1))
  return { services, nodes: new Map() }
}

/** One Service with the endpoints; `change` overrides fields of the Service. */
export function serviceEntry(
  index: number,
  endpoints: readonly string[],
  family: Family = 'ipv4',
  change: Partial<Service> = {},
): ServiceEntry {
  const name = `svc${String(index).padStart(5, '0')}`
  const key = `bench/${name}`
  const service: Service = {
    namespace: 'bench',
    name,
    type: 'ClusterIP',
    clusterIPs: { [family]: clusterIp(index, family) },
    ports: [{ name: 'p', protocol: 'tcp', port: 80 }],
    externalIPs: [],
    listsExternalIPs: false,
    loadBalancerIPs: [],
    loadBalancerSourceRanges: [],
    externalTrafficPolicy: 'Cluster',
    internalTrafficPolicy: 'Cluster',
    ...change,
  }
  const slice: EndpointSlice = {
    namespace: 'bench',
    name: `${name}-a`,
    service: key,
    family,
    ports: service.ports.map(({ name: port, protocol }) => ({ name: port, protocol, port: 8080 })),
    endpoints: endpoints.map((ip) => ({ ip: ip as Ip, ready: true, serving: true, terminating: false })),
  }
  return { key, service, slices: endpoints.length === 0 ? [] : [slice] }
}

/** With all endpoints on this node. */
export function here(entry: ServiceEntry): ServiceEntry {
  const slices = entry.slices.map((slice) => ({
    ...slice,
    endpoints: slice.endpoints.map((endpoint) => ({ ...endpoint, nodeName: NODE_NAME })),
  }))
  return { ...entry, slices }
}

export function endpointIps(index: number, count: number, family: Family = 'ipv4'): readonly string[] {
  return Array.from({ length: count }, (_, endpoint) => {
    const number = index * count + endpoint + 1
    return family === 'ipv4'
      ? `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`
      : `fd00:10::${(number >> 16).toString(16)}:${(number & 0xffff).toString(16)}`.replace(/::0:/, '::')
  })
}

function clusterIp(index: number, family: Family): Ip {
  const number = index + 1
  return (family === 'ipv4' ? `172.30.${(number >> 8) & 255}.${number & 255}` : `fd00:30::${number.toString(16)}`) as Ip
}
