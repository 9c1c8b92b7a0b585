// Rules of the proxy that only work in their order, and addresses that two Services claim.

import { MASQUERADED } from '../compare/effect-rule.ts'
import { serviceOfPortName } from '../compare/owners.ts'
import { isServiceChain } from '../iptables/names.ts'
import type { ChainName, Rule } from '../iptables/rule.ts'
import type { Finding } from './finding.ts'
import { type IndexedRule, type IndexedTable, placeOf, protocolOf, type RuleIndex } from './rule-index.ts'

export function lintOrder(index: RuleIndex): readonly Finding[] {
  const nat = index.tables.find(({ name }) => name === 'nat')
  if (nat === undefined) return []
  const findings = [...lintNodePortJump(index, nat), ...lintPostrouting(index, nat)]
  for (const [chain, { rules }] of nat.chains) {
    if (!isServiceChain(chain) || !rules.some((rule, at) => at > 0 && mayMark(rule))) continue
    findings.push(...lintMasquerade(index, nat, chain, nat.rulesOf(chain)))
  }
  return [...findings, ...lintClaims(index, nat, 'KUBE-SERVICES'), ...lintClaims(index, nat, 'KUBE-NODEPORTS')]
}

function mayMark({ target }: Rule): boolean {
  return target?.kind === 'mark' || (target !== undefined && 'chain' in target && target.chain === 'KUBE-MARK-MASQ')
}

function outOfOrder(
  index: RuleIndex,
  table: IndexedTable,
  chain: ChainName,
  rule: IndexedRule,
  message: string,
): Finding {
  const owner = rule.portName ?? table.owners.get(chain)
  return {
    severity: 'error',
    kind: 'out-of-order',
    ...placeOf(index, table, chain, rule),
    ...(owner !== undefined && { owner }),
    message,
    advice: 'somebody else wrote into the chain, or a sync failed half-way: have the proxy write it again',
  }
}

/** A node's own address may be an external IP, whose rule must come before what takes all of the node's addresses. */
function lintNodePortJump(index: RuleIndex, nat: IndexedTable): readonly Finding[] {
  const rules = nat.rulesOf('KUBE-SERVICES')
  const at = rules.findIndex((rule) => rule.chain === 'KUBE-NODEPORTS')
  const jump = rules[at]
  if (jump === undefined) return []
  const behind = rules.slice(at).filter((rule) => rule.chain !== 'KUBE-NODEPORTS')
  if (behind.length === 0) return []
  const rest = behind.length === 1 ? '1 rule stands' : `${behind.length} rules stand`
  return [
    outOfOrder(
      index,
      nat,
      'KUBE-SERVICES',
      jump,
      `the jump to the node ports must be the last rule, and ${rest} behind it`,
    ),
  ]
}

function lintPostrouting(index: RuleIndex, nat: IndexedTable): readonly Finding[] {
  const rules = nat.rulesOf('KUBE-POSTROUTING')
  const find = (kind: string) =>
    rules.findIndex(({ rule, effect }) => rule.target?.kind === kind && isMarkOnly(effect.conditions))
  const leave = find('return')
  const masquerade = find('masquerade')
  const rule = rules[masquerade]
  if (rule === undefined || rule.effect.conditions.length > 0) return []
  if (leave >= 0 && leave < masquerade) return []
  const message = 'all traffic of the node is masqueraded: the rule that lets unmarked packets pass must come before'
  return [outOfOrder(index, nat, 'KUBE-POSTROUTING', rule, message)]
}

function isMarkOnly(conditions: readonly string[]): boolean {
  return conditions.every((text) => text.includes('mark') || text === 'not to be masqueraded')
}

/** The mark must be set before an endpoint is chosen: DNAT ends the way through the table. */
function lintMasquerade(
  index: RuleIndex,
  nat: IndexedTable,
  chain: ChainName,
  rules: readonly IndexedRule[],
): readonly Finding[] {
  const isChoice = (indexed: IndexedRule) =>
    indexed.rule.target?.kind === 'dnat' ||
    (indexed.chain?.startsWith('KUBE-SEP-') === true && indexed.effect.conditions.length === 0)
  const choice = rules.findIndex(isChoice)
  if (choice < 0) return []
  const late = rules.find((rule, at) => at > choice && rule.effect.action === MASQUERADED)
  if (late === undefined) return []
  const message = `packets are marked for masquerading only behind rule ${choice + 1}, which already sends them to an endpoint`
  return [outOfOrder(index, nat, chain, late, message)]
}

/** Of two Services with one address and port the first rule's gets all connections. */
function lintClaims(index: RuleIndex, nat: IndexedTable, chain: ChainName): readonly Finding[] {
  const claims = new Map<string, IndexedRule>()
  const findings: Finding[] = []
  const told = new Set<string>()
  for (const indexed of nat.rulesOf(chain)) {
    const { effect, portName } = indexed
    if (
      portName === undefined ||
      effect.port === undefined ||
      (effect.address === undefined && chain === 'KUBE-SERVICES')
    )
      continue
    const claim = `${effect.address ?? 'node port'} ${effect.port}/${protocolOf(indexed) ?? 'any'}`
    const first = claims.get(claim)
    if (first === undefined) claims.set(claim, indexed)
    else if (first.portName !== undefined && serviceOfPortName(first.portName) !== serviceOfPortName(portName)) {
      if (told.has(`${claim} ${portName}`)) continue
      told.add(`${claim} ${portName}`)
      findings.push({
        severity: 'warning',
        kind: 'conflicting-claim',
        ...placeOf(index, nat, chain, indexed),
        owner: portName,
        message: `${claim} is also claimed by ${first.portName}, whose rule ${first.number} comes first and gets all connections`,
        advice: 'give one of the two Services another address or port',
      })
    }
  }
  return findings
}
