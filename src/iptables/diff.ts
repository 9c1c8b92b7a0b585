// What has to change so that the kernel's rules become the desired ones, with as little as possible rewritten:
// 1. A chain whose rules are right is not mentioned.
// 2. A chain of one service, or a fixed one, is rewritten whole when any rule differs: no index arithmetic, and `recent`
//    lists outlive it.
// 3. A shared chain gets single -D and -I lines: with thousands of services rewriting it costs most of a sync.
// 4. In base chains (INPUT, ...) missing rules are inserted at the top and nothing else is touched: they are not ours.
// 5. Chains of services that are gone are deleted. Other chains are never deleted.
import type { Family } from '../model/address.ts'
import { sameRules } from './diff-rules.ts'
import { editSharedRules } from './diff-shared.ts'
import { isServiceChain } from './names.ts'
import { printRule } from './print-rule.ts'
import type { RuleEdit, RulesetChange, TableChange } from './restore.ts'
import type { Chain, ChainName, Rule, Ruleset, Table, TableName } from './rule.ts'
import { jumpTarget } from './rule.ts'

/** What is known of the chains whose rules come from many ServicePorts. */
export interface SharedChains {
  readonly isShared: (table: TableName, chain: ChainName) => boolean
  /** ServicePorts, `ns1/svc1:p80 tcp`, whose order among each other counts. */
  readonly rivals: ReadonlySet<string>
}

/**
 * The change that brings `actual` to `desired`. Unchanged chains are recognised fastest when they are the same objects.
 * Chains that only `actual` has stay, apart from 5 above.
 */
export function diffRulesets(desired: Ruleset, actual: Ruleset, shared: SharedChains): RulesetChange {
  const tables = new Map<TableName, TableChange>()
  for (const [name, table] of desired.tables) {
    const actualTable = actual.tables.get(name)
    if (table === actualTable) continue
    const change = diffTable(table, actualTable ?? NO_CHAINS, desired.family, {
      isShared: (chain) => shared.isShared(name, chain),
      rivals: shared.rivals,
    })
    if (change.rewritten.size + change.edits.length + change.deleted.length > 0) tables.set(name, change)
  }
  return { family: desired.family, tables }
}

/** Whether nothing has to be done. */
export function isEmptyChange(change: RulesetChange): boolean {
  return change.tables.size === 0
}

const BASE_CHAINS: ReadonlySet<ChainName> = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'])
const NO_CHAINS: Table = new Map()

function diffTable(
  desired: Table,
  actual: Table,
  family: Family,
  { isShared, rivals }: { readonly isShared: (chain: ChainName) => boolean; readonly rivals: ReadonlySet<string> },
): TableChange {
  const rewritten = new Map<ChainName, readonly Rule[]>()
  const edits: RuleEdit[] = []
  let inBoth = 0
  for (const [name, chain] of desired) {
    const actualChain = actual.get(name)
    if (actualChain !== undefined) inBoth += 1
    if (chain === actualChain) continue
    if (BASE_CHAINS.has(name)) edits.push(...insertMissing(name, chain.rules, actualChain?.rules ?? [], family))
    else if (actualChain === undefined) rewritten.set(name, chain.rules)
    else if (!sameRules(chain.rules, actualChain.rules, family)) {
      const chainEdits = isShared(name)
        ? editSharedRules({ chain: name, family, rivals }, chain.rules, actualChain.rules)
        : undefined
      // Rewriting takes a chain line and each rule.
      if (chainEdits === undefined || chainEdits.length > chain.rules.length) rewritten.set(name, chain.rules)
      else edits.push(...chainEdits)
    }
  }
  const deleted = inBoth === actual.size ? [] : staleChains(desired, actual, rewritten)
  return { rewritten, edits, deleted }
}

/** Ours at the top in their order, as if each had been inserted there, the last one first. */
function insertMissing(
  chain: ChainName,
  desired: readonly Rule[],
  actual: readonly Rule[],
  family: Family,
): readonly RuleEdit[] {
  if (desired.length === 0) return []
  const present = new Set(actual.map((rule) => printRule(rule, family)))
  const missing = desired.filter((rule) => !present.has(printRule(rule, family)))
  return missing.map((rule, index) => ({ kind: 'insert', chain, number: index + 1, rule }))
}

/**
 * Chains of services that are gone, by name. One that somebody else's chain still refers to cannot be deleted, and
 * trying would make the whole table fail, so that one is emptied.
 */
function staleChains(desired: Table, actual: Table, rewritten: Map<ChainName, readonly Rule[]>): readonly ChainName[] {
  const stale = [...actual.keys()].filter((name) => !desired.has(name) && isServiceChain(name)).toSorted()
  if (stale.length === 0) return stale
  const going = new Set(stale)
  const referred = new Set<ChainName>()
  for (const [name, chain] of actual) {
    if (going.has(name) || (desired.has(name) && !BASE_CHAINS.has(name))) continue
    for (const rule of chain.rules) {
      const target = jumpTarget(rule)
      if (target !== undefined && going.has(target)) referred.add(target)
    }
  }
  for (const name of referred) if (hasRules(actual.get(name))) rewritten.set(name, [])
  return stale.filter((name) => !referred.has(name))
}

function hasRules(chain: Chain | undefined): boolean {
  return chain !== undefined && chain.rules.length > 0
}
