// Small dumps for tests of what compares and lints rules.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { compareRules, type GroupDifference } from '../../src/compare/compare.ts'
import { nameGroup } from '../../src/compare/name-group.ts'
import { type RuleText, readRuleText } from '../../src/compare/rule-text.ts'
import { explainDifferences } from '../../src/compare/semantic.ts'
import type { Family } from '../../src/index.ts'
import { GOLDEN_ROOT } from './golden-case.ts'

/** Throws when the text is not plain iptables-save. */
export function rulesOf(text: string, family: Family = 'ipv4'): RuleText {
  const rules = readRuleText(text, family)
  if (rules === undefined) throw new Error('the text is not read as a dump')
  return rules
}

/** A file of rules-golden: `own/story-scale`, `iptables-save.1`. */
export function goldenText(name: string, file = 'iptables-save'): string {
  return readFileSync(path.join(GOLDEN_ROOT, name, 'iptables', file), 'utf8')
}

export function differences(before: string, after: string, foreign = true): readonly GroupDifference[] {
  return compareRules(rulesOf(before), rulesOf(after), { foreign })
}

/** The statements of all groups, and the groups that they belong to. */
export function statements(
  before: string,
  after: string,
  family: Family = 'ipv4',
): Readonly<Record<string, readonly string[]>> {
  const one = rulesOf(before, family)
  const other = rulesOf(after, family)
  const explained = explainDifferences(one, other, compareRules(one, other, { foreign: true }))
  return Object.fromEntries(explained.map((difference) => [nameGroup(difference.group), difference.statements]))
}

/** Replaces text that must be there. */
export function edit(text: string, from: string | RegExp, to: string): string {
  const edited = text.replace(from, to)
  if (edited === text) throw new Error(`${String(from)} is not in the text`)
  return edited
}
