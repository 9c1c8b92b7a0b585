// Rules in a form in which two kernels are equal when packets fare equally: in chains that lines of many ServicePorts
// stand in, these are sorted by the ServicePort's name, as in the recorded cases, because it does not matter whose come
// first. Where it does, among those that claim the same address or node port, their order is listed below the rules.
import { findClaims } from '../../src/compare/claim-order.ts'
import { ownerInText } from '../../src/iptables/drift-finding.ts'
import { printRule } from '../../src/iptables/print-rule.ts'
import type { Chain, ChainName, Rule, Ruleset } from '../../src/iptables/rule.ts'

const SHARED: ReadonlySet<ChainName> = new Set([
  'KUBE-SERVICES',
  'KUBE-NODEPORTS',
  'KUBE-EXTERNAL-SERVICES',
  'KUBE-PROXY-FIREWALL',
])

/** Which of these comes first makes no difference. */
const ACCEPTS_HEALTH_CHECKS = /health check node port" .*-j ACCEPT$/

/** `print` gets the rules with their shared chains sorted. */
export function comparable(ruleset: Ruleset, print: (ruleset: Ruleset) => string): string {
  const claims: string[] = []
  const tables = [...ruleset.tables].map(([table, chains]) => {
    const sorted = [...chains].map(([name, chain]): [ChainName, Chain] => {
      if (!SHARED.has(name)) return [name, chain]
      const texts = chain.rules.map((rule) => printRule(rule, ruleset.family))
      const taken = texts.filter((text) => !ACCEPTS_HEALTH_CHECKS.test(text))
      for (const [claim, owners] of findClaims(taken)) claims.push(`${table} ${name} ${claim}: ${owners.join(' ')}`)
      return [name, { ...chain, rules: sortOwned(chain.rules, texts) }]
    })
    return [table, new Map(sorted)] as const
  })
  return `${print({ ...ruleset, tables: new Map(tables) })}${claims.toSorted().join('\n')}`
}

/** Lines of nobody have to stand last: above others they stay where they are, and so do these. */
function sortOwned(rules: readonly Rule[], texts: readonly string[]): readonly Rule[] {
  const names = texts.map((text) => (ACCEPTS_HEALTH_CHECKS.test(text) ? text : ownerInText(text)))
  const owned = names.findIndex((name) => name === undefined)
  const end = owned < 0 ? rules.length : owned
  if (names.slice(end).some((name) => name !== undefined)) return rules
  const order = [...rules.keys()].slice(0, end).toSorted((a, b) => compareNames(names[a] ?? '', names[b] ?? ''))
  return [...order.flatMap((index) => rules[index] ?? []), ...rules.slice(end)]
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
