// Rules made ready to be walked: chains by table and name, and an index for the long ones, made when first needed.
import type { Family } from '../model/address.ts'
import type { ChainName, Rule, Ruleset, TableName } from './rule.ts'
import { type ChainIndex, indexChain } from './simulate-index.ts'
import { type DescribedRule, describeRule } from './simulate-steps.ts'

export interface RuleIndex {
  readonly family: Family
  /** A chain that does not exist has no rules. */
  readonly chain: (table: TableName, name: ChainName) => IndexedChain
  readonly hasChain: (table: TableName, name: ChainName) => boolean
}

export interface IndexedChain {
  readonly policy?: string
  readonly rules: readonly Rule[]
  readonly index?: ChainIndex
  /** Of the rule at a position, described once: a map of all rules would cost more than what it saves. */
  readonly describe: (at: number, rule: Rule) => DescribedRule
}

export function indexRules({ family, tables }: Ruleset): RuleIndex {
  const describer = () => {
    const described: DescribedRule[] = []
    return (at: number, rule: Rule) => (described[at] ??= describeRule(rule, family))
  }
  const empty: IndexedChain = { rules: [], describe: describer() }
  const ready = new Map<TableName, Map<ChainName, IndexedChain>>()
  for (const table of tables.keys()) ready.set(table, new Map())
  return {
    family,
    chain: (table, name) => {
      const known = ready.get(table)?.get(name)
      if (known !== undefined) return known
      const chain = tables.get(table)?.get(name)
      if (chain === undefined) return empty
      const index = indexChain(chain)
      const indexed: IndexedChain = {
        ...(chain.policy !== undefined && { policy: chain.policy }),
        rules: chain.rules,
        ...(index && { index }),
        describe: describer(),
      }
      ready.get(table)?.set(name, indexed)
      return indexed
    },
    hasChain: (table, name) => tables.get(table)?.has(name) === true,
  }
}
