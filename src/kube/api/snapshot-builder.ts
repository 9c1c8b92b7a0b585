// Services, EndpointSlices and the Node as they come from three watches -> Snapshots. The work follows the change, apart
// from one copied array of pointers; a ServiceEntry of which nothing changed is the same object in the next Snapshot.
import type { ObjectKey } from '../../model/object-name.ts'
import type { EndpointSlice, Node, Service, ServiceEntry, Snapshot } from '../../model/snapshot.ts'
import { isSameValue } from '../decode/same-value.ts'
import type { Held, ObjectChange } from './replica.ts'

/** How a Snapshot differs from the one before. */
export interface SnapshotChanges {
  /** The first one: everything is new. */
  readonly isFirst: boolean
  /** Services that were added, changed or deleted, or whose slices were. Of the first Snapshot: all. */
  readonly services: ReadonlySet<ObjectKey>
  /** When the causes of changes to slices happened, in milliseconds since 1970, by Service. */
  readonly triggerTimes: ReadonlyMap<ObjectKey, readonly number[]>
  readonly node: boolean
}

export interface BuiltSnapshot {
  readonly snapshot: Snapshot
  readonly changes: SnapshotChanges
}

export interface SnapshotBuilder {
  readonly replaceServices: (objects: ReadonlyMap<string, Held<Service>>) => void
  readonly changeServices: (changes: readonly ObjectChange<Service>[]) => void
  readonly replaceSlices: (objects: ReadonlyMap<string, Held<EndpointSlice>>) => void
  readonly changeSlices: (changes: readonly ObjectChange<EndpointSlice>[]) => void
  readonly setNode: (node: Node | undefined) => void
  /** What changed since the last confirm(). Undefined when nothing did, or Services or slices are not listed yet. */
  readonly build: () => BuiltSnapshot | undefined
  /** The Snapshot has arrived: further changes are told against it. */
  readonly confirm: (built: BuiltSnapshot) => void
}

const NO_SLICES: readonly EndpointSlice[] = []

export function createSnapshotBuilder(): SnapshotBuilder {
  let services: Map<ObjectKey, Service> | undefined
  let slices: Map<ObjectKey, readonly EndpointSlice[]> | undefined
  let nodes: ReadonlyMap<string, Node> = new Map()
  let confirmed: Snapshot | undefined
  let touched = new Set<ObjectKey>()
  let times = new Map<ObjectKey, number[]>()

  function replaceServices(objects: ReadonlyMap<string, Held<Service>>): void {
    const before = services
    const after = new Map<ObjectKey, Service>()
    for (const [key, { object }] of objects) {
      if (object === undefined) continue
      after.set(key, object)
      if (before?.get(key) !== object) touched.add(key)
    }
    for (const key of before?.keys() ?? []) if (!after.has(key)) touched.add(key)
    services = after
  }

  function changeServices(changes: readonly ObjectChange<Service>[]): void {
    for (const { key, after } of changes) {
      if (after === undefined) services?.delete(key)
      else services?.set(key, after)
      touched.add(key)
    }
  }

  function replaceSlices(objects: ReadonlyMap<string, Held<EndpointSlice>>): void {
    const before = slices
    const after = groupByService(objects)
    for (const [key, group] of after) {
      const earlier = before?.get(key)
      if (earlier !== undefined && isSameList(earlier, group)) after.set(key, earlier)
      else touched.add(key)
    }
    for (const key of before?.keys() ?? []) if (!after.has(key)) touched.add(key)
    if (before !== undefined) noteNewTimes(objects, before)
    slices = after
  }

  function noteNewTimes(
    objects: ReadonlyMap<string, Held<EndpointSlice>>,
    before: ReadonlyMap<ObjectKey, readonly EndpointSlice[]>,
  ): void {
    for (const { object, changedAt } of objects.values()) {
      if (object === undefined || changedAt === undefined) continue
      if (before.get(object.service)?.includes(object) !== true) noteTime(object.service, changedAt)
    }
  }

  function changeSlices(changes: readonly ObjectChange<EndpointSlice>[]): void {
    for (const { before, after, changedAt } of changes) {
      if (before !== undefined && before.service !== after?.service) {
        setGroup(before.service, without(slices?.get(before.service) ?? NO_SLICES, before.name))
        // A removal has no time of its own, and the earlier ones would be taken for its.
        times.delete(before.service)
      }
      if (after !== undefined) {
        const others = without(slices?.get(after.service) ?? NO_SLICES, after.name)
        setGroup(after.service, [...others, after].toSorted(byName))
        if (changedAt !== undefined) noteTime(after.service, changedAt)
      }
    }
  }

  function setGroup(service: ObjectKey, group: readonly EndpointSlice[]): void {
    if (group.length === 0) slices?.delete(service)
    else slices?.set(service, group)
    touched.add(service)
  }

  function noteTime(service: ObjectKey, time: number): void {
    const known = times.get(service)
    if (known === undefined) times.set(service, [time])
    else known.push(time)
  }

  function setNode(node: Node | undefined): void {
    const [earlier] = nodes.values()
    if (!isSameValue(earlier, node)) nodes = new Map(node === undefined ? [] : [[node.name, node]])
  }

  function build(): BuiltSnapshot | undefined {
    if (services === undefined || slices === undefined) return undefined
    const isNodeChanged = confirmed !== undefined && confirmed.nodes !== nodes
    const { entries, changed } = rebuildEntries(confirmed?.services ?? [], touched, services, slices)
    if (confirmed !== undefined && changed.size === 0 && !isNodeChanged) return undefined
    const triggerTimes = new Map([...times].filter(([service]) => changed.has(service)))
    const changes = { isFirst: confirmed === undefined, services: changed, triggerTimes, node: isNodeChanged }
    return { snapshot: { services: entries, nodes }, changes }
  }

  function confirm({ snapshot }: BuiltSnapshot): void {
    confirmed = snapshot
    touched = new Set()
    times = new Map()
  }
  return { replaceServices, changeServices, replaceSlices, changeSlices, setNode, build, confirm }
}

