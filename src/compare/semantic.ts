// What a difference between two sides means, in words: nothing where the same is done in another form or order.
import { isBaseChain } from '../iptables/base-chains.ts'
import type { ChainName, TableName } from '../iptables/rule.ts'
import { findOrderChanges } from './claim-order.ts'
import type { ChainDifference, GroupDifference } from './compare.ts'
import { type EffectContext, type EffectRule, printEffect, readEffects } from './effect-rule.ts'
import { type Group, isProxyChain } from './owners.ts'
import { createSideEffects, type PortEffect } from './port-effect.ts'
import { describePort } from './port-words.ts'
import { type RuleText, rulesIn, targetInText } from './rule-text.ts'

export interface SemanticDifference {
  readonly group: Group
  /** Whole sentences without a full stop, such as `ns1/svc1:p80: endpoint 10.0.0.3:80 added; ...` */
  readonly statements: readonly string[]
}

/** `differences` are those of compareRules for the same two sides. */
export function explainDifferences(
  before: RuleText,
  after: RuleText,
  differences: readonly GroupDifference[],
): readonly SemanticDifference[] {
  const sides = { before: createSideEffects(before), after: createSideEffects(after) }
  const found = differences.map(({ group, chains }): SemanticDifference => {
    if (group.kind !== 'service') {
      const contexts = { before: sides.before.context, after: sides.after.context }
      return { group, statements: chains.flatMap((chain) => explainChain(chain, { before, after, contexts })) }
    }
    return { group, statements: explainPorts(sides.before.portsOf(group.service), sides.after.portsOf(group.service)) }
  })
  return [...mergeOrder(found, findOrderChanges(before, after))].filter(({ statements }) => statements.length > 0)
}

function mergeOrder(
  found: readonly SemanticDifference[],
  order: ReadonlyMap<string, readonly string[]>,
): readonly SemanticDifference[] {
  const known = new Set(found.map(({ group }) => (group.kind === 'service' ? group.service : '')))
  const merged = found.map((difference) => {
    const more = difference.group.kind === 'service' ? (order.get(difference.group.service) ?? []) : []
    return { ...difference, statements: [...difference.statements, ...more] }
  })
  const others = [...order].filter(([service]) => !known.has(service))
  return [
    ...merged,
    ...others.map(([service, statements]) => ({ group: { kind: 'service', service } as const, statements })),
  ]
}

function explainPorts(
  before: ReadonlyMap<string, PortEffect>,
  after: ReadonlyMap<string, PortEffect>,
): readonly string[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].toSorted()
  return names.flatMap((name) => describePort(name, before.get(name), after.get(name)))
}

interface Sides {
  readonly before: RuleText
  readonly after: RuleText
  readonly contexts: { readonly before: EffectContext; readonly after: EffectContext }
}

/** A chain that is no private one; rules of Services in it are not looked at here. */
function explainChain({ table, chain, before, after }: ChainDifference, sides: Sides): readonly string[] {
  const isUsed = (side: RuleText) => isBaseChain(chain) || isReferred(side, table, chain)
  const one = isUsed(sides.before) ? effectsOf(before, sides.before, table, sides.contexts.before) : []
  const other = isUsed(sides.after) ? effectsOf(after, sides.after, table, sides.contexts.after) : []
  const gone = without(one, other)
  const come = without(other, one)
  const place = `${table} ${chain}`
  if (gone.length === 0 && come.length === 0) {
    return one.join('\n') === other.join('\n')
      ? []
      : [`${place}: the same rules stand in another order: ${other.join(', then ')}`]
  }
  return [...gone.map((text) => `${place}: no longer ${text}`), ...come.map((text) => `${place}: now ${text}`)]
}

function isReferred(side: RuleText, table: TableName, chain: ChainName): boolean {
  for (const name of side.tables.get(table)?.keys() ?? []) {
    // Private chains lead to private chains and to KUBE-MARK-MASQ alone.
    if (name.startsWith('KUBE-S') && name.length > 20) continue
    if (rulesIn(side.tables.get(table), name).some((rule) => targetInText(rule) === chain)) return true
  }
  return chain === 'KUBE-MARK-MASQ'
}

function effectsOf(
  texts: readonly string[],
  side: RuleText,
  table: TableName,
  context: EffectContext,
): readonly string[] {
  const rules = readEffects(texts, context).filter((rule) => !leadsNowhere(rule, side, table))
  return sortEqualTargets(rules).map(printEffect)
}

/** A jump to a chain of the proxy that has no rules does nothing. */
function leadsNowhere({ chain }: EffectRule, side: RuleText, table: TableName): boolean {
  if (chain === undefined || !isProxyChain(chain)) return false
  const target = side.tables.get(table)?.get(chain)
  return target !== undefined && target.start === target.end
}

/** Neighbours that do the same may stand in any order, such as node port jumps for several addresses. */
function sortEqualTargets(rules: readonly EffectRule[]): readonly EffectRule[] {
  const sorted: EffectRule[] = []
  let run: EffectRule[] = []
  const close = () => {
    sorted.push(...run.toSorted((a, b) => (printEffect(a) < printEffect(b) ? -1 : 1)))
    run = []
  }
  for (const rule of rules) {
    const [first] = run
    if (first !== undefined && (first.action !== rule.action || first.chain !== rule.chain)) close()
    run.push(rule)
  }
  close()
  return sorted
}

/** Of equal texts as many stay as there are more of. */
function without(texts: readonly string[], others: readonly string[]): readonly string[] {
  const left = [...others]
  return texts.filter((text) => {
    const at = left.indexOf(text)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
}
