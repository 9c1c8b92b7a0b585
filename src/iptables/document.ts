// The rule model as a document for other programs: `-o json` and `-o yaml`. Its shape is versioned; docs/rule-model.md describes it.

import { nfacctObjects } from './print-payload.ts'
import { printRule } from './print-rule.ts'
import type { Program } from './program.ts'
import type { Rule, Ruleset } from './rule.ts'

export const DOCUMENT_VERSION = 'sluice/v1'

/** One node's rules, one entry per family. */
export interface RuleDocument {
  readonly apiVersion: typeof DOCUMENT_VERSION
  readonly kind: 'NodeRules'
  readonly node: string
  readonly mode: 'iptables'
  readonly families: readonly FamilyRules[]
}

export interface FamilyRules {
  readonly family: Ruleset['family']
  /** Counters that must exist before the rules. */
  readonly nfacct: readonly string[]
  readonly tables: readonly TableRules[]
}

export interface TableRules {
  readonly name: string
  readonly chains: readonly ChainRules[]
}

export interface ChainRules {
  readonly name: string
  /** Of a base chain. */
  readonly policy?: string
  readonly rules: readonly (Rule & { readonly text: string })[]
}

/** `ruleset` is what of the program is to be shown. Tables and chains are sorted by name, rules are in their order. */
export function describeRules(program: Program, ruleset: Ruleset): FamilyRules {
  return {
    family: program.family,
    nfacct: nfacctObjects(program),
    tables: describeRuleset(ruleset),
  }
}

/** Tables and chains are sorted by name, rules are in their order. */
export function describeRuleset(ruleset: Ruleset): readonly TableRules[] {
  return sortedEntries(ruleset.tables).map(([name, table]) => ({
    name,
    chains: sortedEntries(table).map(([chainName, { policy, rules }]) => ({
      name: chainName,
      ...(policy !== undefined && { policy }),
      rules: rules.map((rule) => ({ text: printRule(rule, ruleset.family), ...rule })),
    })),
  }))
}

function sortedEntries<T>(map: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1))
}
