import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { diffRulesets, type SharedChains } from '../../src/iptables/diff.ts'
import { ownerInText } from '../../src/iptables/drift-finding.ts'
import { isServiceChain } from '../../src/iptables/names.ts'
import { printRule } from '../../src/iptables/print-rule.ts'
import { printRestore } from '../../src/iptables/restore.ts'
import type { Chain, Rule, Ruleset, Table } from '../../src/iptables/rule.ts'
import { applyRestore } from '../support/apply-restore.ts'
import { arbitraryRule } from '../support/arbitrary-rule.ts'

// Lower chains jump to higher ones only, as the kernel refuses loops. A jump needs its target in the same ruleset, so a
// chain is only ever left out when nothing jumps to it.
const OWN = ['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-SVC-A', 'KUBE-SVC-B', 'KUBE-FORWARD', 'KUBE-SEP-A', 'KUBE-SEP-B']
const SHARED = new Set(['KUBE-SERVICES', 'KUBE-NODEPORTS'])

/** Few different rules, so that they repeat, and some of every kind. */
const ruleset: fc.Arbitrary<Ruleset> = fc
  .tuple(...OWN.map((_, level) => arbitraryRules(OWN.slice(level + 1))), fc.uniqueArray(fc.constantFrom(...OWN)))
  .map((generated) => {
    const leftOut = new Set(generated.at(-1) as string[])
    const chains = new Map<string, Chain>()
    const referred = new Set<string>()
    for (const [level, name] of OWN.entries()) {
      if (leftOut.has(name) && !referred.has(name)) continue
      const rules = generated[level] as readonly Rule[]
      for (const { target } of rules) if (target?.kind === 'jump' || target?.kind === 'goto') referred.add(target.chain)
      chains.set(name, { rules })
    }
    return { family: 'ipv4', tables: new Map([['nat', chains as Table]]) }
  })

/** As a program has them: in shared chains lines of nobody stand last. */
const desiredRuleset = ruleset.map((set): Ruleset => {
  const chains = [...(set.tables.get('nat') ?? [])].map(([name, chain]): [string, Chain] => {
    if (!SHARED.has(name)) return [name, chain]
    const isOwned = (rule: Rule) => ownerInText(printRule(rule, 'ipv4')) !== undefined
    return [name, { rules: [...chain.rules.filter(isOwned), ...chain.rules.filter((rule) => !isOwned(rule))] }]
  })
  return { ...set, tables: new Map([['nat', new Map(chains)]]) }
})

function arbitraryRules(targets: readonly string[]): fc.Arbitrary<readonly Rule[]> {
  const plain = fc
    .constantFrom('ns/a 1', 'ns/a 2', 'ns/b 1', 'ns/b 2', 'ns/c', 'ns/d', 'e', 'f')
    .map((text): Rule => ({ matches: [{ kind: 'comment', text }], target: { kind: 'drop' } }))
  return fc.array(fc.oneof({ weight: 4, arbitrary: plain }, { weight: 1, arbitrary: arbitraryRule('ipv4', targets) }), {
    maxLength: 12,
  })
}

/** Two of the Services of the rules below claim the same address. */
const shared: SharedChains = { isShared: (_table, chain) => SHARED.has(chain), rivals: new Set(['ns/c', 'ns/d']) }

function texts(set: Ruleset): Map<string, readonly string[]> {
  const chains = set.tables.get('nat') ?? new Map<string, Chain>()
  return new Map(
    [...chains]
      .filter(([name]) => name.startsWith('KUBE'))
      .map(([name, chain]) => [
        name,
        inAnyOrder(
          name,
          chain.rules.map((rule) => printRule(rule, 'ipv4')),
        ),
      ]),
  )
}

/** Of a shared chain what has to stand in this order: the lines of each Service, of the two rivals, and of nobody. */
function inAnyOrder(chain: string, rules: readonly string[]): readonly string[] {
  if (!SHARED.has(chain)) return rules
  const owner = (rule: string) => /"?ns\/([a-d])/.exec(rule)?.[1]?.replace('d', 'c')
  const groups = ['a', 'b', 'c', undefined].map((name) => rules.filter((rule) => owner(rule) === name))
  const firstOfNobody = rules.findIndex((rule) => owner(rule) === undefined)
  const isLast = rules.slice(Math.max(firstOfNobody, 0)).every((rule) => owner(rule) === undefined)
  return [...groups.flat(), firstOfNobody < 0 || isLast ? 'those of nobody last' : 'those of nobody in between']
}

describe('for any two sets of rules', () => {
  test('applying the change to the actual ones gives the desired ones', () => {
    fc.assert(
      fc.property(desiredRuleset, ruleset, (desired, actual) => {
        const payload = printRestore(diffRulesets(desired, actual, shared))
        const after = applyRestore(actual, payload)
        const expected = texts(desired)
        // Only chains of services are ever deleted.
        for (const [name, rules] of texts(actual))
          if (!expected.has(name) && !isServiceChain(name)) expected.set(name, rules)
        // One of them that a chain which stays refers to is emptied instead.
        for (const name of texts(after).keys()) if (!expected.has(name)) expected.set(name, [])
        expect(texts(after)).toEqual(expected)
        expect(printRestore(diffRulesets(desired, after, shared))).toBe('')
      }),
      { numRuns: 1500 },
    )
  })

  test('the change names no chain that is as it should be', () => {
    fc.assert(
      fc.property(desiredRuleset, ruleset, (desired, actual) => {
        const change = diffRulesets(desired, actual, shared).tables.get('nat')
        const wanted = texts(desired)
        const present = texts(actual)
        const named = [
          ...(change?.rewritten.keys() ?? []),
          ...(change?.edits.map((edit) => edit.chain) ?? []),
          ...(change?.deleted ?? []),
        ]
        for (const name of named) expect(wanted.get(name)).not.toEqual(present.get(name))
      }),
      { numRuns: 1000 },
    )
  })

  test('nothing has to be done between equal ones', () => {
    fc.assert(
      fc.property(desiredRuleset, (rules) => {
        expect(diffRulesets(rules, structuredClone(rules), shared).tables.size).toBe(0)
      }),
    )
  })
})
