// Rules that are read when they are asked for, and shared with those that the cluster asks for.
import { describe, expect, test } from 'vitest'
import { countRules, rulesetOf, shareRules } from '../../src/compare/lazy-ruleset.ts'
import { type RuleText, readRuleText, textOfRuleset } from '../../src/compare/rule-text.ts'
import { parseSave } from '../../src/index.ts'
import { listCases } from '../support/golden-case.ts'
import { edit, goldenText } from '../support/rule-text.ts'

const SCALE = goldenText('own/story-scale', 'iptables-save.2')

function read(text: string): RuleText {
  const found = readRuleText(text, 'ipv4')
  if (found === undefined) throw new Error('the text is not plain')
  return found
}

describe('rules of a text', () => {
  test.each(listCases().filter((name) => !name.startsWith('own/story-')))('%s: are those of parseSave', (name) => {
    const text = goldenText(name, 'iptables-save')
    const parsed = parseSave(text, 'ipv4')
    const plain = read(text)
    expect(countRules(plain)).toBe(parsed.ruleCount)
    expect(rulesetOf(plain)).toEqual(parsed.ruleset)
    expect(textOfRuleset(parsed.ruleset)).toEqual(textOfRuleset(parsed.ruleset, plain))
  })

  test('with an open quote are left to parseSave', () => {
    expect(countRules(read('*nat\n:A -\n-A A -m comment --comment "open -j DROP\nCOMMIT\n'))).toBeUndefined()
  })

  test('with a comment among them are left to parseSave', () => {
    expect(readRuleText('*nat\n:A -\n-A A -j DROP\n# why\n-A A -j ACCEPT\nCOMMIT\n', 'ipv4')).toBeUndefined()
  })
})

test('chains of equal text are taken from the other side, and all others stay', () => {
  const changed = edit(SCALE, '-A KUBE-MARK-MASQ', '-A KUBE-MARK-MASQ -j RETURN\n-A KUBE-MARK-MASQ')
  const there = rulesetOf(read(changed))
  const wanted = parseSave(SCALE, 'ipv4').ruleset
  const shared = shareRules(there, read(changed), wanted, textOfRuleset(wanted, read(changed)))
  const nat = shared.tables.get('nat')
  expect(nat?.get('KUBE-SERVICES')).toBe(wanted.tables.get('nat')?.get('KUBE-SERVICES'))
  expect(nat?.get('KUBE-MARK-MASQ')).toBe(there.tables.get('nat')?.get('KUBE-MARK-MASQ'))
  expect(shared).toEqual(parseSave(changed, 'ipv4').ruleset)
})
