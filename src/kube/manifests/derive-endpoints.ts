// Endpoints for Services that came without EndpointSlices, as from manifests written before there is a cluster: from the
// Endpoints object of the same name, else from the Pods that the Service selects, else none. The order of the input
// does not matter.
import * as v from 'valibot'
import type { Issue } from '../../model/issue.ts'
import { type ObjectKey, objectKey } from '../../model/object-name.ts'
import type { EndpointSlice } from '../../model/snapshot.ts'
import { fields } from '../decode/decode-schema.ts'
import { compareText } from './derived-slice.ts'
import type { RawObject } from './documents.ts'
import { mirrorEndpoints } from './mirrored-endpoints.ts'
import { labels, name, objectTitle, type Report } from './object-schema.ts'
import { indexPods, slicePods, type Zones } from './pod-endpoints.ts'
import { type Pod, readPod } from './pod-schema.ts'
import { readServiceSelection, type ServiceSelection } from './service-selection.ts'

export interface EndpointSources {
  readonly services: readonly RawObject[]
  readonly endpoints: readonly RawObject[]
  readonly pods: readonly RawObject[]
  readonly nodes: readonly RawObject[]
  /** Services that have an EndpointSlice in the input: nothing is derived for them. */
  readonly hasSlices: ReadonlySet<ObjectKey>
}

export interface DerivedEndpoints {
  /** Sorted by namespace and Service, then name. */
  readonly slices: readonly EndpointSlice[]
  /** What the endpoints of each Service without slices came from; headless and ExternalName Services need none. */
  readonly from: ReadonlyMap<ObjectKey, EndpointOrigin>
  readonly issues: readonly Issue[]
}

export type EndpointOrigin = 'Endpoints' | 'Pods' | 'nothing'

/** Pods and Endpoints that no such Service needs are not looked at, so nothing is reported about them. */
export function deriveEndpointSlices(input: EndpointSources): DerivedEndpoints {
  const issues: Issue[] = []
  const report: Report = (issue) => issues.push(issue)
  const services = readServices(input, report)
  const mirrored = readEndpoints(input.endpoints, services, report)
  const selecting = services.filter(({ key, selector }) => selector !== undefined && !mirrored.has(key))
  const podsOf = indexPods(readPods(input.pods, selecting, report))
  const zones = readZones(input.nodes)

  const slices: EndpointSlice[] = []
  const from = new Map<ObjectKey, EndpointOrigin>()
  for (const service of services) {
    const given = mirrored.get(service.key)
    const pods = given === undefined ? podsOf(service) : []
    const derived = given ?? slicePods(service, pods, zones)
    slices.push(...derived)
    from.set(service.key, given !== undefined ? 'Endpoints' : derived.length > 0 ? 'Pods' : 'nothing')
    if (pods.length > 0 && derived.length === 0) report(noAddresses(service, pods.length))
  }
  return { slices, from, issues }
}

function readServices({ services, hasSlices }: EndpointSources, report: Report): readonly ServiceSelection[] {
  // decode.ts reports Services without a name, and those that are given twice.
  const { chosen } = firstByKey(services, () => {})
  return [...chosen].flatMap(([key, service]) =>
    hasSlices.has(key) ? [] : (readServiceSelection(service, report) ?? []),
  )
}

function readEndpoints(
  objects: readonly RawObject[],
  services: readonly ServiceSelection[],
  report: Report,
): ReadonlyMap<ObjectKey, readonly EndpointSlice[]> {
  const keys = new Set(services.map(({ key }) => key))
  const wanted = objects.filter((object) => keys.size > 0 && isWanted(object, (key) => keys.has(key)))
  const { chosen, nameless } = firstByKey(wanted, report)
  for (const object of nameless) mirrorEndpoints(object, report)
  const mirrored = new Map<ObjectKey, readonly EndpointSlice[]>()
  for (const [key, object] of chosen) {
    const slices = mirrorEndpoints(object, report)
    if (slices !== undefined) mirrored.set(key, slices)
  }
  return mirrored
}

function readPods(
  objects: readonly RawObject[],
  services: readonly ServiceSelection[],
  report: Report,
): readonly Pod[] {
  const namespaces = new Set(services.map(({ namespace }) => namespace))
  const isNear = (key: ObjectKey) => namespaces.has(key.slice(0, key.indexOf('/')))
  const wanted = objects.filter((object) => namespaces.size > 0 && isWanted(object, isNear))
  const { chosen, nameless } = firstByKey(wanted, report)
  return [...chosen.values(), ...nameless].flatMap((object) => readPod(object, report) ?? [])
}

/** An object without a name might be any: it is read, and what is wrong with it reported. */
function isWanted(object: RawObject, hasKey: (key: ObjectKey) => boolean): boolean {
  const key = rawKey(object)
  return key === undefined || hasKey(key)
}

const ZONE_LABEL = 'topology.kubernetes.io/zone'
const NODE = fields({ metadata: fields({ name, labels: v.nullish(labels, {}) }) })

/** decode.ts reports what is wrong with a Node. */
function readZones(nodes: readonly RawObject[]): Zones {
  const zones = new Map<string, string>()
  for (const { value } of nodes) {
    const read = v.safeParse(NODE, value)
    const zone = read.success ? read.output.metadata.labels[ZONE_LABEL] : undefined
    if (read.success && zone) zones.set(read.output.metadata.name, zone)
  }
  return zones
}

interface ByKey {
  /** Sorted by key. */
  readonly chosen: ReadonlyMap<ObjectKey, RawObject>
  readonly nameless: readonly RawObject[]
}

/** Of several objects with one name the first by file and document counts. */
function firstByKey(objects: readonly RawObject[], report: Report): ByKey {
  const groups = Map.groupBy(objects.toSorted(comparePlaces), (object) => rawKey(object) ?? NAMELESS)
  const chosen = new Map<ObjectKey, RawObject>()
  for (const [key, [first, ...others]] of [...groups].toSorted(([a], [b]) => compareText(a, b))) {
    if (first === undefined || key === NAMELESS) continue
    chosen.set(key, first)
    for (const other of others) {
      const message = 'is given more than once, and the first counts: keep one of them'
      report({ severity: 'error', at: { ...other.at, object: objectTitle(other) }, message })
    }
  }
  return { chosen, nameless: groups.get(NAMELESS) ?? [] }
}

const NAMELESS = ''

function comparePlaces({ at: a }: RawObject, { at: b }: RawObject): number {
  return (
    compareText(a.source ?? '', b.source ?? '') ||
    (a.document ?? 0) - (b.document ?? 0) ||
    (a.line ?? 0) - (b.line ?? 0)
  )
}

/** Undefined when the object has no name that could be looked up. */
function rawKey({ value }: RawObject): ObjectKey | undefined {
  const { metadata } = value
  if (typeof metadata !== 'object' || metadata === null) return undefined
  const { namespace, name: given }: { namespace?: unknown; name?: unknown } = metadata
  const space = namespace ?? 'default'
  if (typeof given !== 'string' || typeof space !== 'string' || given === '') return undefined
  return objectKey(space, given)
}

function noAddresses({ at, families }: ServiceSelection, count: number): Issue {
  const wanted = families.map((family) => (family === 'ipv4' ? 'IPv4' : 'IPv6')).join(' or ')
  const message = `matches ${count} ${count === 1 ? 'Pod' : 'Pods'}, none of them running with an ${wanted} address, so the Service has no endpoints: give its EndpointSlices, or the Pods with their status while they run`
  return { severity: 'notice', at: { ...at, field: 'spec.selector' }, message }
}
