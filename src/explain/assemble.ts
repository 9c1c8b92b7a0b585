// Raw objects, from manifests or a live cluster, -> the Cluster that the checks look at: the Snapshot that rules are made
// of, and beside it what rules are not made of.

import { decodeEndpointSlice } from '../kube/decode/decode.ts'
import { SERVICE_NAME } from '../kube/decode/decode-endpoint-slice.ts'
import { type Assembly, assembleSnapshot } from '../kube/manifests/assemble.ts'
import type { RawObject } from '../kube/manifests/documents.ts'
import type { Issue } from '../model/issue.ts'
import type { ObjectKey } from '../model/object-name.ts'
import type { EndpointSlice } from '../model/snapshot.ts'
import { type Cluster, indexCluster, type StraySlice } from './cluster.ts'
import { type PodObject, readPodObject } from './pod-object.ts'
import { textAt, textMapAt } from './raw-fields.ts'
import { readServiceObject, type ServiceObject } from './service-object.ts'

export interface AssembledCluster {
  readonly cluster: Cluster
  readonly assembly: Assembly
}

export interface AssembleOptions {
  /** The objects are all that a live cluster has, so nothing is derived from others. */
  readonly complete: boolean
  /** Pods could be read, though there may be none. */
  readonly knowsPods: boolean
}

const HEADLESS_LABEL = 'service.kubernetes.io/headless'

export function assembleCluster(
  objects: readonly RawObject[],
  { complete, knowsPods }: AssembleOptions,
): AssembledCluster {
  const ofKind = (kind: string) => objects.filter(({ value }) => value['kind'] === kind)
  const rawSlices = ofKind('EndpointSlice').filter(({ value }) => textAt(value, 'apiVersion') === 'discovery.k8s.io/v1')
  const rawPods = ofKind('Pod').filter(isCore)
  const assembly = assembleSnapshot(complete ? objects.filter(({ value }) => value['kind'] !== 'Pod') : objects)
  const services = lastByKey(
    ofKind('Service')
      .filter(isCore)
      .flatMap(({ value }) => readServiceObject(value) ?? []),
  )
  const known = new Set(services.map(({ key }) => key))
  const pods = lastByKey(rawPods.flatMap(({ value }) => readPodObject(value) ?? []))
  const owners = new Map(rawSlices.map(({ value }) => [sliceKey(value), ownerOf(value)]))
  const cluster = indexCluster({
    snapshot: assembly.snapshot,
    services,
    ...((knowsPods || pods.length > 0) && { pods }),
    headlessSlices: rawSlices.flatMap(readHeadlessSlice),
    hasSlices: new Set([...owners.values()].filter((owner) => owner !== undefined)),
    straySlices: rawSlices.flatMap(({ value }) => readStray(value, known)),
    complete,
    issues: issuesByService(assembly.issues, owners),
  })
  return { cluster, assembly }
}

function isCore({ value }: RawObject): boolean {
  return value['apiVersion'] === 'v1'
}

/** As the Snapshot has it: sorted by key, and of two with one name the later. */
function lastByKey<T extends ServiceObject | PodObject>(objects: readonly T[]): readonly T[] {
  const byKey = new Map(objects.map((object) => [object.key, object]))
  return [...byKey.values()].toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
}

function namespaceOf(value: unknown): string {
  return textAt(value, 'metadata', 'namespace') ?? 'default'
}

function sliceKey(value: unknown): string {
  return `${namespaceOf(value)}/${textAt(value, 'metadata', 'name') ?? ''}`
}

function ownerOf(value: unknown): ObjectKey | undefined {
  const service = textMapAt(value, 'metadata', 'labels')[SERVICE_NAME]
  return service === undefined || service === '' ? undefined : `${namespaceOf(value)}/${service}`
}

/** Nodes pass over these slices; DNS does not. */
function readHeadlessSlice({ value, at }: RawObject): readonly EndpointSlice[] {
  const { [HEADLESS_LABEL]: marked, ...labels } = textMapAt(value, 'metadata', 'labels')
  const metadata = value['metadata']
  if (marked === undefined || typeof metadata !== 'object' || metadata === null) return []
  const { object } = decodeEndpointSlice({ ...value, metadata: { ...metadata, labels } }, at)
  return object === undefined ? [] : [object]
}

function readStray(value: unknown, known: ReadonlySet<ObjectKey>): readonly StraySlice[] {
  const owner = ownerOf(value)
  if (owner !== undefined && known.has(owner)) return []
  const service = textMapAt(value, 'metadata', 'labels')[SERVICE_NAME]
  const name = textAt(value, 'metadata', 'name') ?? '(no name)'
  return [{ namespace: namespaceOf(value), name, ...(service !== undefined && service !== '' && { service }) }]
}

const TITLE = /^(Service|EndpointSlice|Endpoints) (\S+\/\S+)$/

/** Errors only: notices tell of what a check finds too. */
function issuesByService(
  issues: readonly Issue[],
  owners: ReadonlyMap<string, ObjectKey | undefined>,
): ReadonlyMap<ObjectKey, readonly Issue[]> {
  const found = new Map<ObjectKey, Issue[]>()
  for (const issue of issues) {
    const [, kind, key = ''] = TITLE.exec(issue.at.object ?? '') ?? []
    const service = kind === 'EndpointSlice' ? owners.get(key) : key
    if (issue.severity !== 'error' || service === undefined || service === '') continue
    found.set(service, [...(found.get(service) ?? []), issue])
  }
  return found
}
