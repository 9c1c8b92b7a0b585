// Two sides' virtual servers, sets and addresses of one family, by Service, then by object. The order within a set, or of
// virtual servers, is nobody's choice, and no difference.

import { hostCidr } from '../model/address.ts'
import { IPVS_DEVICE } from '../model/host.ts'
import { createIpvsOwners } from './ipvs-owners.ts'
import { definitionOf, type IpvsSide, linesOfServer, type SideSet } from './ipvs-side.ts'
import { nameGroup } from './name-group.ts'
import type { Group } from './owners.ts'

export interface ObjectDifference {
  readonly kind: 'virtual-server' | 'set' | 'addresses'
  /** `-t 10.0.0.1:80`, `KUBE-CLUSTER-IP`, `kube-ipvs0` */
  readonly object: string
  /** Whether it, as far as it is this group's, is on the other side only, on this side only, or on both. */
  readonly change: 'added' | 'removed' | 'changed'
  /** Lines as `ipvsadm -Sn` and `ipset save` print them, and addresses with prefix lengths. */
  readonly before: readonly string[]
  readonly after: readonly string[]
}

export interface IpvsDifference {
  readonly group: Group
  readonly objects: readonly ObjectDifference[]
}

/** In no order of groups: mergeDifferences makes one. Both sides are of one family. */
export function compareIpvs(
  before: IpvsSide,
  after: IpvsSide,
  { foreign }: { readonly foreign: boolean },
): readonly IpvsDifference[] {
  const owners = createIpvsOwners([before, after])
  const found = new Map<string, { readonly group: Group; readonly objects: ObjectDifference[] }>()
  const add = (group: Group, difference: ObjectDifference | undefined) => {
    if (difference === undefined || (group.kind === 'foreign' && !foreign)) return
    const key = nameGroup(group)
    const known = found.get(key)
    if (known === undefined) found.set(key, { group, objects: [difference] })
    else known.objects.push(difference)
  }
  const knowsServers = before.knowsServers && after.knowsServers
  for (const name of knowsServers ? union(before.servers, after.servers) : []) {
    const one = before.servers.get(name)
    const other = after.servers.get(name)
    const any = one ?? other
    if (any === undefined) continue
    const lines = [one && linesOfServer(one), other && linesOfServer(other)] as const
    const difference = differ('virtual-server', name, ...lines)
    if (difference !== undefined) add(owners.ofServer(any), difference)
  }
  if (before.knowsSets && after.knowsSets) {
    for (const name of union(before.sets, after.sets)) {
      const one = before.sets.get(name)
      const other = after.sets.get(name)
      add({ kind: 'fixed' }, differ('set', name, createLine(name, one), createLine(name, other)))
      compareMembers(one?.entries, other?.entries, {
        kind: 'set',
        object: name,
        ownerOf: (entry) => owners.ofEntry(name, entry),
        lineOf: (entry) => `add ${name} ${entry}`,
        add,
      })
    }
  }
  if (before.addresses !== undefined && after.addresses !== undefined) {
    compareMembers(before.addresses, after.addresses, {
      kind: 'addresses',
      object: IPVS_DEVICE,
      ownerOf: owners.ofAddress,
      lineOf: hostCidr,
      add,
    })
  }
  return [...found.values()]
}

function union(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): readonly string[] {
  return [...new Set([...one.keys(), ...other.keys()])]
}

function createLine(name: string, set: SideSet | undefined): readonly string[] | undefined {
  return set === undefined ? undefined : [`create ${name} ${definitionOf(set)}`]
}

function differ(
  kind: ObjectDifference['kind'],
  object: string,
  before: readonly string[] | undefined,
  after: readonly string[] | undefined,
): ObjectDifference | undefined {
  if (before?.join('\n') === after?.join('\n')) return undefined
  const change = before === undefined ? 'added' : after === undefined ? 'removed' : 'changed'
  return { kind, object, change, before: before ?? [], after: after ?? [] }
}

interface Members<T> {
  readonly kind: ObjectDifference['kind']
  readonly object: string
  readonly ownerOf: (member: T) => Group
  readonly lineOf: (member: T) => string
  readonly add: (group: Group, difference: ObjectDifference) => void
}

/** Only members of one side: the others are the same, and may be many. */
function compareMembers<T extends string>(
  before: ReadonlySet<T> | undefined,
  after: ReadonlySet<T> | undefined,
  { kind, object, ownerOf, lineOf, add }: Members<T>,
): void {
  const byGroup = new Map<string, { readonly group: Group; readonly before: string[]; readonly after: string[] }>()
  const note = (member: T, side: 'before' | 'after') => {
    const group = ownerOf(member)
    const key = nameGroup(group)
    const known = byGroup.get(key) ?? { group, before: [], after: [] }
    known[side].push(lineOf(member))
    byGroup.set(key, known)
  }
  for (const member of before ?? []) if (after?.has(member) !== true) note(member, 'before')
  for (const member of after ?? []) if (before?.has(member) !== true) note(member, 'after')
  for (const { group, ...lines } of byGroup.values()) {
    const change = lines.before.length === 0 ? 'added' : lines.after.length === 0 ? 'removed' : 'changed'
    add(group, { kind, object, change, before: lines.before.toSorted(), after: lines.after.toSorted() })
  }
}
