// The objects of one resource as the server last told us, decoded. A new list is gathered in a draft beside them and takes
// their place in one step, so that nothing is ever seen of a half-read list.
import type { Issue } from '../../model/issue.ts'
import { isSameValue } from '../decode/same-value.ts'
import type { Identity, RawValue, Resource } from './resource.ts'

/** Every field is always there: objects of one shape take half the memory, and there are tens of thousands. */
export interface Held<T> {
  readonly uid: string
  readonly version: string
  /** Undefined when there is nothing that rules could use, or it can't be read. */
  readonly object: T | undefined
  readonly changedAt: number | undefined
}

/** Something happened to one object. Created: `after` alone. Gone: `before` alone. */
export interface ObjectChange<T> {
  readonly key: string
  readonly before?: T
  readonly after?: T
  readonly changedAt?: number
}

export interface Replica<T> {
  readonly objects: () => ReadonlyMap<string, Held<T>>
  /** Empty when nothing changed; two changes when the object was deleted and created again. */
  readonly put: (identity: Identity, value: RawValue) => readonly ObjectChange<T>[]
  readonly remove: (identity: Identity) => readonly ObjectChange<T>[]
  readonly draft: () => Draft
}

export interface Draft {
  readonly put: (identity: Identity, value: RawValue) => void
  readonly remove: (identity: Identity) => void
  /** Takes the place of all that was known. */
  readonly commit: () => void
}

export interface ReplicaOptions<T> {
  readonly resource: Resource<T>
  readonly onIssues: (issues: readonly Issue[]) => void
  /** False: the server could not select by field. */
  readonly isSelected: (value: RawValue) => boolean
}

/** An object that says the same as before keeps its identity. */
export function createReplica<T>({ resource, onIssues, isSelected }: ReplicaOptions<T>): Replica<T> {
  let objects = new Map<string, Held<T>>()

  function hold({ uid, version }: Identity, value: RawValue, earlier: Held<T> | undefined): Held<T> {
    const { object, issues, changedAt } = resource.decode(value)
    if (issues.length > 0) onIssues(issues)
    const isUnchanged = earlier !== undefined && earlier.uid === uid && isSameValue(earlier.object, object)
    const kept = isUnchanged ? earlier.object : object
    // JSON.parse copies texts, so these keep nothing else in memory.
    return { uid, version, object: kept, changedAt }
  }

  function remove({ key }: Pick<Identity, 'key'>): readonly ObjectChange<T>[] {
    const earlier = objects.get(key)
    if (earlier === undefined) return []
    objects.delete(key)
    return earlier.object === undefined ? [] : [{ key, before: earlier.object }]
  }

  function put(identity: Identity, value: RawValue): readonly ObjectChange<T>[] {
    if (!isSelected(value)) return remove(identity)
    const { key, uid, version } = identity
    const earlier = objects.get(key)
    if (earlier?.uid === uid && earlier.version === version) return []
    const removed = earlier !== undefined && earlier.uid !== uid ? remove(identity) : []
    const held = hold(identity, value, objects.get(key))
    objects.set(earlier === undefined ? flatten(key) : key, held)
    const before = removed.length > 0 ? undefined : earlier?.object
    const after = held.object
    if (before === after) return removed
    const change = {
      key,
      ...(before !== undefined && { before }),
      ...(after !== undefined && { after }),
      ...(after !== undefined && held.changedAt !== undefined && { changedAt: held.changedAt }),
    }
    return [...removed, change]
  }

  function draft(): Draft {
    const fresh = new Map<string, Held<T>>()
    return {
      put: (identity, value) => {
        const { key, uid, version } = identity
        if (!isSelected(value)) {
          fresh.delete(key)
          return
        }
        const earlier = objects.get(key)
        const isKnown = earlier !== undefined && earlier.uid === uid && earlier.version === version
        fresh.set(flatten(key), isKnown ? earlier : hold(identity, value, earlier))
      },
      remove: ({ key }) => {
        fresh.delete(key)
      },
      commit: () => {
        objects = fresh
      },
    }
  }
  return { objects: () => objects, put, remove, draft }
}

/** The text in one piece: joined text keeps its parts. */
function flatten(text: string): string {
  return Buffer.from(text).toString()
}