/** Copies what is untouched in runs, so that a change among 10,000 Services costs microseconds. */
function rebuildEntries(
  before: readonly ServiceEntry[],
  touched: ReadonlySet<ObjectKey>,
  services: ReadonlyMap<ObjectKey, Service>,
  slices: ReadonlyMap<ObjectKey, readonly EndpointSlice[]>,
): { readonly entries: readonly ServiceEntry[]; readonly changed: ReadonlySet<ObjectKey> } {
  const changed = new Set<ObjectKey>()
  const entries: ServiceEntry[] = []
  let from = 0
  for (const key of [...touched].toSorted(compareText)) {
    const place = findPlace(before, key, from)
    for (let index = from; index < place; index += 1) entries.push(before[index] as ServiceEntry)
    const earlier = before[place]?.key === key ? before[place] : undefined
    from = earlier === undefined ? place : place + 1
    const service = services.get(key)
    const group = slices.get(key) ?? NO_SLICES
    if (service === undefined) {
      if (earlier !== undefined) changed.add(key)
    } else if (earlier?.service === service && earlier.slices === group) {
      entries.push(earlier)
    } else {
      changed.add(key)
      entries.push({ key, service, slices: group })
    }
  }
  for (let index = from; index < before.length; index += 1) entries.push(before[index] as ServiceEntry)
  return { entries, changed }
}

/** The first index from `from` on whose key is not below `key`. */
function findPlace(entries: readonly ServiceEntry[], key: ObjectKey, from: number): number {
  let low = from
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((entries[middle]?.key ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}

function groupByService(objects: ReadonlyMap<string, Held<EndpointSlice>>): Map<ObjectKey, readonly EndpointSlice[]> {
  const groups = new Map<ObjectKey, EndpointSlice[]>()
  for (const { object } of objects.values()) {
    if (object === undefined) continue
    const group = groups.get(object.service)
    if (group === undefined) groups.set(object.service, [object])
    else group.push(object)
  }
  for (const group of groups.values()) if (group.length > 1) group.sort(byName)
  return groups
}

function without(slices: readonly EndpointSlice[], name: string): readonly EndpointSlice[] {
  return slices.filter((slice) => slice.name !== name)
}

function isSameList(a: readonly EndpointSlice[], b: readonly EndpointSlice[]): boolean {
  return a.length === b.length && a.every((slice, index) => slice === b[index])
}

function byName(a: EndpointSlice, b: EndpointSlice): number {
  return compareText(a.name, b.name)
}

/** Byte order for ASCII text, as in assembleSnapshot. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
