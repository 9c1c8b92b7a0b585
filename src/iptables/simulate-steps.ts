// What of a rule a person wants to read in a trace: its text, the Service that it belongs to, the rest of its comment.
import type { Family } from '../model/address.ts'
import { printRule } from './print-rule.ts'
import type { Rule } from './rule.ts'

export interface DescribedRule {
  readonly text: string
  /** `ns/name:port` */
  readonly service?: string
  readonly note?: string
}

/** Comments of kube-proxy begin with the Service's port, or have it behind `for`. */
const SERVICE = /(?:^|\bfor )([a-z0-9](?:[-a-z0-9]*)\/[a-z0-9](?:[-.a-z0-9]*)(?::[a-z0-9](?:[-a-z0-9]*))?)(?: |$)/

export function describeRule(rule: Rule, family: Family): DescribedRule {
  const comment = commentOf(rule)
  const service = serviceOfComment(comment)
  const rest = (service === undefined ? comment : comment.replace(service, '')).replace(/; NOTE: .*$/, '').trim()
  return {
    text: printRule(rule, family),
    ...(service !== undefined && { service }),
    ...(rest !== '' && { note: service !== undefined && !comment.startsWith(service) ? comment : rest }),
  }
}

/** The Service's port that a comment of kube-proxy names. */
export function serviceOfComment(comment: string): string | undefined {
  return SERVICE.exec(comment)?.[1]
}

export function commentOf({ matches }: Rule): string {
  for (const match of matches) if (match.kind === 'comment') return match.text
  return ''
}

/** Why nothing came of a chain that belongs to one Service; undefined for other chains. */
export function describeMisses(rules: readonly Rule[], service: string | undefined): string | undefined {
  if (service === undefined) return undefined
  const misses = new Set<string>()
  for (const rule of rules) {
    const comment = commentOf(rule)
    if (comment.startsWith('pod traffic for')) misses.add('not from a pod of this node')
    else if (/^(?:masquerade|route) LOCAL traffic for/.test(comment)) misses.add('not from this node')
    else if (rule.source !== undefined && rule.source.not !== true) misses.add('from no address that it lets in')
  }
  return [...misses, 'nothing chosen'].join(', ')
}
