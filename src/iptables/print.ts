// Prints rules as text in canonical form: what iptables-save prints, without comments and counters, in one fixed order,
// so that equal rules are equal bytes. `canonicalise` brings a dump of a kernel, where kube-proxy's services stand in
// random order, into the same order.
import type { Family } from '../model/address.ts'
import { printRule, printRuleLine } from './print-rule.ts'
import type { Chain, ChainName, Rule, Ruleset, Table } from './rule.ts'

/**
 * Canonical form: tables by name, each with its chain lines (`:INPUT ACCEPT`, `:KUBE-SERVICES -`) by name, then the
 * rules of each chain in the order of the model. Every table of the model is printed; without one the text is empty.
 */
export function printSave(ruleset: Ruleset): string {
  const lines: string[] = []
  for (const [name, table] of byName(ruleset.tables)) {
    const chains = byName(table)
    lines.push(`*${name}`)
    for (const [chainName, chain] of chains) lines.push(`:${chainName} ${chain.policy ?? '-'}`)
    for (const [chainName, chain] of chains) {
      const start = `-A ${chainName}`
      for (const rule of chain.rules) lines.push(printRuleLine(start, rule, ruleset.family))
    }
    lines.push('COMMIT')
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

/**
 * The same rules in canonical order: tables without a chain of ours are left out, rules of chains that many services
 * share are stable-sorted by the service port name at the head of their comment, those without one last.
 */
export function canonicalise(ruleset: Ruleset): Ruleset {
  const tables = byName(ruleset.tables)
    .filter(([, table]) => [...table.keys()].some((chainName) => chainName.startsWith('KUBE')))
    .map(([name, table]): [string, Table] => [name, canonicaliseTable(table, ruleset.family)])
  return { family: ruleset.family, tables: new Map(tables) }
}

// Their rules come from many services, so kube-proxy writes them in the random order of its maps.
const SORTED_BY_SERVICE_PORT: ReadonlySet<ChainName> = new Set([
  'KUBE-SERVICES',
  'KUBE-NODEPORTS',
  'KUBE-EXTERNAL-SERVICES',
  'KUBE-PROXY-FIREWALL',
])
// The same, but IPVS mode gives these no comment to sort by.
const SORTED_AS_TEXT: ChainName = 'KUBE-IPVS-OUT-FILTER'

function canonicaliseTable(table: Table, family: Family): Table {
  const chains = byName(table).map(([name, chain]): [ChainName, Chain] => {
    if (SORTED_BY_SERVICE_PORT.has(name)) return [name, { ...chain, rules: sortByKey(chain.rules, servicePortOf) }]
    if (name === SORTED_AS_TEXT) {
      return [name, { ...chain, rules: sortByKey(chain.rules, (rule) => printRule(rule, family)) }]
    }
    return [name, chain]
  })
  return new Map(chains)
}

/** `ns1/svc1:p80` of the comment `ns1/svc1:p80 cluster IP`; undefined when the comment begins with another word. */
function servicePortOf(rule: Rule): string | undefined {
  for (const match of rule.matches) {
    if (match.kind !== 'comment') continue
    const [head = ''] = match.text.split(' ', 1)
    return head.includes('/') ? head : undefined
  }
  return undefined
}

/** Stable; rules without a key last. */
function sortByKey(rules: readonly Rule[], keyOf: (rule: Rule) => string | undefined): readonly Rule[] {
  const keyed = rules.map((rule) => ({ rule, key: keyOf(rule) }))
  keyed.sort((a, b) => {
    if (a.key === b.key) return 0
    if (a.key === undefined) return 1
    return b.key === undefined || a.key < b.key ? -1 : 1
  })
  return keyed.map(({ rule }) => rule)
}

function byName<T>(named: ReadonlyMap<string, T>): [string, T][] {
  // No two names of a map are equal.
  return [...named].toSorted(([a], [b]) => (a < b ? -1 : 1))
}
