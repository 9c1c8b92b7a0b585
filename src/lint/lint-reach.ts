// Rules that no packet reaches: behind one that takes everything, or everything that they would take.
import { isProxyChain } from '../compare/owners.ts'
import { isBaseChain } from '../iptables/base-chains.ts'
import type { ChainName, Rule } from '../iptables/rule.ts'
import { type Cidr, cidrContains, familyOfCidr, networkAddress, prefixLength } from '../model/address.ts'
import type { Finding } from './finding.ts'
import { endsChain, type IndexedRule, type IndexedTable, isUncertain, placeOf, type RuleIndex } from './rule-index.ts'

export function lintReach(index: RuleIndex): readonly Finding[] {
  return index.tables.flatMap((table) =>
    [...table.chains].flatMap(([chain, { rules }]) =>
      mayHideRules(rules, table) ? lintChain(index, table, chain, table.rulesOf(chain)) : [],
    ),
  )
}

/** Whether any rule but the last may end a packet's way: in most chains of Services none does. */
function mayHideRules(rules: readonly Rule[], { ends }: IndexedTable): boolean {
  return rules.some((rule, at) => {
    const { target, protocol } = rule
    if (at === rules.length - 1 || target === undefined || target.kind === 'mark' || isUncertain({ rule })) return false
    return target.kind !== 'jump' || ends(target.chain, protocol?.not === true ? undefined : protocol?.value)
  })
}

/** More of them in one chain are not compared with each other: that would take minutes. */
const MOST_WIDE_RULES = 2_000

function lintChain(
  index: RuleIndex,
  table: IndexedTable,
  chain: ChainName,
  rules: readonly IndexedRule[],
): readonly Finding[] {
  const findings: Finding[] = []
  /** By destination and port; rules without one of them, or for networks, stand under an empty key. */
  const enders = new Map<string, IndexedRule[]>()
  for (const [at, indexed] of rules.entries()) {
    if (indexed.rule.target === undefined) continue
    const by = enders.size === 0 ? [] : keysOf(indexed).flatMap((key) => enders.get(key) ?? [])
    const before = by.find((earlier) => covers(earlier, indexed))
    if (before !== undefined) {
      const finding = describe(index, table, chain, indexed, before)
      if (finding !== undefined) findings.push(finding)
      // Behind a rule that takes everything all others are the same finding.
      if (before.effect.conditions.length === 0) break
    }
    if (at === rules.length - 1 || isUncertain(indexed) || !endsChain(indexed, table.ends)) continue
    const [key = '|'] = keysOf(indexed)
    const known = enders.get(key)
    if (known === undefined) enders.set(key, [indexed])
    else if (known.length < MOST_WIDE_RULES) known.push(indexed)
  }
  return findings
}

/** The most special key first. */
function keysOf({ effect }: IndexedRule): readonly string[] {
  const address = effect.address ?? ''
  const port = effect.port ?? ''
  return [...new Set([`${address}|${port}`, `${address}|`, `|${port}`, '|'])]
}

/** Whether everything that `narrow` takes was taken by `wide` before. */
function covers(wide: IndexedRule, narrow: IndexedRule): boolean {
  // A mark may have changed in between.
  if (wide.rule.matches.some((match) => match.kind === 'mark')) return false
  return wide.effect.conditions.every(
    (text) =>
      narrow.effect.conditions.includes(text) || narrow.effect.conditions.some((other) => isWithin(other, text)),
  )
}

/** `-d 10.0.0.1/32` is within `-d 10.0.0.0/8`. */
function isWithin(narrow: string, wide: string): boolean {
  const flag = wide.slice(0, 3)
  if ((flag !== '-d ' && flag !== '-s ') || !narrow.startsWith(flag)) return false
  const network = wide.slice(3) as Cidr
  const part = narrow.slice(3) as Cidr
  return (
    familyOfCidr(network) === familyOfCidr(part) &&
    prefixLength(network) <= prefixLength(part) &&
    cidrContains(network, networkAddress(part))
  )
}

function describe(
  index: RuleIndex,
  table: IndexedTable,
  chain: ChainName,
  indexed: IndexedRule,
  before: IndexedRule,
): Finding | undefined {
  const owner = indexed.portName ?? table.owners.get(chain)
  const place = { ...placeOf(index, table, chain, indexed), ...(owner !== undefined && { owner }) }
  // Two Services that claim the same have a finding of their own.
  if (indexed.portName !== undefined && before.portName !== undefined && indexed.portName !== before.portName)
    return undefined
  const everything = before.effect.conditions.length === 0
  const kind = everything ? 'unreachable-rule' : 'shadowed-rule'
  const what = everything ? 'every packet' : 'every packet that it would take'
  const ownJump = isBaseChain(chain) && isProxyChain(indexed.chain ?? '')
  const same = indexed.portName !== undefined && indexed.portName === before.portName
  return {
    severity: ownJump ? 'error' : same || !isProxyChain(chain) ? 'notice' : 'warning',
    kind,
    ...place,
    message: `no packet reaches this rule: rule ${before.number} of the chain takes ${what}`,
    advice: ownJump
      ? `the rules of Services behind it do nothing: move rule ${before.number} behind this one`
      : same
        ? 'the Service lists the same address twice, which does no harm'
        : 'remove the one of the two that is not meant, or change their order',
  }
}
