// Generates edits of a cluster. As in a live cluster what an edit does not touch keeps its identity.
import * as fc from 'fast-check'
import type { ServiceEntry, SliceEndpoint, Snapshot } from '../../src/model/snapshot.ts'
import {
  arbitraryAnyEntry,
  arbitrarySlices,
  bulkEntry,
  entryOf,
  type SliceBody,
  snapshotOf,
} from './arbitrary-cluster.ts'

export type Edit =
  /** Adds a Service, or replaces the one of its name. */
  | { readonly kind: 'put'; readonly entry: ServiceEntry }
  | { readonly kind: 'remove'; readonly place: number }
  | { readonly kind: 'service'; readonly place: number; readonly like: ServiceEntry }
  | { readonly kind: 'slices'; readonly place: number; readonly slices: readonly SliceBody[] }
  | { readonly kind: 'condition'; readonly place: number; readonly states: Conditions }
  /** A Service that brings the cluster to the threshold of large ones, or past it. */
  | { readonly kind: 'bulk'; readonly endpoints: number }
  /** A new object that is equal to the old one: an annotation changed. */
  | { readonly kind: 'renew'; readonly place: number }
  /** All objects are read again. */
  | { readonly kind: 'relist' }

type Conditions = Pick<SliceEndpoint, 'ready' | 'serving' | 'terminating'>

export function arbitraryEdits(): fc.Arbitrary<readonly Edit[]> {
  return fc.array(arbitraryEdit(), { minLength: 1, maxLength: 5 })
}

export function arbitraryEdit(): fc.Arbitrary<Edit> {
  const place = fc.nat({ max: 4 })
  const states = exact({ ready: fc.boolean(), serving: fc.boolean(), terminating: fc.boolean() })
  return fc.oneof(
    edit('put', { entry: arbitraryAnyEntry() }),
    edit('remove', { place }),
    edit('service', { place, like: arbitraryAnyEntry() }),
    edit('slices', { place, slices: arbitrarySlices() }),
    edit('condition', { place, states }),
    edit('bulk', { endpoints: fc.constantFrom(0, 980, 995, 1000, 1001) }),
    edit('renew', { place }),
    edit('relist', {}),
  ) as fc.Arbitrary<Edit>
}

export function applyEdit(snapshot: Snapshot, change: Edit): Snapshot {
  const { services } = snapshot
  if (change.kind === 'relist') return structuredClone(snapshot)
  if (change.kind === 'put') return put(services, change.entry)
  if (change.kind === 'bulk') return put(services, bulkEntry(change.endpoints))
  const entry = services[change.place % Math.max(services.length, 1)]
  if (entry === undefined) return snapshot
  if (change.kind === 'remove') return snapshotOf(services.filter((other) => other !== entry))
  return put(services, editEntry(entry, change))
}

export function applyEdits(snapshot: Snapshot, changes: readonly Edit[]): Snapshot {
  return changes.reduce(applyEdit, snapshot)
}

type EntryEdit = Extract<Edit, { kind: 'service' | 'slices' | 'condition' | 'renew' }>

function editEntry(entry: ServiceEntry, change: EntryEdit): ServiceEntry {
  const { namespace, name } = entry.service
  switch (change.kind) {
    case 'service':
      return { ...entry, service: { ...change.like.service, namespace, name } }
    case 'slices':
      return entryOf(entry.service, change.slices)
    case 'condition': {
      const [slice, ...others] = entry.slices
      const [endpoint, ...rest] = slice?.endpoints ?? []
      if (slice === undefined || endpoint === undefined) return { ...entry }
      return { ...entry, slices: [{ ...slice, endpoints: [{ ...endpoint, ...change.states }, ...rest] }, ...others] }
    }
    case 'renew':
      return { ...entry }
    default:
      return change satisfies never
  }
}

function put(services: readonly ServiceEntry[], entry: ServiceEntry): Snapshot {
  return snapshotOf([...services.filter(({ key }) => key !== entry.key), entry])
}

function edit<T>(kind: Edit['kind'], fields: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<unknown> {
  return exact({ kind: fc.constant(kind), ...fields })
}

function exact<T>(fields: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true })
}
