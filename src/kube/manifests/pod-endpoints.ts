// Slices for a Service from the Pods that it selects, as the EndpointSlice controller makes them, but for one thing: a
// Pod whose Node is not in the input counts. To the controller the Node is gone, here it was more likely not given.
// Rules: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/, KEP-1672, KEP-4444, KEP-3015
import type { EndpointSlice, SliceEndpoint, SlicePort } from '../../model/snapshot.ts'
import { type DerivedEndpoint, groupIntoSlices } from './derived-slice.ts'
import type { Pod } from './pod-schema.ts'
import type { ServiceSelection } from './service-selection.ts'

/** The node's zone by the node's name. */
export type Zones = ReadonlyMap<string, string>

/** `pods` are those that the Service selects. */
export function slicePods(service: ServiceSelection, pods: readonly Pod[], zones: Zones): readonly EndpointSlice[] {
  return groupIntoSlices(
    service,
    pods.flatMap((pod) => derivePod(service, pod, zones)),
  )
}

/** Finds the Pods that a Service selects without going through all of them. */
export function indexPods<P extends Pick<Pod, 'namespace' | 'labels'>>(
  pods: readonly P[],
): (service: Pick<ServiceSelection, 'namespace' | 'selector'>) => readonly P[] {
  const byLabel = new Map<string, P[]>()
  for (const pod of pods) {
    for (const [label, value] of Object.entries(pod.labels)) {
      const key = labelKey(pod.namespace, label, value)
      const known = byLabel.get(key)
      if (known === undefined) byLabel.set(key, [pod])
      else known.push(pod)
    }
  }
  return ({ namespace, selector }) => {
    const wanted = Object.entries(selector ?? {})
    const candidates = wanted.map(([label, value]) => byLabel.get(labelKey(namespace, label, value)) ?? [])
    const [fewest] = candidates.toSorted((a, b) => a.length - b.length)
    return fewest?.filter((pod) => wanted.every(([label, value]) => pod.labels[label] === value)) ?? []
  }
}

function labelKey(namespace: string, label: string, value: string): string {
  return JSON.stringify([namespace, label, value])
}

function derivePod(service: ServiceSelection, pod: Pod, zones: Zones): readonly DerivedEndpoint[] {
  const ports = resolvePorts(service, pod)
  const { serving, terminating, nodeName } = pod
  // A terminating Pod is never ready, except where the Service asks for every address.
  const ready = service.publishNotReady || (serving && !terminating)
  return service.families.flatMap((family): readonly DerivedEndpoint[] => {
    const ip = pod.ips[family]
    if (ip === undefined) return []
    const hints = ready ? deriveHints(service.hints, nodeName, zones) : {}
    return [
      {
        ports,
        endpoint: { ip, ready, serving, terminating, ...(nodeName && { nodeName }), ...hints },
        origin: pod.name,
      },
    ]
  })
}

/** A port whose name the Pod does not have is left out. */
function resolvePorts(service: ServiceSelection, pod: Pod): readonly SlicePort[] {
  return service.ports.flatMap(({ name, protocol, target }): readonly SlicePort[] => {
    const port =
      typeof target === 'number'
        ? target
        : pod.namedPorts.find((named) => named.name === target && named.protocol === protocol)?.port
    return port === undefined ? [] : [{ name, protocol, port }]
  })
}

/** Only ready endpoints get hints, each for itself; the proxy then asks whether all have them. */
function deriveHints(
  wanted: ServiceSelection['hints'],
  nodeName: string | undefined,
  zones: Zones,
): Pick<SliceEndpoint, 'zoneHints' | 'nodeHints'> {
  if (wanted === 'none' || nodeName === undefined) return {}
  const zone = zones.get(nodeName)
  return {
    ...(zone !== undefined && { zoneHints: [zone] }),
    ...(wanted === 'zone and node' && { nodeHints: [nodeName] }),
  }
}
