// IpvsPrograms, one after the other -> the whole picture, changed in place at a cost that follows the change. ServicePorts
// that are the same objects as before are passed over; those that are gone are compiled once more to know what to take
// back, which is quick and needs no memory.
import { maxelemFor, type SetHeader, type SetName } from '../ipset/ip-set.ts'
import { sameRules } from '../iptables/diff-rules.ts'
import { printRule } from '../iptables/print-rule.ts'
import type { Program } from '../iptables/program.ts'
import type { Rule } from '../iptables/rule.ts'
import type { Family, Ip } from '../model/address.ts'
import { type ChangedChunk, changedChunks } from './changed-chunks.ts'
import type { SetEntry } from './chunk.ts'
import { compareOwners, createClaims } from './claims.ts'
import type { IpvsProgram, IpvsState, Touched } from './program.ts'
import { compileIpvsRules } from './rules.ts'
import { type BaseSetName, SET_NAMES, setHeader, setName } from './sets.ts'
import { type VirtualServerKey, virtualServerKey } from './virtual-server.ts'

export interface Linked {
  /** The maps are the same ones in every answer: they change when the next program is linked. */
  readonly state: IpvsState
  readonly touched: Touched
}

/** A linker that remembers the last program. The first call touches everything; programs are all of one family. */
export function createIpvsLinker(): (program: IpvsProgram) => Linked {
  let open: OpenState | undefined
  return (program) => {
    open ??= openState(program.family)
    const first = open.program === undefined
    const touched: OpenTouched = {
      virtualServers: new Set(),
      entries: new Map(first ? Array.from(open.sets.keys(), (name) => [name, new Set<string>()]) : []),
      addresses: new Set(),
    }
    let outFilterChanged = false
    for (const change of changedChunks(program, open.program)) {
      changeVirtualServers(open, change, touched)
      changeEntries(open, change, touched)
      changeAddresses(open, change, touched)
      outFilterChanged = changeOutFilter(open, change) || outFilterChanged
    }
    const rules = linkRules(open, program, outFilterChanged)
    const rulesTouched = rules !== open.rules
    open.program = program
    open.rules = rules
    return { state: stateOf(open, rules), touched: { ...touched, rules: rulesTouched } }
  }
}

interface OpenState {
  readonly family: Family
  readonly claims: ReturnType<typeof createClaims>
  readonly sets: ReadonlyMap<SetName, OpenSet>
  readonly addresses: Map<Ip, number>
  readonly bound: Set<Ip>
  /** By owner; only those that have rules. */
  readonly outFilter: Map<string, readonly Rule[]>
  program: IpvsProgram | undefined
  rules: Program | undefined
  /** What the rules were made for. */
  filled: string
}

interface OpenSet {
  readonly name: BaseSetName
  header: SetHeader
  readonly entries: Map<string, number>
}

interface OpenTouched {
  readonly virtualServers: Set<VirtualServerKey>
  readonly entries: Map<SetName, Set<string>>
  readonly addresses: Set<Ip>
}

function openState(family: Family): OpenState {
  const sets = SET_NAMES.map((name): [SetName, OpenSet] => [
    setName(name, family),
    { name, header: setHeader(name, family, 0), entries: new Map() },
  ])
  return {
    family,
    claims: createClaims(),
    sets: new Map(sets),
    addresses: new Map(),
    bound: new Set(),
    outFilter: new Map(),
    program: undefined,
    rules: undefined,
    filled: '',
  }
}

function stateOf({ family, claims, sets, bound }: OpenState, rules: Program): IpvsState {
  return { family, virtualServers: claims.held, sets, addresses: bound, rules }
}

function changeVirtualServers({ claims }: OpenState, change: ChangedChunk, touched: OpenTouched): void {
  const stale = new Set(change.present?.virtualServers.map(virtualServerKey))
  for (const virtualServer of change.wanted?.virtualServers ?? []) {
    const key = virtualServerKey(virtualServer)
    claims.claim(change.owner, virtualServer)
    stale.delete(key)
    touched.virtualServers.add(key)
  }
  for (const key of stale) {
    claims.release(change.owner, key)
    touched.virtualServers.add(key)
  }
}

