// Which endpoints may serve a port of a Service on this node: readiness, terminating endpoints as the last resort,
// topology hints, traffic policy. Facts: Kubernetes' EndpointSlice API and KEP-1669, KEP-2433, KEP-3015.
import { type Family, formatEndpoint } from '../model/address.ts'
import type { Protocol } from '../model/object-name.ts'
import type { Endpoint, EndpointLists } from '../model/service-port.ts'
import type { EndpointSlice, SliceEndpoint } from '../model/snapshot.ts'

export interface NodePlace {
  readonly nodeName: string
  /** Empty when the node has no zone. */
  readonly zone: string
}

export interface Wanted {
  readonly cluster: boolean
  readonly local: boolean
}

/** Whether anything can serve, anywhere in the cluster, beside the lists for this node. */
export interface ResolvedEndpoints extends EndpointLists {
  readonly any: boolean
}

const NONE: ResolvedEndpoints = { cluster: [], local: [], reachable: [], known: 0, any: false }

/** All endpoints of one port, duplicates merged, sorted by text; slices come sorted by name. */
export function collectEndpoints(
  slices: readonly EndpointSlice[],
  family: Family,
  portName: string,
  protocol: Protocol,
  nodeName: string,
): readonly Endpoint[] {
  const byText = new Map<string, Endpoint>()
  for (const slice of slices) {
    if (slice.family !== family) continue
    for (const { name, protocol: portProtocol, port } of slice.ports) {
      if (name !== portName || portProtocol !== protocol) continue
      for (const sliceEndpoint of slice.endpoints) {
        const endpoint = toEndpoint(sliceEndpoint, port, nodeName)
        // While a Pod moves between slices it stands in two; the one that is not going away counts.
        if (!endpoint.terminating || !byText.has(endpoint.text)) byText.set(endpoint.text, endpoint)
      }
    }
  }
  return inOrder([...byText.values()])
}

/** Sorts the candidates out by traffic policy. `endpoints` are those of collectEndpoints. */
export function resolveEndpoints(endpoints: readonly Endpoint[], wanted: Wanted, place: NodePlace): ResolvedEndpoints {
  if (endpoints.length === 0) return NONE
  const known = endpoints.length
  const ready = endpoints.filter((endpoint) => endpoint.ready)
  const lastResort = endpoints.filter((endpoint) => endpoint.serving && endpoint.terminating)
  const hints = chooseHints(ready, place)
  const near = hints === undefined ? ready : ready.filter(hints)
  const cluster = !wanted.cluster ? [] : near.length > 0 ? near : lastResort
  if (!wanted.local) return { cluster, local: [], reachable: cluster, known, any: cluster.length > 0 }

  const any = ready.length > 0 || lastResort.length > 0
  const readyHere = ready.filter((endpoint) => endpoint.local)
  const local = readyHere.length > 0 ? readyHere : lastResort.filter((endpoint) => endpoint.local)
  if (!wanted.cluster) return { cluster, local, reachable: local, known, any }
  return { cluster, local, reachable: union(cluster, local), known, any }
}

function toEndpoint(from: SliceEndpoint, port: number, nodeName: string): Endpoint {
  return {
    text: formatEndpoint(from.ip, port),
    ip: from.ip,
    port,
    ready: from.ready,
    serving: from.serving,
    terminating: from.terminating,
    local: nodeName !== '' && from.nodeName === nodeName,
    ...(from.zoneHints && { zoneHints: from.zoneHints }),
    ...(from.nodeHints && { nodeHints: from.nodeHints }),
  }
}

/**
 * The filter that topology hints ask for, or undefined when they don't apply: hints count only when every ready endpoint
 * has them and one of them is meant for this node or its zone; node hints come before zone hints.
 */
function chooseHints(ready: readonly Endpoint[], place: NodePlace): ((endpoint: Endpoint) => boolean) | undefined {
  if (ready.length === 0) return undefined
  const forNode = (endpoint: Endpoint) => endpoint.nodeHints?.includes(place.nodeName) === true
  if (ready.every((endpoint) => endpoint.nodeHints !== undefined) && ready.some(forNode)) return forNode
  const forZone = (endpoint: Endpoint) => endpoint.zoneHints?.includes(place.zone) === true
  if (ready.every((endpoint) => endpoint.zoneHints !== undefined) && ready.some(forZone)) return forZone
  return undefined
}

function union(cluster: readonly Endpoint[], local: readonly Endpoint[]): readonly Endpoint[] {
  const missing = local.filter((endpoint) => !cluster.includes(endpoint))
  return missing.length === 0 ? cluster : inOrder([...cluster, ...missing])
}

/** By bytes of `ip:port`, so that 10.0.0.10:80 comes before 10.0.0.1:80: kube-proxy's order, on which probabilities depend. */
function inOrder(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  return endpoints.toSorted((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))
}
