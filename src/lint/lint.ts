// Finds what is wrong in a node's rules by themselves, and against the cluster's endpoints where they are known.
import type { Ruleset } from '../iptables/rule.ts'
import { type Finding, inOrder } from './finding.ts'
import { type KnownEndpoints, lintBalance } from './lint-balance.ts'
import { lintOrder } from './lint-order.ts'
import { lintReach } from './lint-reach.ts'
import { lintReferences } from './lint-references.ts'
import { indexRules } from './rule-index.ts'

/** Worst first. `known` are the endpoints of the cluster, for the ruleset's family. */
export function lintRules(ruleset: Ruleset, known?: KnownEndpoints): readonly Finding[] {
  const index = indexRules(ruleset)
  return inOrder([...lintReferences(index), ...lintReach(index), ...lintBalance(index, known), ...lintOrder(index)])
}
