// The change from one compiled Program to the next, at a cost that follows the change: ServicePorts that are the same
// objects in both are passed over without compiling them.
import type { Family } from '../model/address.ts'
import type { ServicePort } from '../model/service-port.ts'
import { findRivals, haveRivals, sameClaims } from '../resolve/conflicts.ts'
import { compareServicePorts } from '../resolve/resolver.ts'
import type { Chunk, Entry } from './chunk.ts'
import { diffRulesets } from './diff.ts'
import { sameRule, sameRules } from './diff-rules.ts'
import { editOwnRules, rivalOwners } from './diff-shared.ts'
import { isSharedChain, link } from './link.ts'
import { chunkOf, type Program } from './program.ts'
import type { RuleEdit, RulesetChange, TableChange } from './restore.ts'
import type { ChainName, Rule, TableName } from './rule.ts'

/** The change that brings a kernel that holds `before` to `desired`; quick for Programs of one compiler. */
export function diffPrograms(desired: Program, before: Program): RulesetChange {
  if (desired.settings !== before.settings || desired.static !== before.static) {
    return diffRulesets(link(desired), link(before), { isShared: isSharedChain, rivals: rivalOwners(desired) })
  }
  const tables = new Map<TableName, MutableTableChange>()
  const changed = changedPorts(desired.servicePorts, before.servicePorts).map(({ wanted, present }) => ({
    ...(wanted && { port: wanted }),
    comes: wanted !== undefined && (present === undefined || !sameClaims(wanted, present)),
    wanted: wanted === undefined ? NO_RULES : chunkOf(desired, wanted),
    present: present === undefined ? NO_RULES : chunkOf(before, present),
  }))
  for (const { wanted, present } of changed) addChainChanges(tables, wanted, present, desired)
  addEntryChanges(tables, changed, desired)
  return { family: desired.family, tables }
}

interface MutableTableChange extends TableChange {
  readonly rewritten: Map<ChainName, readonly Rule[]>
  readonly edits: RuleEdit[]
  readonly deleted: ChainName[]
}

/** At least one side is there. */
interface ChangedPort {
  readonly wanted?: ServicePort
  readonly present?: ServicePort
}

interface ChangedChunk {
  /** Absent for one that goes. */
  readonly port?: ServicePort
  /** Claims what it did not claim before. */
  readonly comes: boolean
  readonly wanted: Pick<Chunk, 'chains' | 'entries'>
  readonly present: Pick<Chunk, 'chains' | 'entries'>
}

const NO_RULES: ChangedChunk['wanted'] = { chains: [], entries: [] }

/** Walks both lists, which have the same order, side by side. */
function changedPorts(desired: readonly ServicePort[], before: readonly ServicePort[]): readonly ChangedPort[] {
  const changed: ChangedPort[] = []
  let index = 0
  let at = 0
  while (index < desired.length || at < before.length) {
    const wanted = desired[index]
    const present = before[at]
    const order =
      wanted === present
        ? 0
        : wanted === undefined
          ? 1
          : present === undefined
            ? -1
            : compareServicePorts(wanted, present)
    if (wanted !== present) {
      changed.push({ ...(order <= 0 && wanted && { wanted }), ...(order >= 0 && present && { present }) })
    }
    if (order <= 0) index += 1
    if (order >= 0) at += 1
  }
  return changed
}

/** Own chains: rewritten when their rules differ, deleted when they are gone. */
function addChainChanges(
  tables: Map<TableName, MutableTableChange>,
  wanted: ChangedChunk['wanted'],
  present: ChangedChunk['present'],
  { family }: Program,
): void {
  const presentRules = new Map(present.chains.map((chain) => [chain.name, chain.rules]))
  for (const { table, name, rules } of wanted.chains) {
    const before = presentRules.get(name)
    presentRules.delete(name)
    if (before === undefined || !sameRules(rules, before, family)) changeOf(tables, table).rewritten.set(name, rules)
  }
  for (const { table, name } of present.chains) {
    if (presentRules.has(name)) changeOf(tables, table).deleted.push(name)
  }
}

/**
 * Lines of shared chains: what goes first, then what comes, at the top. Where rivals for an address are among what
 * comes, the lines of all rivals are put there again in their order, as nobody knows where they stand.
 */
function addEntryChanges(
  tables: Map<TableName, MutableTableChange>,
  changed: readonly ChangedChunk[],
  desired: Program,
): void {
  const edited = changed.filter(({ wanted, present }) => !sameEntries(wanted.entries, present.entries, desired.family))
  const coming = [...changed.filter(({ comes }) => comes), ...edited].flatMap(({ port }) => port ?? [])
  const rivals = haveRivals(coming, desired.servicePorts) ? findRivals(desired.servicePorts) : NO_PORTS
  const replaced = [...rivals].map((port) => edited.find((chunk) => chunk.port === port) ?? unchanged(port, desired))
  const inserts: { readonly table: TableName; readonly edits: readonly RuleEdit[] }[] = []
  const edit = (wanted: readonly Entry[], present: readonly Entry[]) => {
    const wantedLines = linesByChain(wanted)
    const presentLines = linesByChain(present)
    for (const [key, { table, chain }] of new Map([...wantedLines, ...presentLines])) {
      const own = editOwnRules(
        { chain, family: desired.family },
        wantedLines.get(key)?.rules ?? [],
        presentLines.get(key)?.rules ?? [],
      )
      if (own.deletes.length > 0) changeOf(tables, table).edits.push(...own.deletes)
      inserts.push({ table, edits: own.inserts })
    }
  }
  for (const { present } of replaced) edit([], present.entries)
  for (const { port, wanted, present } of edited) {
    if (port === undefined || !rivals.has(port)) edit(wanted.entries, present.entries)
  }
  for (const { wanted } of replaced) edit(wanted.entries, [])
  for (const { table, edits } of inserts.toReversed()) {
    if (edits.length > 0) changeOf(tables, table).edits.push(...edits)
  }
}

const NO_PORTS: ReadonlySet<ServicePort> = new Set()

function unchanged(port: ServicePort, desired: Program): ChangedChunk {
  const chunk = chunkOf(desired, port)
  return { port, comes: false, wanted: chunk, present: chunk }
}

function sameEntries(a: readonly Entry[], b: readonly Entry[], family: Family): boolean {
  return (
    a.length === b.length &&
    a.every(({ table, chain, rule }, index) => {
      const other = b[index]
      return other?.table === table && other.chain === chain && sameRule(rule, other.rule, family)
    })
  )
}

interface SharedLines {
  readonly table: TableName
  readonly chain: ChainName
  readonly rules: Rule[]
}

function linesByChain(entries: readonly Entry[]): ReadonlyMap<string, SharedLines> {
  const lines = new Map<string, SharedLines>()
  for (const { table, chain, rule } of entries) {
    const key = `${table} ${chain}`
    const known = lines.get(key)
    if (known === undefined) lines.set(key, { table, chain, rules: [rule] })
    else known.rules.push(rule)
  }
  return lines
}

function changeOf(tables: Map<TableName, MutableTableChange>, table: TableName): MutableTableChange {
  const known = tables.get(table)
  if (known !== undefined) return known
  const change: MutableTableChange = { rewritten: new Map(), edits: [], deleted: [] }
  tables.set(table, change)
  return change
}
