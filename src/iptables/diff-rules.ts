// Whether lists of rules are equal: rules are, when they print the same.
import type { Family } from '../model/address.ts'
import { printRule } from './print-rule.ts'
import type { Rule } from './rule.ts'

/** Whether both chains do the same. The same objects are recognised without printing them. */
export function sameRules(a: readonly Rule[], b: readonly Rule[], family: Family): boolean {
  if (a === b) return true
  return a.length === b.length && a.every((rule, index) => sameRule(rule, b[index], family))
}

/** No rule is equal to one that is absent. */
export function sameRule(a: Rule, b: Rule | undefined, family: Family): boolean {
  if (a === b) return true
  return b !== undefined && printRule(a, family) === printRule(b, family)
}
