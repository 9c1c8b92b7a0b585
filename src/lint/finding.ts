// What lint finds in a node's rules.
import type { ChainName, TableName } from '../iptables/rule.ts'
import type { Family } from '../model/address.ts'

/** `error`: traffic goes wrong. `warning`: it does for some, or may soon. `notice`: of no effect, and worth to know. */
export type FindingSeverity = 'error' | 'warning' | 'notice'
const FINDING_SEVERITIES: readonly FindingSeverity[] = ['error', 'warning', 'notice']

export type FindingKind =
  | 'missing-chain'
  | 'missing-jump'
  | 'unreferenced-chain'
  | 'unreachable-rule'
  | 'shadowed-rule'
  | 'uneven-chances'
  | 'chances-do-not-add-up'
  | 'not-an-endpoint'
  | 'endpoint-does-not-serve'
  | 'conflicting-claim'
  | 'out-of-order'
  // IPVS mode
  | 'missing-set'
  | 'wrong-set'
  | 'no-real-servers'
  | 'unbound-address'
  | 'unused-address'

export interface Finding<Kind extends string = FindingKind> {
  readonly severity: FindingSeverity
  readonly kind: Kind
  /** Absent for what is no rule's. */
  readonly family?: Family
  readonly table?: TableName
  readonly chain?: ChainName
  /** The number of the rule in its chain, from 1. */
  readonly rule?: number
  /** The rule without `-A CHAIN `. */
  readonly text?: string
  /** `ns1/svc1:p80` */
  readonly owner?: string
  /** What it means. */
  readonly message: string
  /** What to do. */
  readonly advice: string
}

/** Whether the severity is the given one or worse. */
export function isAtLeast(severity: FindingSeverity, limit: FindingSeverity): boolean {
  return FINDING_SEVERITIES.indexOf(severity) <= FINDING_SEVERITIES.indexOf(limit)
}

/** Worst first, otherwise in the order in which they were found. */
export function inOrder<T extends { readonly severity: FindingSeverity }>(findings: readonly T[]): readonly T[] {
  return findings.toSorted((a, b) => FINDING_SEVERITIES.indexOf(a.severity) - FINDING_SEVERITIES.indexOf(b.severity))
}

/** `nat KUBE-SERVICES rule 3: ns1/svc1:p80: message: advice` */
export function formatFinding({ family, table, chain, rule, owner, message, advice }: Finding<string>): string {
  const place = [family, table, chain, rule !== undefined && `rule ${rule}`].filter(Boolean).join(' ')
  return [place, owner, `${message}; ${advice}`].filter(Boolean).join(': ')
}
