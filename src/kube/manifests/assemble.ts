// Raw objects, from manifests or from one read of a cluster, -> Snapshot. Chooses the objects that count, decodes them,
// and puts EndpointSlices to their Services.
import type { Issue } from '../../model/issue.ts'
import { type ObjectKey, objectKey } from '../../model/object-name.ts'
import type { EndpointSlice, Node, Service, ServiceEntry, Snapshot } from '../../model/snapshot.ts'
import { decodeEndpointSlice, decodeNode, decodeService } from '../decode/decode.ts'
import { SERVICE_NAME } from '../decode/decode-endpoint-slice.ts'
import { type Decoded, objectTitle, pathOf } from '../decode/decode-schema.ts'
import { deriveEndpointSlices, type EndpointOrigin } from './derive-endpoints.ts'
import type { RawObject } from './documents.ts'
import { type KnownKind, sortByKind } from './object-kinds.ts'
import { isMapping } from './parsed-document.ts'

export interface Assembly {
  readonly snapshot: Snapshot
  readonly issues: readonly Issue[]
  /** How many objects of each other kind were in the input: `ConfigMap`, `Service.serving.knative.dev`. */
  readonly ignoredKinds: ReadonlyMap<string, number>
  /** How many Services with a cluster IP came with EndpointSlices, usable or not. */
  readonly withSlices: number
  /** How many Services without EndpointSlices got their endpoints from where. */
  readonly derived: ReadonlyMap<EndpointOrigin, number>
}

/**
 * The order of the objects does not matter, except that of two objects of one kind and name the later one counts. What
 * can't be used is left out and reported.
 */
export function assembleSnapshot(objects: readonly RawObject[]): Assembly {
  const issues: Issue[] = []
  const report = (found: readonly Issue[]) => {
    for (const issue of found) issues.push(issue)
  }
  const { byKind, ignoredKinds, issues: kindIssues } = sortByKind(objects)
  report(kindIssues)
  const chosen = (kind: KnownKind) => chooseLast(byKind[kind], kind, report)
  const rawServices = chosen('Service')
  const rawNodes = chosen('Node')
  const rawSlices = chosen('EndpointSlice')
  const services = decodeAll(rawServices, decodeService, report)
  const slices = decodeAll(rawSlices, decodeEndpointSlice, report)
  const hasSlices = new Set(rawSlices.flatMap((raw) => serviceOfSlice(raw) ?? []))
  const derived = deriveEndpointSlices({
    services: services.map(({ raw }) => raw),
    endpoints: chosen('Endpoints'),
    pods: chosen('Pod'),
    nodes: rawNodes,
    hasSlices,
  })
  report(derived.issues)
  const nodes = decodeAll(rawNodes, decodeNode, report)
  const named = new Set(rawServices.flatMap((raw) => keyOf(raw, 'Service') ?? []))
  report(slices.flatMap(({ raw, object }) => (named.has(object.service) ? [] : strayNotice(raw, object))))
  const snapshot: Snapshot = {
    services: entriesOf(
      services.map(({ object }) => object),
      [...slices.map(({ object }) => object), ...derived.slices],
    ),
    nodes: new Map(nodes.map(({ object }): [string, Node] => [object.name, object])),
  }
  const withSlices = snapshot.services.filter(({ key, service }) => hasClusterIP(service) && hasSlices.has(key)).length
  return { snapshot, issues, ignoredKinds, withSlices, derived: countOrigins(derived.from) }
}

interface DecodedObject<T> {
  readonly raw: RawObject
  readonly object: T
}

function decodeAll<T>(
  raws: readonly RawObject[],
  decode: (value: unknown, at: RawObject['at']) => Decoded<T>,
  report: (issues: readonly Issue[]) => void,
): readonly DecodedObject<T>[] {
  const decoded: DecodedObject<T>[] = []
  for (const raw of raws) {
    const { object, issues } = decode(raw.value, raw.at)
    if (issues.length > 0) report(issues.map((issue) => withLine(issue, raw)))
    if (object !== undefined) decoded.push({ raw, object })
  }
  return decoded
}

/** The issue with the line of its field. */
function withLine(issue: Issue, { lineOf }: RawObject): Issue {
  const line = lineOf?.(pathOf(issue.at.field ?? ''))
  return line === undefined ? issue : { ...issue, at: { ...issue.at, line } }
}

/** One object for each name: the last. Objects without a readable name are all kept, for the decoder to refuse. */
function chooseLast(
  raws: readonly RawObject[],
  kind: KnownKind,
  report: (issues: readonly Issue[]) => void,
): readonly RawObject[] {
  const last = new Map<string | RawObject, RawObject>()
  for (const raw of raws) {
    const key = keyOf(raw, kind) ?? raw
    const earlier = last.get(key)
    if (earlier !== undefined) report([repeatedIssue(raw, earlier, kind)])
    last.set(key, raw)
  }
  return [...last.values()]
}

function repeatedIssue(raw: RawObject, earlier: RawObject, kind: KnownKind): Issue {
  const object = objectTitle(kind, raw.value, kind !== 'Node')
  const message = `is given twice, and this one counts instead of the one at ${describePlace(earlier)}: keep one of them`
  return withLine({ severity: 'error', at: { ...raw.at, object }, message }, raw)
}

function describePlace({ at, lineOf }: RawObject): string {
  const { source = 'the same input', document } = at
  const line = lineOf?.([]) ?? at.line
  return [source, document && `document ${document}`, line && `line ${line}`].filter(Boolean).join(', ')
}

function keyOf({ value }: RawObject, kind: KnownKind): ObjectKey | undefined {
  const { metadata } = value
  if (!isMapping(metadata) || typeof metadata['name'] !== 'string') return undefined
  const namespace = kind === 'Node' ? '' : (metadata['namespace'] ?? 'default')
  return typeof namespace === 'string' ? objectKey(namespace, metadata['name']) : undefined
}

/** The Service that the slice names, whether or not the slice can be used: its author meant it to have slices. */
function serviceOfSlice({ value }: RawObject): ObjectKey | undefined {
  const { metadata } = value
  if (!isMapping(metadata) || !isMapping(metadata['labels'])) return undefined
  const namespace = metadata['namespace'] ?? 'default'
  const service = metadata['labels'][SERVICE_NAME]
  return typeof service === 'string' && typeof namespace === 'string' ? objectKey(namespace, service) : undefined
}

function strayNotice(raw: RawObject, { namespace, name, service }: EndpointSlice): readonly Issue[] {
  const message = `is a slice of no known Service and has no effect: add the Service ${service}`
  const at = { ...raw.at, object: `EndpointSlice ${namespace}/${name}` }
  return [withLine({ severity: 'notice', at, message }, raw)]
}

function entriesOf(services: readonly Service[], slices: readonly EndpointSlice[]): readonly ServiceEntry[] {
  const byService = Map.groupBy(slices, ({ service }) => service)
  return services
    .map((service): ServiceEntry => {
      const key = objectKey(service.namespace, service.name)
      return { key, service, slices: (byService.get(key) ?? []).toSorted((a, b) => compareText(a.name, b.name)) }
    })
    .toSorted((a, b) => compareText(a.key, b.key))
}

/** Byte order for ASCII text. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function hasClusterIP({ clusterIPs }: Service): boolean {
  return Object.keys(clusterIPs).length > 0
}

function countOrigins(from: ReadonlyMap<ObjectKey, EndpointOrigin>): ReadonlyMap<EndpointOrigin, number> {
  const counts = new Map<EndpointOrigin, number>()
  for (const origin of from.values()) counts.set(origin, (counts.get(origin) ?? 0) + 1)
  return counts
}
