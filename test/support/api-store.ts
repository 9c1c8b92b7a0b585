// What an API server keeps: objects with one global resource version, their history until it is compacted, and the
// label and field selectors that we use.

export type Value = Record<string, unknown>

export interface Resource {
  /** As in URLs: `services`. */
  readonly name: string
  readonly path: string
  readonly kind: string
  readonly apiVersion: string
}

export const RESOURCES: readonly Resource[] = [
  { name: 'services', path: '/api/v1/services', kind: 'Service', apiVersion: 'v1' },
  { name: 'nodes', path: '/api/v1/nodes', kind: 'Node', apiVersion: 'v1' },
  {
    name: 'endpointslices',
    path: '/apis/discovery.k8s.io/v1/endpointslices',
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
  },
]

/** Listed, and watched by nobody. */
export const PODS: Resource = { name: 'pods', path: '/api/v1/pods', kind: 'Pod', apiVersion: 'v1' }

/** One write. `object` is absent for a removal, `before` for a creation. Both without kind and apiVersion, as in lists. */
export interface Change {
  readonly resourceVersion: number
  readonly resource: string
  /** `namespace/name`, or `name`. */
  readonly key: string
  readonly before?: Value
  readonly object?: Value
}

export interface Selectors {
  readonly labels: string
  readonly fields: string
}

export class ApiStore {
  readonly changes: Change[] = []
  /** Versions below this one are forgotten. */
  oldest = 0
  resourceVersion: number
  readonly #present = new Map<string, Map<string, Value>>()
  readonly #listeners = new Set<(change: Change) => void>()

  constructor(resourceVersion = 1000) {
    this.resourceVersion = resourceVersion
  }

  /** Creates or replaces the object that `value`'s metadata names; returns its new resource version. */
  put(resource: string, value: Value): number {
    const { kind: _, apiVersion: __, metadata, ...rest } = value
    const given = metadata as Value
    const key = keyOf(value)
    const before = this.get(resource, key)
    const old = before?.['metadata'] as Value | undefined
    const resourceVersion = this.resourceVersion + 1
    const stamped = {
      uid: `00000000-0000-4000-8000-${String(resourceVersion).padStart(12, '0')}`,
      creationTimestamp: '2026-11-20T18:33:47Z',
      ...given,
      ...(old && { uid: old['uid'], creationTimestamp: old['creationTimestamp'] }),
      resourceVersion: String(resourceVersion),
    }
    return this.#record({ resource, key, object: { metadata: stamped, ...rest } }, before)
  }

  delete(resource: string, key: string): number {
    const before = this.get(resource, key)
    if (before === undefined) throw new Error(`there is no ${resource} ${key}`)
    return this.#record({ resource, key }, before)
  }

  get(resource: string, key: string): Value | undefined {
    return this.#at(resource, this.resourceVersion).get(key)
  }

  /** The objects that match, in the order of their keys, as they were at `resourceVersion`. */
  list(resource: string, resourceVersion: number, selectors: Selectors): (readonly [string, Value])[] {
    return [...this.#at(resource, resourceVersion)]
      .filter(([, object]) => matches(object, selectors))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Forgets the history, as etcd does every five minutes: only the present can be read, or watched from. */
  compact(): void {
    this.oldest = this.resourceVersion
  }

  /** Raises the version without a change we see, as writes to other resources do. */
  advance(by = 1): void {
    this.resourceVersion += by
  }

  /** Calls back at each change until the returned function is called. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #at(resource: string, resourceVersion: number): ReadonlyMap<string, Value> {
    if (resourceVersion === this.resourceVersion) return this.#present.get(resource) ?? new Map()
    const objects = new Map<string, Value>()
    for (const change of this.changes) {
      if (change.resource !== resource || change.resourceVersion > resourceVersion) continue
      if (change.object === undefined) objects.delete(change.key)
      else objects.set(change.key, change.object)
    }
    return objects
  }

  #record(change: Omit<Change, 'resourceVersion' | 'before'>, before: Value | undefined): number {
    this.resourceVersion += 1
    const recorded = { ...change, resourceVersion: this.resourceVersion, ...(before && { before }) }
    this.changes.push(recorded)
    const present = this.#present.get(change.resource) ?? new Map<string, Value>()
    this.#present.set(change.resource, present)
    if (change.object === undefined) present.delete(change.key)
    else present.set(change.key, change.object)
    for (const listener of this.#listeners) listener(recorded)
    return this.resourceVersion
  }
}

export function keyOf(value: Value): string {
  const { namespace, name } = value['metadata'] as { readonly namespace?: string; readonly name: string }
  return namespace === undefined ? name : `${namespace}/${name}`
}

/** Label terms `key`, `!key`, `key=value`, `key!=value`; field terms with `=`, `==` and `!=`. */
export function matches(object: Value, { labels, fields }: Selectors): boolean {
  const own = ((object['metadata'] as Value)['labels'] ?? {}) as Readonly<Record<string, string>>
  return (
    terms(labels).every((term) => matchesLabel(own, term)) && terms(fields).every((term) => matchesField(object, term))
  )
}

/** The fields that can be selected by; a server refuses others. */
export const SELECTABLE: Readonly<Record<string, readonly string[]>> = {
  services: ['metadata.name', 'metadata.namespace', 'spec.clusterIP', 'spec.type'],
  endpointslices: ['metadata.name', 'metadata.namespace'],
  nodes: ['metadata.name', 'spec.unschedulable'],
  pods: ['metadata.name', 'metadata.namespace'],
}

export function terms(selector: string): string[] {
  return selector.split(',').filter((term) => term !== '')
}

/** `metadata.name!=x` -> name, value, and whether it is negated. */
export function splitTerm(term: string): { readonly name: string; readonly value: string; readonly not: boolean } {
  const [, name = '', operator = '', value = ''] = /^(.*?)(==|!=|=)(.*)$/.exec(term) ?? [undefined, term]
  return { name, value, not: operator === '!=' }
}

function matchesLabel(labels: Readonly<Record<string, string>>, term: string): boolean {
  if (term.startsWith('!') && !term.includes('=')) return !(term.slice(1) in labels)
  if (!term.includes('=')) return term in labels
  const { name, value, not } = splitTerm(term)
  return (labels[name] === value) !== not
}

function matchesField(object: Value, term: string): boolean {
  const { name, value, not } = splitTerm(term)
  const found = name.split('.').reduce<unknown>((place, part) => (place as Value | undefined)?.[part], object)
  return ((typeof found === 'string' ? found : '') === value) !== not
}
