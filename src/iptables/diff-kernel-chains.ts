// The parts of diff-kernel.ts that look at one table's fixed, shared, base and stale chains.
import type { Family } from '../model/address.ts'
import type { Entry } from './chunk.ts'
import { editSharedRules } from './diff-shared.ts'
import { type DriftFinding, ownerInText } from './drift-finding.ts'
import { type KernelChain, type KernelTable, linesOf, ruleTextsOf } from './kernel-text.ts'
import type { LazyChains } from './lazy-chains.ts'
import { isSharedChain } from './link.ts'
import { isServiceChain } from './names.ts'
import { printRule } from './print-rule.ts'
import type { RuleEdit, TableChange } from './restore.ts'
import type { ChainName, Rule, TableName } from './rule.ts'
import { jumpTarget } from './rule.ts'
import { verbatimRule } from './verbatim-rule.ts'

/** A table while it is compared. */
export interface OpenTable {
  readonly name: TableName
  readonly family: Family
  readonly kernel: KernelTable
  /** The fixed chains. */
  readonly wanted: ReadonlySet<ChainName>
  /** What the kernel has of the chains of wanted Services. */
  readonly wantedServiceChains: Set<KernelChain>
  /** Fixed chains of another mode, which are not wanted any more. */
  readonly retired: ReadonlySet<ChainName>
  /** The lines of that mode's jumps, which are deleted as well. */
  readonly retiredJumps: ReadonlySet<string>
  /** Owners whose lines must stand in the order of the program; looked for when first asked. */
  readonly rivals: () => ReadonlySet<string>
  readonly change: OpenChange
  readonly findings: DriftFinding[]
}

interface OpenChange extends TableChange {
  readonly rewritten: LazyChains
  readonly edits: RuleEdit[]
  readonly deleted: ChainName[]
}

/** A fixed chain with all that stands in it: rewritten when it is missing, else edited where it differs. */
export function compareFixedChain(table: OpenTable, chain: ChainName, rules: readonly Rule[]): void {
  const present = table.kernel.get(chain)
  if (present === undefined) {
    table.change.rewritten.set(chain, rules)
    table.findings.push({ kind: 'missing chain', table: table.name, chain })
    return
  }
  const texts = ruleTextsOf(chain, present)
  if (texts.length === rules.length && rules.every((rule, index) => printRule(rule, table.family) === texts[index]))
    return
  const edits = isSharedChain(table.name, chain)
    ? editSharedRules({ chain, family: table.family, rivals: table.rivals() }, rules, texts.map(verbatimRule))
    : undefined
  if (edits?.length === 0) return
  // Rewriting takes a chain line and each rule.
  if (edits === undefined || edits.length > rules.length) table.change.rewritten.set(chain, rules)
  else table.change.edits.push(...edits)
  pushChangedOwners(table, chain, edits ?? [])
}

/** One finding for each ServicePort whose lines change, and at least one. */
function pushChangedOwners(table: OpenTable, chain: ChainName, edits: readonly RuleEdit[]): void {
  const owners = new Set(edits.map((edit) => ownerInText(printRule(edit.rule, table.family))))
  if (owners.size === 0) owners.add(undefined)
  for (const owner of owners) {
    table.findings.push({ kind: 'changed rules', table: table.name, chain, ...(owner !== undefined && { owner }) })
  }
}

/** Ours at the top in their order, as if each had been inserted there, the last one first. */
export function insertMissingRules(table: OpenTable, chain: ChainName, rules: readonly Rule[]): void {
  if (rules.length === 0) return
  const presentChain = table.kernel.get(chain)
  const present = new Set(presentChain === undefined ? [] : ruleTextsOf(chain, presentChain))
  const missing = rules.filter((rule) => !present.has(printRule(rule, table.family)))
  for (const [index, rule] of missing.entries()) {
    table.change.edits.push({ kind: 'insert', chain, number: index + 1, rule })
    const kind = jumpTarget(rule) === undefined ? 'changed rules' : 'missing jump'
    table.findings.push({ kind, table: table.name, chain })
  }
}

/** Jumps of another mode go where they are; every one of equal ones. */
export function deleteRetiredJumps(table: OpenTable, jumps: readonly Entry[]): void {
  for (const { table: name, chain, rule } of jumps) {
    const present = name === table.name ? table.kernel.get(chain) : undefined
    if (present === undefined) continue
    const text = printRule(rule, table.family)
    for (const there of ruleTextsOf(chain, present)) {
      if (there !== text) continue
      table.change.edits.push({ kind: 'delete', chain, rule })
      table.findings.push({ kind: 'stale chain', table: table.name, chain })
    }
  }
}

/** Chains of Services that are gone, and of another mode. */
export function deleteStaleChains(table: OpenTable): void {
  const stale: ChainName[] = []
  for (const [name, chain] of table.kernel) {
    if (table.retired.has(name) || (isServiceChain(name) && !table.wantedServiceChains.has(chain))) stale.push(name)
  }
  if (stale.length === 0) return
  const referred = targetsOfOthers(table)
  for (const name of stale.toSorted()) {
    const chain = table.kernel.get(name)
    if (chain === undefined) continue
    const isEmpty = chain.start === chain.end
    if (!referred.has(name)) table.change.deleted.push(name)
    else if (!isEmpty) table.change.rewritten.set(name, [])
    else continue
    const owner = ownerInText(linesOf(chain))
    table.findings.push({ kind: 'stale chain', table: table.name, chain: name, ...(owner !== undefined && { owner }) })
  }
}

/** What rules that are not ours jump to: those in base chains, and in chains that sluice neither wants nor deletes. */
function targetsOfOthers(table: OpenTable): ReadonlySet<ChainName> {
  const targets = new Set<ChainName>()
  for (const [name, chain] of table.kernel) {
    if (isServiceChain(name) || table.retired.has(name)) continue
    if (table.wanted.has(name) && name !== 'KUBE-FIREWALL') continue
    for (const [line, target] of linesOf(chain).matchAll(/^.* -[jg] (KUBE-\S+).*$/gm)) {
      if (target !== undefined && !table.retiredJumps.has(line)) targets.add(target)
    }
  }
  return targets
}
