// A chain that is not as it should be, for log lines and metrics.
import type { ChainName, TableName } from './rule.ts'

export interface DriftFinding {
  readonly kind: DriftKind
  readonly table: TableName
  /** For a missing jump the base chain that it is missing from. */
  readonly chain: ChainName
  /** The ServicePort that it concerns, `ns1/svc1:p80 tcp`, as far as one can tell; absent for fixed chains. */
  readonly owner?: string
}

export type DriftKind = 'missing chain' | 'changed rules' | 'missing jump' | 'stale chain'

/** `ns1/svc1:p80 tcp` of the comment and the protocol of a rule; undefined when its comment begins otherwise. */
export function ownerInText(ruleText: string): string | undefined {
  const name = serviceNameInText(ruleText)
  const protocol = /(?:^| )-p ([a-z]+)/.exec(ruleText)?.[1]
  return name === undefined || protocol === undefined ? name : `${name} ${protocol}`
}

/** `ns1/svc1:p80` at the head of a rule's comment. */
export function serviceNameInText(ruleText: string): string | undefined {
  return /--comment "?([a-z0-9][a-z0-9.-]*\/[^" ]+)/.exec(ruleText)?.[1]
}
