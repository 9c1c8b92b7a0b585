// The rules of a text that is cut into chains, understood when somebody first looks at them: of the 60,000 chains of
// 10,000 Services a packet passes ten, and verify reads only those that are not what the cluster asks for.
import { type KernelChain, linesOf, ruleTextsOf } from '../iptables/kernel-text.ts'
import { parseSavedRule } from '../iptables/parse-rule.ts'
import type { Chain, ChainName, Rule, Ruleset, Table } from '../iptables/rule.ts'
import { hasOpenQuote } from '../iptables/words.ts'
import type { Family } from '../model/address.ts'
import { isSameChain, type RuleText, type TableText } from './rule-text.ts'

/** How many rules the text has. Undefined when a line has an open quote: parseSave then tells which. */
export function countRules({ tables }: RuleText): number | undefined {
  let count = 0
  for (const table of tables.values()) {
    for (const chain of table.values()) {
      if (chain.start === chain.end) continue
      const lines = linesOf(chain)
      if (lines.includes('"') && lines.split('\n').some(hasOpenQuote)) return undefined
      for (let at = lines.indexOf('\n'); at >= 0; at = lines.indexOf('\n', at + 1)) count += 1
    }
  }
  return count
}

/** The same as parseSave reads from the text. */
export function rulesetOf({ family, tables }: RuleText): Ruleset {
  return { family, tables: new Map([...tables].map(([name, table]) => [name, tableOf(table, family)])) }
}

function tableOf(table: TableText, family: Family): Table {
  const chains = new Map<ChainName, Chain>()
  for (const [name, chain] of table) chains.set(name, createChain(name, chain, family))
  return chains
}

function createChain(name: ChainName, text: KernelChain, family: Family): Chain {
  let known: readonly Rule[] | undefined
  const chain = {
    get rules() {
      known ??= ruleTextsOf(name, text).map((rule) => parseSavedRule(rule, family))
      return known
    },
  }
  // Not by spreading, which would read the rules.
  return text.policy === undefined ? chain : Object.assign(chain, { policy: text.policy })
}

/**
 * `actual` with the rules of `desired` in place of the same rules, which then need not be understood a second time.
 * `texts` and `desiredTexts` are those of the two.
 */
export function shareRules(actual: Ruleset, texts: RuleText, desired: Ruleset, desiredTexts: RuleText): Ruleset {
  const tables = new Map<string, Table>()
  for (const [name, table] of actual.tables) {
    const chains = new Map<ChainName, Chain>()
    const here = texts.tables.get(name)
    const there = desiredTexts.tables.get(name)
    for (const [chainName, chain] of table) {
      const one = here?.get(chainName)
      const other = there?.get(chainName)
      const wanted = desired.tables.get(name)?.get(chainName)
      const same =
        one !== undefined && other !== undefined && wanted?.policy === chain.policy && isSameChain(one, other)
      chains.set(chainName, same && wanted !== undefined ? wanted : chain)
    }
    tables.set(name, chains)
  }
  return { family: actual.family, tables }
}
