// A cluster of Services that are all alike, for "N services x E endpoints".
import type { Ip } from '../model/address.ts'
import { objectKey } from '../model/object-name.ts'
import type { EndpointSlice, Service, ServiceEntry, Snapshot } from '../model/snapshot.ts'

export interface Shape {
  readonly services: number
  /** Of each Service. */
  readonly endpoints: number
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer'
}

const CLUSTER_NETWORK = 0x0a60_0000
const POD_NETWORK = 0x0a80_0000
const LOAD_BALANCERS = 0xcb00_7100
const FIRST_NODE_PORT = 30_000
const NODE_PORTS = 2_768

/** IPv4, one port each, named as Services mostly are; every endpoint is ready and elsewhere. */
export function makeSnapshot(shape: Shape): Snapshot {
  const services = Array.from({ length: shape.services }, (_, number) => makeEntry(number, shape))
  return { services: services.toSorted((a, b) => (a.key < b.key ? -1 : 1)), nodes: new Map() }
}

function makeEntry(number: number, { endpoints, type }: Shape): ServiceEntry {
  const namespace = `namespace-${number % 50}`
  const name = `service-${number}`
  const service: Service = {
    namespace,
    name,
    type,
    clusterIPs: { ipv4: address(CLUSTER_NETWORK + 256 + number) },
    ports: [
      {
        name: 'http',
        protocol: 'tcp',
        port: 80,
        ...(type !== 'ClusterIP' && { nodePort: FIRST_NODE_PORT + (number % NODE_PORTS) }),
      },
    ],
    externalIPs: [],
    listsExternalIPs: false,
    loadBalancerIPs: type === 'LoadBalancer' ? [address(LOAD_BALANCERS + number)] : [],
    loadBalancerSourceRanges: [],
    externalTrafficPolicy: 'Cluster',
    internalTrafficPolicy: 'Cluster',
  }
  const slice: EndpointSlice = {
    namespace,
    name: `${name}-abcde`,
    service: objectKey(namespace, name),
    family: 'ipv4',
    ports: [{ name: 'http', protocol: 'tcp', port: 8080 }],
    endpoints: Array.from({ length: endpoints }, (_, index) => ({
      ip: address(POD_NETWORK + number * endpoints + index),
      ready: true,
      serving: true,
      terminating: false,
    })),
  }
  return { key: objectKey(namespace, name), service, slices: [slice] }
}

function address(number: number): Ip {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.') as Ip
}
