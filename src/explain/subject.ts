// One Service as the checks see it: what was written, what it comes to on a node, who asks, and from where.
import { FAMILIES, type Family, type Ip } from '../model/address.ts'
import { servicePortName } from '../model/object-name.ts'
import type { Endpoint, ServicePort } from '../model/service-port.ts'
import type { EndpointSlice, Service } from '../model/snapshot.ts'
import { collectEndpoints } from '../resolve/endpoints.ts'
import { resolveServicePorts } from '../resolve/service-ports.ts'
import { type Client, identifyClient } from './client.ts'
import type { Cluster } from './cluster.ts'
import type { Finding, FindingSeverity } from './finding.ts'
import type { PodObject } from './pod-object.ts'
import type { ServiceObject, WrittenPort } from './service-object.ts'
import type { Viewpoint } from './viewpoint.ts'

export interface Subject {
  readonly written: ServiceObject
  /** Absent when it can't be read, or is left to another proxy. */
  readonly service?: Service
  readonly slices: readonly EndpointSlice[]
  /** Its slices are in the input, rather than derived from Pods or Endpoints. */
  readonly hasSlices: boolean
  /** Those that it selects; absent when Pods are not known, or it selects none by itself. */
  readonly pods?: readonly PodObject[]
  readonly ports: readonly PortView[]
  /** The node of each endpoint, by address. */
  readonly nodeOf: ReadonlyMap<Ip, string>
  readonly cluster: Cluster
  readonly view: Viewpoint
  readonly client?: Client
}

/** One port in one family. */
export interface PortView {
  readonly family: Family
  /** In spec.ports. */
  readonly index: number
  readonly written: WrittenPort
  readonly servicePort: ServicePort
  /** All that are known, ready or not. */
  readonly endpoints: readonly Endpoint[]
}

export type Check = (subject: Subject) => readonly Finding[]

export function describeSubject(written: ServiceObject, cluster: Cluster, view: Viewpoint): Subject {
  const entry = cluster.entries.get(written.key)
  const service = written.otherProxy === undefined ? entry?.service : undefined
  const slices = (written.clusterIP === 'None' ? cluster.headless.get(written.key) : entry?.slices) ?? []
  const pods = cluster.pods !== undefined && written.selector !== undefined ? cluster.podsOf(written) : undefined
  const client = view.client === undefined ? undefined : identifyClient(view.client, cluster, view)
  return {
    written,
    ...(service && { service }),
    slices,
    hasSlices: cluster.hasSlices.has(written.key),
    ...(pods && { pods }),
    ports: service === undefined ? [] : FAMILIES.flatMap((family) => viewPorts(service, written, slices, family, view)),
    nodeOf: new Map(
      slices.flatMap(({ endpoints }) => endpoints.flatMap(({ ip, nodeName }) => (nodeName ? [[ip, nodeName]] : []))),
    ),
    cluster,
    view,
    ...(client && { client }),
  }
}

function viewPorts(
  service: Service,
  written: ServiceObject,
  slices: readonly EndpointSlice[],
  family: Family,
  { config, node }: Viewpoint,
): readonly PortView[] {
  if (service.clusterIPs[family] === undefined) return []
  const nodeName = node?.name ?? ''
  const context = {
    family,
    nodeName,
    zone: node?.zone ?? '',
    nodeIP: node?.nodeIPs[family] ?? ((family === 'ipv4' ? '127.0.0.1' : '::1') as Ip),
    allowExternalIPs: config.featureGates['AllowServiceExternalIPs'] ?? true,
  }
  return resolveServicePorts(service, slices, context).flatMap((servicePort): readonly PortView[] => {
    // Of two entries with one name and protocol the later one counts.
    const index = service.ports.findLastIndex(
      ({ name, protocol }) =>
        protocol === servicePort.protocol && servicePortName(written.key, name) === servicePort.name,
    )
    const spec = service.ports[index]
    const port = written.ports[index]
    if (spec === undefined || port === undefined) return []
    const endpoints = collectEndpoints(slices, family, spec.name, spec.protocol, nodeName)
    return [{ family, index, written: port, servicePort, endpoints }]
  })
}

/** A finding about the Service itself. */
export function onService(
  { written }: Subject,
  check: string,
  severity: FindingSeverity,
  field: string | undefined,
  means: string,
  advice?: string,
): Finding {
  return {
    severity,
    check,
    at: { object: `Service ${written.key}`, ...(field !== undefined && { field }) },
    means,
    ...(advice !== undefined && { advice }),
  }
}

/** `port http`, `port 80/tcp` */
export function portTitle({ name, port, protocol }: WrittenPort): string {
  return name === '' ? `port ${port}/${protocol}` : `port ${name} (${port}/${protocol})`
}

/** Has rules at all: a cluster IP, and no other proxy. */
export function isServed({ ports }: Subject): boolean {
  return ports.length > 0
}

/** One port of every pair that differs only in family. */
export function onePerPort(views: readonly PortView[]): readonly PortView[] {
  return [...new Map(views.map((view) => [view.index, view])).values()]
}

/** The addresses of endpoints that can serve, by the readiness that counts for a Service as a whole. */
export function readyNodes({ ports, nodeOf }: Subject): ReadonlySet<string> {
  const usable = ports.flatMap(({ endpoints }) => {
    const ready = endpoints.filter((endpoint) => endpoint.ready)
    return ready.length > 0 ? ready : endpoints.filter(({ serving, terminating }) => serving && terminating)
  })
  return new Set(usable.flatMap(({ ip }) => nodeOf.get(ip) ?? []))
}
