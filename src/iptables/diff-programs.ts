// The change from one compiled Program to the next, at a cost that follows the change: ServicePorts that are the same
// objects in both are passed over without compiling them.
import type { ServicePort } from '../model/service-port.ts'
import { compareServicePorts } from '../resolve/resolver.ts'
import type { Chunk, Entry } from './chunk.ts'
import { diffRulesets } from './diff.ts'
import { editRules, sameRules } from './diff-rules.ts'
import { isSharedChain, link } from './link.ts'
import { chunkOf, type Program } from './program.ts'
import type { RuleEdit, RulesetChange, TableChange } from './restore.ts'
import type { ChainName, Rule, TableName } from './rule.ts'
import { countEntries } from './service-entries.ts'

/** The change that brings a kernel that holds `before` to `desired`; quick for Programs of one compiler. */
export function diffPrograms(desired: Program, before: Program): RulesetChange {
  const sameFixedRules = desired.settings === before.settings && desired.static === before.static
  if (!sameFixedRules) return diffRulesets(link(desired), link(before), isSharedChain)
  const tables = new Map<TableName, MutableTableChange>()
  const changed = changedPorts(desired.servicePorts, before.servicePorts).map(({ index, wanted, present }) => ({
    index,
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
  /** How many desired ServicePorts stand before it. */
  readonly index: number
  readonly wanted?: ServicePort
  readonly present?: ServicePort
}

interface ChangedChunk {
  readonly index: number
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
      changed.push({ index, ...(order <= 0 && wanted && { wanted }), ...(order >= 0 && present && { present }) })
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
 * Lines of shared chains, from the top down, so that all before a ServicePort's own stand as desired when its turn comes
 * and their number is its position.
 */
function addEntryChanges(
  tables: Map<TableName, MutableTableChange>,
  changed: readonly ChangedChunk[],
  desired: Program,
): void {
  const linesBefore = createLineCounter(desired)
  for (const { index, wanted, present } of changed) {
    const wantedLines = linesByChain(wanted.entries)
    const presentLines = linesByChain(present.entries)
    for (const [key, { table, chain }] of new Map([...wantedLines, ...presentLines])) {
      const rules = wantedLines.get(key)?.rules ?? []
      const edits = editRules(chain, rules, presentLines.get(key)?.rules ?? [], desired.family)
      for (const edit of edits) {
        const moved = edit.kind === 'insert' ? { ...edit, number: edit.number + linesBefore(index, key) } : edit
        changeOf(tables, table).edits.push(moved)
      }
    }
  }
}

/** Counts the lines of a shared chain that the first `index` ServicePorts have; asked with rising indexes. */
function createLineCounter({ servicePorts, settings, kept }: Program): (index: number, key: string) => number {
  const counts = new Map<string, number>()
  let counted = 0
  const add = (chain: string, lines: number) => counts.set(chain, (counts.get(chain) ?? 0) + lines)
  return (index, key) => {
    for (; counted < index; counted += 1) {
      const servicePort = servicePorts[counted]
      if (servicePort === undefined) break
      const chunk = kept?.get(servicePort)
      if (chunk !== undefined) for (const { table, chain } of chunk.entries) add(`${table} ${chain}`, 1)
      else
        for (const [chain, lines] of Object.entries(countEntries(servicePort, settings)))
          if (lines > 0) add(chain, lines)
    }
    return counts.get(key) ?? 0
  }
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
