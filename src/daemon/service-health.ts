// Health check node ports: through them a load balancer asks a node whether it has endpoints of one Service. Here is
// which ports this node serves and what it answers; service-health-server.ts does it.
import { cidrContains, type Family, familyOfCidr, familyOfIp, type Ip, prefixLength } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { NodeFacts } from '../model/node.ts'
import type { ObjectKey } from '../model/object-name.ts'
import type { Service, ServiceEntry } from '../model/snapshot.ts'
import { collectEndpoints } from '../resolve/endpoints.ts'
import { nodePortCIDRs } from '../resolve/node-facts.ts'
import { jsonReply, type PrintedReply } from './http-reply.ts'

export interface HealthCheck {
  readonly port: number
  /** Distinct IPs of ready endpoints on this node. Terminating ones don't count, though they may still get traffic. */
  readonly localEndpoints: number
}

/** By Service, in the order of the snapshot. */
export type HealthChecks = ReadonlyMap<ObjectKey, HealthCheck>

/**
 * Finds the health checks of one family in the Services of a Snapshot. What was counted for an entry is remembered as
 * long as the entry lives.
 *
 * It reads the slices and not ServicePorts: kube-proxy counts the ready endpoints of every port that the slices have, also
 * where the Service's traffic policy makes no use of them.
 */
export function createHealthCheckFinder(
  family: Family,
  nodeName: string,
): (services: readonly ServiceEntry[]) => HealthChecks {
  const counts = new WeakMap<ServiceEntry, number>()
  const count = (entry: ServiceEntry): number => {
    const known = counts.get(entry) ?? countLocalReady(entry, family, nodeName)
    counts.set(entry, known)
    return known
  }
  return (services) => {
    const checks = new Map<ObjectKey, HealthCheck>()
    for (const entry of services) {
      const port = healthCheckPort(entry.service, family)
      if (port !== undefined) checks.set(entry.key, { port, localEndpoints: count(entry) })
    }
    return checks
  }
}

/**
 * Where the health checks of a family listen: on every address, or on each of the node's addresses that
 * nodePortAddresses names. kube-proxy determines it once, at its start.
 */
export function healthCheckAddresses(config: ProxyConfig, node: NodeFacts, family: Family): 'any' | readonly Ip[] {
  const cidrs = nodePortCIDRs(config, node).filter((cidr) => familyOfCidr(cidr) === family)
  if (cidrs.length === 0 || cidrs.some((cidr) => prefixLength(cidr) === 0)) return 'any'
  const chosen = node.host.addresses.filter((ip) => {
    return familyOfIp(ip) === family && cidrs.some((cidr) => cidrContains(cidr, ip))
  })
  return [...new Set(chosen)].toSorted()
}

/** The answer to any request; `healthy` is the proxy's own health. */
export function printServiceHealth(service: ObjectKey, localEndpoints: number, healthy: boolean): PrintedReply {
  const [namespace = '', name = ''] = service.split('/')
  const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy: healthy }
  const status = localEndpoints > 0 && healthy ? 200 : 503
  return jsonReply(status, JSON.stringify(body, undefined, '\t'), [
    ['X-Load-Balancing-Endpoint-Weight', String(localEndpoints)],
  ])
}

function healthCheckPort(service: Service, family: Family): number | undefined {
  const { type, externalTrafficPolicy, healthCheckNodePort, clusterIPs, ports } = service
  if (type !== 'LoadBalancer' || externalTrafficPolicy !== 'Local') return undefined
  if (clusterIPs[family] === undefined || ports.length === 0) return undefined
  return healthCheckNodePort === 0 ? undefined : healthCheckNodePort
}

function countLocalReady({ slices }: ServiceEntry, family: Family, nodeName: string): number {
  const ports = slices.flatMap((slice) => (slice.family === family ? slice.ports : []))
  const distinct = new Map(ports.map((port) => [`${port.protocol} ${port.name}`, port]))
  const ips = [...distinct.values()].flatMap(({ name, protocol }) => {
    return collectEndpoints(slices, family, name, protocol, nodeName).flatMap(({ ip, local, ready }) => {
      return local && ready ? ip : []
    })
  })
  return new Set(ips).size
}