/** What comes is counted before what goes, so that what stays never seems to go. */
function changeEntries(open: OpenState, { present, wanted }: ChangedChunk, touched: OpenTouched): void {
  for (const entry of wanted?.entries ?? []) countEntry(open, entry, 1, touched)
  for (const entry of present?.entries ?? []) countEntry(open, entry, -1, touched)
}

function countEntry(open: OpenState, { set: name, text }: SetEntry, by: 1 | -1, touched: OpenTouched): void {
  const set = open.sets.get(name)
  if (set === undefined) throw new Error(`There is no set ${name} in IPVS mode`)
  if (!count(set.entries, text, by)) return
  set.header = headerFor(set, open.family)
  const texts = touched.entries.get(name)
  if (texts === undefined) touched.entries.set(name, new Set([text]))
  else texts.add(text)
}

function headerFor({ name, header, entries }: OpenSet, family: Family): SetHeader {
  if (header.maxelem === undefined || header.maxelem === maxelemFor(entries.size)) return header
  return setHeader(name, family, entries.size)
}

function changeAddresses(open: OpenState, { present, wanted }: ChangedChunk, touched: OpenTouched): void {
  for (const ip of wanted?.addresses ?? []) {
    if (!count(open.addresses, ip, 1)) continue
    open.bound.add(ip)
    touched.addresses.add(ip)
  }
  for (const ip of present?.addresses ?? []) {
    if (!count(open.addresses, ip, -1)) continue
    open.bound.delete(ip)
    touched.addresses.add(ip)
  }
}

/** Whether it came into being or ceased to be. */
function count<K>(counts: Map<K, number>, key: K, by: 1 | -1): boolean {
  const now = (counts.get(key) ?? 0) + by
  if (now === 0) counts.delete(key)
  else counts.set(key, now)
  return now === 0 || (now === 1 && by === 1)
}

/** Whether the rules of this owner are other ones than before. */
function changeOutFilter(open: OpenState, { owner, wanted }: ChangedChunk): boolean {
  const before = open.outFilter.get(owner) ?? []
  const now = wanted?.outFilter ?? []
  if (sameRules(now, before, open.family)) return false
  if (now.length === 0) open.outFilter.delete(owner)
  else open.outFilter.set(owner, now)
  return true
}

/** The same object as before when the settings are, and no rule is another one. */
function linkRules(open: OpenState, { settings }: IpvsProgram, outFilterChanged: boolean): Program {
  const filled = [...open.sets.values()].filter(({ entries }) => entries.size > 0).map(({ name }) => name)
  const text = filled.join()
  if (open.rules !== undefined && settings === open.program?.settings && text === open.filled && !outFilterChanged)
    return open.rules
  open.filled = text
  const rules = compileIpvsRules(settings, { filled: new Set(filled), outFilter: outFilterRules(open) })
  return open.rules !== undefined && settings === open.program?.settings && sameChains(rules, open.rules)
    ? open.rules
    : rules
}

/** Of two programs of this mode, which all have the same chains. */
function sameChains(a: Program, b: Program): boolean {
  return a.static.chains.every(({ rules }, index) => sameRules(rules, b.static.chains[index]?.rules ?? [], a.family))
}

/** In the order of their owners; a rule that several have stands once. */
function outFilterRules({ outFilter, family }: OpenState): readonly Rule[] {
  const owners = [...outFilter.keys()].toSorted(compareOwners)
  const byText = new Map<string, Rule>()
  for (const rule of owners.flatMap((owner) => outFilter.get(owner) ?? [])) {
    const text = printRule(rule, family)
    if (!byText.has(text)) byText.set(text, rule)
  }
  return [...byText.values()]
}
