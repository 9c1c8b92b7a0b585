// Which kinds of Kubernetes objects bear on a node's rules, and what becomes of the others.
import type { Issue } from '../../model/issue.ts'
import { objectTitle, quote } from '../decode/decode-schema.ts'
import type { RawObject } from './documents.ts'

export type KnownKind = 'Service' | 'EndpointSlice' | 'Node' | 'Pod' | 'Endpoints'

const API_VERSIONS: Readonly<Record<KnownKind, string>> = {
  Service: 'v1',
  EndpointSlice: 'discovery.k8s.io/v1',
  Node: 'v1',
  Pod: 'v1',
  Endpoints: 'v1',
}

export interface SortedObjects {
  /** In the order of the input. */
  readonly byKind: Readonly<Record<KnownKind, readonly RawObject[]>>
  /** Counts by kind, with the group where the kind alone would be misread: `Service.serving.knative.dev`. */
  readonly ignoredKinds: ReadonlyMap<string, number>
  readonly issues: readonly Issue[]
}

/** Kinds that have nothing to do with rules are counted; another version of one that has is an error. */
export function sortByKind(objects: readonly RawObject[]): SortedObjects {
  const byKind: Record<KnownKind, RawObject[]> = { Service: [], EndpointSlice: [], Node: [], Pod: [], Endpoints: [] }
  const ignoredKinds = new Map<string, number>()
  const issues: Issue[] = []
  for (const raw of objects) {
    const { kind, apiVersion } = raw.value
    if (typeof kind !== 'string' || kind === '' || typeof apiVersion !== 'string' || apiVersion === '') {
      issues.push(incomplete(raw))
    } else if (!isKnown(kind)) {
      count(ignoredKinds, kind)
    } else if (API_VERSIONS[kind] === apiVersion) {
      byKind[kind].push(raw)
    } else if (groupOf(apiVersion) === groupOf(API_VERSIONS[kind])) {
      issues.push(otherVersion(raw, kind, apiVersion))
    } else {
      count(ignoredKinds, `${kind}.${groupOf(apiVersion)}`)
    }
  }
  return { byKind, ignoredKinds, issues }
}

function isKnown(kind: string): kind is KnownKind {
  return Object.hasOwn(API_VERSIONS, kind)
}

/** Empty for the core group: `v1`. */
function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
}

function count(counts: Map<string, number>, kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1)
}

function incomplete({ value, at, lineOf }: RawObject): Issue {
  const kind = typeof value['kind'] === 'string' ? value['kind'] : ''
  const field = kind === '' ? 'kind' : 'apiVersion'
  const given = value[field]
  const problem = given === undefined || given === null || given === '' ? 'is missing' : `${quote(given)} is not text`
  const line = lineOf?.([field])
  return {
    severity: 'error',
    at: { ...at, ...(line !== undefined && { line }), object: objectTitle(safeKind(kind), value), field },
    message: `${problem}: write one, as in \`${field === 'kind' ? 'kind: Service' : 'apiVersion: v1'}\``,
  }
}

function safeKind(kind: string): string {
  return /^[A-Za-z]{1,63}$/.test(kind) ? kind : 'object'
}

function otherVersion({ value, at, lineOf }: RawObject, kind: KnownKind, apiVersion: string): Issue {
  const line = lineOf?.(['apiVersion'])
  const object = objectTitle(kind, value, kind !== 'Node')
  return {
    severity: 'error',
    at: { ...at, ...(line !== undefined && { line }), object, field: 'apiVersion' },
    message: `${quote(apiVersion)} is not read: write ${kind} objects as ${API_VERSIONS[kind]}`,
  }
}
