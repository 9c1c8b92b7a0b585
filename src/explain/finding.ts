// What `sluice explain` finds: one thing about one field of one object, what it means and what to do. Findings are
// ordered so that the one a person needs comes first.

export type FindingSeverity = 'error' | 'warning' | 'notice'
/** From bad to harmless. */
export const SEVERITIES: readonly FindingSeverity[] = ['error', 'warning', 'notice']

export interface Finding {
  /**
   * `error`: somebody whom the Service is meant to serve gets no answer. `warning`: it works, and probably not as it was
   * meant, or not for long. `notice`: all right, and good to know.
   */
  readonly severity: FindingSeverity
  /** Names the check that found it; stable, for programs: `selector-matches-no-pod`. */
  readonly check: string
  readonly at: FindingPlace
  /** What is so, and what it means for clients. */
  readonly means: string
  /** What to do; absent where nothing needs to be done. */
  readonly advice?: string
}

export interface FindingPlace {
  /** `Service default/web`, `Pod default/web-0`, `node node1` */
  readonly object: string
  /** `spec.ports[0].targetPort` */
  readonly field?: string
}

/** By severity; within one, checks stay in the order in which they ran, which is from causes to effects. */
export function orderFindings(findings: readonly Finding[]): readonly Finding[] {
  return findings.toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity))
}

/** Whether one of them is of this severity or worse. */
export function reaches(findings: readonly Finding[], least: FindingSeverity): boolean {
  return findings.some(({ severity }) => SEVERITIES.indexOf(severity) <= SEVERITIES.indexOf(least))
}

export function countSeverity(findings: readonly Finding[], severity: FindingSeverity): number {
  return findings.filter((finding) => finding.severity === severity).length
}
