// Everything that the checks look things up in, indexed once: a check must not go through a whole cluster.

import { indexPods } from '../kube/manifests/pod-endpoints.ts'
import { FAMILIES, type Family, familyOfIp, formatEndpoint, type Ip } from '../model/address.ts'
import type { Issue } from '../model/issue.ts'
import { type ObjectKey, servicePortName } from '../model/object-name.ts'
import type { EndpointSlice, Node, Service, ServiceEntry, Snapshot } from '../model/snapshot.ts'
import type { PodObject } from './pod-object.ts'
import type { ServiceObject } from './service-object.ts'

export interface ClusterInput {
  readonly snapshot: Snapshot
  readonly services: readonly ServiceObject[]
  /** Absent when nobody has read them. */
  readonly pods?: readonly PodObject[]
  /** Slices of headless Services, which no rule is made of. */
  readonly headlessSlices: readonly EndpointSlice[]
  /** Services whose slices are in the input; those of the others were derived from Pods or Endpoints. */
  readonly hasSlices: ReadonlySet<ObjectKey>
  /** Slices that belong to no Service, because their label is missing or names another. */
  readonly straySlices: readonly StraySlice[]
  /** A live cluster was read: what is not in the input does not exist. */
  readonly complete: boolean
  /** What was found wrong with objects, by the Service that they belong to. */
  readonly issues: ReadonlyMap<ObjectKey, readonly Issue[]>
}

export interface StraySlice {
  readonly namespace: string
  readonly name: string
  /** What its label says, if anything. */
  readonly service?: string
}

export interface Cluster extends ClusterInput {
  readonly byKey: ReadonlyMap<ObjectKey, ServiceObject>
  readonly entries: ReadonlyMap<ObjectKey, ServiceEntry>
  readonly headless: ReadonlyMap<ObjectKey, readonly EndpointSlice[]>
  readonly podsOf: (service: ServiceObject) => readonly PodObject[]
  readonly podsByNamespace: ReadonlyMap<string, readonly PodObject[]>
  /** Not those that share their node's address. */
  readonly podByIp: ReadonlyMap<Ip, PodObject>
  /** Cluster IPs, and whose they are. */
  readonly clusterIPs: ReadonlyMap<Ip, ObjectKey>
  readonly nodeByAddress: ReadonlyMap<Ip, Node>
  /** Claims that several Services make, in the order of their rules: `10.0.0.9:80/tcp`. */
  readonly contested: ReadonlyMap<string, readonly ObjectKey[]>
}

export function indexCluster(input: ClusterInput): Cluster {
  const pods = input.pods ?? []
  const services = input.snapshot.services.map(({ service }) => service)
  const podsOf = indexPods(pods)
  return {
    ...input,
    byKey: new Map(input.services.map((service) => [service.key, service])),
    entries: new Map(input.snapshot.services.map((entry) => [entry.key, entry])),
    headless: Map.groupBy(input.headlessSlices, ({ service }) => service),
    podsOf,
    podsByNamespace: Map.groupBy(pods, ({ namespace }) => namespace),
    podByIp: new Map(pods.filter(({ hostNetwork }) => !hostNetwork).flatMap((pod) => pod.ips.map((ip) => [ip, pod]))),
    clusterIPs: new Map(services.flatMap((service) => FAMILIES.flatMap((family) => clusterIPOf(service, family)))),
    nodeByAddress: new Map(
      [...input.snapshot.nodes.values()].flatMap((node) => node.addresses.map((ip) => [ip, node])),
    ),
    contested: findContested(services),
  }
}

/** What one port of a Service claims in one family, as text: addresses with the port, and the node port. */
export function claimsOf(service: Service, port: Service['ports'][number], family: Family): readonly string[] {
  const clusterIP = service.clusterIPs[family]
  if (clusterIP === undefined || service.type === 'ExternalName') return []
  const ips = [clusterIP, ...service.externalIPs, ...service.loadBalancerIPs].filter((ip) => familyOfIp(ip) === family)
  const claims = [...new Set(ips)].map((ip) => `${formatEndpoint(ip, port.port)}/${port.protocol}`)
  // Every family has its own rules for a node port.
  if (port.nodePort !== undefined) claims.push(`${family} node port ${port.nodePort}/${port.protocol}`)
  return claims
}

function clusterIPOf(service: Service, family: Family): readonly (readonly [Ip, ObjectKey])[] {
  const ip = service.clusterIPs[family]
  return ip === undefined || service.type === 'ExternalName' ? [] : [[ip, `${service.namespace}/${service.name}`]]
}

interface Claimant {
  readonly key: ObjectKey
  /** Orders the rules of shared chains. */
  readonly order: string
}

function findContested(services: readonly Service[]): Cluster['contested'] {
  const first = new Map<string, Claimant>()
  const several = new Map<string, Claimant[]>()
  for (const service of services) {
    const key = `${service.namespace}/${service.name}`
    for (const port of service.ports) {
      const claimant = { key, order: `${servicePortName(key, port.name)} ${port.protocol}` }
      for (const family of FAMILIES) {
        for (const claim of claimsOf(service, port, family)) {
          const known = first.get(claim)
          if (known === undefined) first.set(claim, claimant)
          else if (known.key !== key) several.set(claim, [...(several.get(claim) ?? [known]), claimant])
        }
      }
    }
  }
  const inOrder = (claimants: readonly Claimant[]) =>
    claimants.toSorted((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : 0)).map(({ key }) => key)
  return new Map([...several].map(([claim, claimants]) => [claim, [...new Set(inOrder(claimants))]]))
}
