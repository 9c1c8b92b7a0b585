// Two sides' rules of one family, compared as texts: by Service, then by chain. The order of Services within a shared
// chain is not looked at, because kube-proxy writes them in the random order of its maps.
import { isBaseChain } from '../iptables/base-chains.ts'
import { isServiceChain } from '../iptables/names.ts'
import type { ChainName, TableName } from '../iptables/rule.ts'
import type { ObjectKey } from '../model/object-name.ts'
import { createChainOwners, type Group, isProxyChain, portNameInText, serviceOfPortName } from './owners.ts'
import { isSameChain, type RuleText, rulesIn, targetInText } from './rule-text.ts'

export interface GroupDifference {
  readonly group: Group
  /** By table and chain. */
  readonly chains: readonly ChainDifference[]
}

export interface ChainDifference {
  readonly table: TableName
  readonly chain: ChainName
  /** Whether the chain, as far as it is this group's, is on the other side only, on this side only, or on both. */
  readonly change: 'added' | 'removed' | 'changed'
  /** Rules without `-A CHAIN `. */
  readonly before: readonly string[]
  readonly after: readonly string[]
}

export interface CompareOptions {
  /** Whether rules of others are compared too; rules that were compiled have none. */
  readonly foreign: boolean
}

/** Fixed rules first, then Services by name, then what belongs to nobody known. Both sides are of one family. */
export function compareRules(
  before: RuleText,
  after: RuleText,
  { foreign }: CompareOptions,
): readonly GroupDifference[] {
  const groups: Groups = { fixed: [], unknown: [], foreign: [], services: new Map() }
  const owners = { before: createChainOwners(before), after: createChainOwners(after) }
  for (const place of differingPlaces(before, after)) {
    const { table, chain } = place
    if (isServiceChain(chain)) {
      const service = owners.before.ownerOf(table, chain) ?? owners.after.ownerOf(table, chain)
      add(listOf(groups, service), place, place.before, place.after)
    } else splitShared(place, groups)
  }
  const services = [...groups.services].toSorted(([a], [b]) => compareTexts(a, b))
  const found: readonly GroupDifference[] = [
    { group: { kind: 'fixed' }, chains: groups.fixed },
    ...services.map(([service, chains]) => ({ group: { kind: 'service', service } as const, chains })),
    { group: { kind: 'unknown' }, chains: groups.unknown },
    { group: { kind: 'foreign' }, chains: foreign ? groups.foreign : [] },
  ]
  return found
    .filter(({ chains }) => chains.length > 0)
    .map(({ group, chains }) => ({ group, chains: chains.toSorted(compareDifferences) }))
}

interface Groups {
  readonly fixed: ChainDifference[]
  readonly unknown: ChainDifference[]
  readonly foreign: ChainDifference[]
  readonly services: Map<ObjectKey, ChainDifference[]>
}

function listOf(groups: Groups, service: ObjectKey | undefined): ChainDifference[] {
  if (service === undefined) return groups.unknown
  const known = groups.services.get(service)
  if (known !== undefined) return known
  const made: ChainDifference[] = []
  groups.services.set(service, made)
  return made
}

interface Place {
  readonly table: TableName
  readonly chain: ChainName
  /** Absent where there is no such chain. */
  readonly before: readonly string[] | undefined
  readonly after: readonly string[] | undefined
}

/** Chains that are not the same text on both sides. */
function* differingPlaces(before: RuleText, after: RuleText): Generator<Place> {
  for (const table of new Set([...before.tables.keys(), ...after.tables.keys()])) {
    const one = before.tables.get(table)
    const other = after.tables.get(table)
    for (const [chain, text] of one ?? []) {
      const there = other?.get(chain)
      if (there !== undefined && isSameChain(text, there)) continue
      yield { table, chain, before: rulesIn(one, chain), after: there && rulesIn(other, chain) }
    }
    for (const chain of other?.keys() ?? []) {
      if (one?.has(chain) !== true) yield { table, chain, before: undefined, after: rulesIn(other, chain) }
    }
  }
}

/** The rules of a chain that is not private, by whose they are. */
function splitShared(place: Place, groups: Groups): void {
  const ours = isProxyChain(place.chain)
  const isBase = isBaseChain(place.chain)
  const belongsTo = (rule: string): string => {
    if (!ours) return isProxyChain(targetInText(rule) ?? '') ? FIXED : FOREIGN
    const name = portNameInText(rule)
    return name === undefined ? FIXED : serviceOfPortName(name)
  }
  const before = splitBy(ours ? inOrderOfPorts(place.before ?? []) : (place.before ?? []), belongsTo)
  const after = splitBy(ours ? inOrderOfPorts(place.after ?? []) : (place.after ?? []), belongsTo)
  // The chain itself is whoever's rules may be in it; a base chain is always there.
  const home = ours ? FIXED : FOREIGN
  for (const owner of new Set([home, ...before.keys(), ...after.keys()])) {
    const list = owner === FIXED ? groups.fixed : owner === FOREIGN ? groups.foreign : listOf(groups, owner)
    const made = owner === home && !isBase
    add(
      list,
      place,
      before.get(owner) ?? (made && place.before !== undefined ? [] : undefined),
      after.get(owner) ?? (made && place.after !== undefined ? [] : undefined),
    )
  }
}

/** Stable; kube-proxy's order of a Service's ports is as random as that of Services. Rules of no Service keep theirs. */
function inOrderOfPorts(rules: readonly string[]): readonly string[] {
  const keyed = rules.map((rule) => ({
    rule,
    key: `${portNameInText(rule) ?? ''} ${/(?:^| )-p (\S+)/.exec(rule)?.[1] ?? ''}`,
  }))
  return keyed.toSorted((a, b) => compareTexts(a.key, b.key)).map(({ rule }) => rule)
}

// No Service is called so.
const FIXED = '/fixed'
const FOREIGN = '/foreign'

function splitBy(rules: readonly string[], ownerOf: (rule: string) => string): ReadonlyMap<string, readonly string[]> {
  const parts = new Map<string, string[]>()
  for (const rule of rules) {
    const owner = ownerOf(rule)
    const part = parts.get(owner)
    if (part === undefined) parts.set(owner, [rule])
    else part.push(rule)
  }
  return parts
}

function add(
  list: ChainDifference[],
  { table, chain }: Place,
  before: readonly string[] | undefined,
  after: readonly string[] | undefined,
): void {
  if (before === undefined && after === undefined) return
  if (before !== undefined && after !== undefined && sameTexts(before, after)) return
  const change = before === undefined ? 'added' : after === undefined ? 'removed' : 'changed'
  list.push({ table, chain, change, before: before ?? [], after: after ?? [] })
}

function sameTexts(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index])
}

function compareDifferences(a: ChainDifference, b: ChainDifference): number {
  return compareTexts(`${a.table} ${a.chain}`, `${b.table} ${b.chain}`)
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
