// Writes generated clusters as the API does.
import type { EndpointSlice, Service, ServiceEntry, SliceEndpoint, Snapshot } from '../../src/model/snapshot.ts'

type Fields = Record<string, unknown>

/** The objects in the order of the snapshot. */
export function rawObjectsOf({ services }: Snapshot): readonly Fields[] {
  return services.flatMap((entry) => rawObjectsOfEntry(entry))
}

/** Text that parseDocuments reads. */
export function listText(items: readonly unknown[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
}

function rawObjectsOfEntry({ service, slices }: ServiceEntry): readonly Fields[] {
  return [rawServiceOf(service), ...slices.map(rawSliceOf)]
}

function rawServiceOf(service: Service): Fields {
  const clusterIPs = [service.clusterIPs.ipv4, service.clusterIPs.ipv6].filter((ip) => ip !== undefined)
  const listsUnreadable = service.listsExternalIPs && service.externalIPs.length === 0
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: service.namespace, name: service.name },
    spec: {
      type: service.type,
      clusterIP: clusterIPs[0] ?? 'None',
      clusterIPs,
      ipFamilies: clusterIPs.map((ip) => (ip.includes(':') ? 'IPv6' : 'IPv4')),
      ports: service.ports.map((port) => ({ ...port, protocol: port.protocol.toUpperCase() })),
      externalIPs: listsUnreadable ? [' '] : service.externalIPs,
      loadBalancerSourceRanges: service.loadBalancerSourceRanges,
      externalTrafficPolicy: service.externalTrafficPolicy,
      internalTrafficPolicy: service.internalTrafficPolicy,
      ...(service.affinitySeconds !== undefined && {
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: service.affinitySeconds } },
      }),
      ...(service.healthCheckNodePort !== undefined && { healthCheckNodePort: service.healthCheckNodePort }),
    },
    status: { loadBalancer: { ingress: service.loadBalancerIPs.map((ip) => ({ ip, ipMode: 'VIP' })) } },
  }
}

function rawSliceOf(slice: EndpointSlice): Fields {
  const labels = { 'kubernetes.io/service-name': slice.service.slice(slice.service.indexOf('/') + 1) }
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: slice.namespace, name: slice.name, labels },
    addressType: slice.family === 'ipv4' ? 'IPv4' : 'IPv6',
    ports: slice.ports.map((port) => ({ ...port, protocol: port.protocol.toUpperCase() })),
    endpoints: slice.endpoints.map(rawEndpointOf),
  }
}

function rawEndpointOf({ ip, ready, serving, terminating, nodeName, zoneHints, nodeHints }: SliceEndpoint): Fields {
  const named = (names: readonly string[] | undefined) => names?.map((name) => ({ name }))
  return {
    addresses: [ip],
    conditions: { ready, serving, terminating },
    ...(nodeName !== undefined && { nodeName }),
    hints: { forZones: named(zoneHints), forNodes: named(nodeHints) },
  }
}
