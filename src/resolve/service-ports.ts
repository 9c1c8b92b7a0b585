// A Service and its EndpointSlices -> the ServicePorts of one family on this node.
import { cidrContains, type Family, familyOfCidr, familyOfIp, type Ip, prefixLength } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { NodeFacts } from '../model/node.ts'
import { objectKey, servicePortName } from '../model/object-name.ts'
import type { Decision, ServicePort } from '../model/service-port.ts'
import type { EndpointSlice, Service, ServicePortSpec, TrafficPolicy } from '../model/snapshot.ts'
import { collectEndpoints, type NodePlace, resolveEndpoints } from './endpoints.ts'

export interface ResolveContext extends NodePlace {
  readonly family: Family
  readonly nodeIP: Ip
  /** Feature gate AllowServiceExternalIPs. */
  readonly allowExternalIPs: boolean
  /** Keep also what runs here and is not ready: IPVS mode asks for it. */
  readonly keepHere?: true
}

export function resolveContext(config: ProxyConfig, node: NodeFacts, family: Family): ResolveContext {
  return {
    family,
    nodeName: node.name,
    zone: node.zone,
    nodeIP: node.nodeIPs[family],
    allowExternalIPs: config.featureGates['AllowServiceExternalIPs'] ?? true,
  }
}

/** The ServicePorts in the order of the Service's ports; none for a Service that has no cluster IP of the family. */
export function resolveServicePorts(
  service: Service,
  slices: readonly EndpointSlice[],
  context: ResolveContext,
): readonly ServicePort[] {
  const clusterIP = service.clusterIPs[context.family]
  if (service.type === 'ExternalName' || clusterIP === undefined) return []
  // Of two entries with one name and protocol the later one counts.
  const specs = new Map(service.ports.map((spec) => [`${spec.protocol} ${spec.name}`, spec]))
  return [...specs.values()].map((spec) => resolvePort(service, clusterIP, spec, slices, context))
}

function resolvePort(
  service: Service,
  clusterIP: Ip,
  spec: ServicePortSpec,
  slices: readonly EndpointSlice[],
  context: ResolveContext,
): ServicePort {
  const { family } = context
  const key = objectKey(service.namespace, service.name)
  const externalIPs = service.externalIPs.filter((ip) => familyOfIp(ip) === family)
  const loadBalancerIPs = service.loadBalancerIPs.filter((ip) => familyOfIp(ip) === family)
  const externallyAccessible = spec.nodePort !== undefined || loadBalancerIPs.length > 0 || externalIPs.length > 0
  const internalPolicy = service.internalTrafficPolicy
  const externalPolicy = effectiveExternalPolicy(service)
  const wanted = {
    cluster: internalPolicy !== 'Local' || externallyAccessible,
    local: internalPolicy === 'Local' || (externalPolicy === 'Local' && externallyAccessible),
  }
  const all = collectEndpoints(slices, family, spec.name, spec.protocol, context.nodeName)
  const { any, ...lists } = resolveEndpoints(all, wanted, context)
  const endpoints = {
    ...lists,
    ...(spec.protocol === 'udp' && { udp: all }),
    ...(context.keepHere && { here: all.filter((endpoint) => endpoint.local) }),
  }
  const sourceRanges = effectiveSourceRanges(service, family)
  const { nodePort } = spec
  const { affinitySeconds, healthCheckNodePort } = service
  return {
    service: key,
    name: servicePortName(key, spec.name),
    protocol: spec.protocol,
    family,
    clusterIP,
    port: spec.port,
    ...(nodePort !== undefined && { nodePort }),
    // Switched off by the gate they still make the port externally accessible, as in kube-proxy.
    externalIPs: context.allowExternalIPs ? externalIPs : [],
    loadBalancerIPs,
    sourceRanges,
    nodeInSourceRanges: sourceRanges.some((range) => cidrContains(range, context.nodeIP)),
    ...(affinitySeconds !== undefined && { affinitySeconds }),
    ...(healthCheckNodePort !== undefined && hasHealthCheck(service) && { healthCheckNodePort }),
    internalPolicy,
    externalPolicy,
    externallyAccessible,
    internal: decide(internalPolicy, any, endpoints.local.length),
    external: decide(externalPolicy, any, endpoints.local.length),
    endpoints,
  }
}

function decide(policy: TrafficPolicy, anyEndpoint: boolean, localEndpoints: number): Decision {
  if (!anyEndpoint) return { kind: 'reject' }
  if (policy === 'Cluster') return { kind: 'balance', over: 'cluster' }
  return localEndpoints > 0 ? { kind: 'balance', over: 'local' } : { kind: 'drop' }
}

/** A ClusterIP Service without external IPs has no external traffic, and its policy no effect. */
function effectiveExternalPolicy(service: Service): TrafficPolicy {
  const hasExternalTraffic = service.type !== 'ClusterIP' || service.listsExternalIPs
  return hasExternalTraffic ? service.externalTrafficPolicy : 'Cluster'
}

function hasHealthCheck(service: Service): boolean {
  return service.type === 'LoadBalancer' && service.externalTrafficPolicy === 'Local'
}

/** Ranges of this family alone, so a list of the other family's ranges filters nothing; one /0 opens everything. */
function effectiveSourceRanges(service: Service, family: Family): ServicePort['sourceRanges'] {
  const ranges = service.loadBalancerSourceRanges.filter((range) => familyOfCidr(range) === family)
  return ranges.some((range) => prefixLength(range) === 0) ? [] : ranges
}
