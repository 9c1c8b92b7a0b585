// What rules of a Service's chain decide, in a few words: who is meant, and what is done to them.
import { MARK_MASQ } from '../iptables/names.ts'
import { type Chain, jumpTarget, type Rule } from '../iptables/rule.ts'
import { commentOf } from '../iptables/simulate-steps.ts'

const MOST_RANGES = 4

/** `from 10.244.0.0/16`, `not from 10.244.0.0/16`, `from this node`; undefined for everybody. */
export function describeCondition({ source, inInterface, matches }: Rule): string | undefined {
  if (source !== undefined) return `${source.not === true ? 'not ' : ''}from ${source.value}`
  if (inInterface !== undefined) return `${inInterface.not === true ? 'not ' : ''}in by ${inInterface.value}`
  for (const match of matches) {
    if (match.kind === 'addrtype' && match.source?.value === 'LOCAL') {
      return match.source.not === true ? 'not from this node' : 'from this node'
    }
  }
  return undefined
}

/** The decisions of a chain that are no choice of another chain. `KUBE-FW-...` lets in, `KUBE-EXT-...` masquerades. */
export function describeDecisions(name: string, { rules }: Chain): readonly string[] {
  const decisions: string[] = []
  if (name.startsWith('KUBE-FW-')) decisions.push(...describeRanges(rangesOf(rules)))
  if (name.startsWith('KUBE-EXT-')) decisions.push(`externalTrafficPolicy: ${externalPolicy(rules)}`)
  if (name.startsWith('KUBE-SVL-')) decisions.push('endpoints of this node')
  // An endpoint's chain masquerades only the endpoint that reaches itself.
  if (!name.startsWith('KUBE-SEP-')) {
    for (const rule of rules)
      if (jumpTarget(rule) === MARK_MASQ) decisions.push(`masquerade: ${describeCondition(rule) ?? 'all'}`)
  }
  for (const { matches } of rules) {
    for (const match of matches) {
      if (match.kind === 'recent' && match.action.kind === 'check')
        decisions.push(`affinity: ${match.action.seconds} s`)
    }
  }
  return [...new Set(decisions)]
}

/** The networks that rules of a chain let in, in their order. */
export function rangesOf(rules: readonly Rule[]): readonly string[] {
  return rules.flatMap(({ source, target }) => (source === undefined || target === undefined ? [] : [source.value]))
}

/** The first few, and how many more. */
export function describeRanges(ranges: readonly string[]): readonly string[] {
  const more = ranges.length - MOST_RANGES
  return [...ranges.slice(0, MOST_RANGES).map((range) => `lets in ${range}`), ...(more > 0 ? [`and ${more} more`] : [])]
}

/** With policy Local traffic of pods and of the node itself takes a way of its own. */
function externalPolicy(rules: readonly Rule[]): 'Cluster' | 'Local' {
  const ofLocal = /^(?:pod traffic|masquerade LOCAL traffic|route LOCAL traffic) for /
  return rules.some((rule) => ofLocal.test(commentOf(rule))) ? 'Local' : 'Cluster'
}

/** The address of an endpoint's chain: `10.244.1.5:8080`. */
export function endpointOf({ rules }: Chain): string | undefined {
  for (const { target } of rules) if (target?.kind === 'dnat') return target.to
  return undefined
}
