// Explanations as a document for other programs: `-o json` and `-o yaml`. Its shape is versioned.
import type { Explanation } from './explain.ts'
import { countSeverity, type Finding } from './finding.ts'

export interface ExplanationDocument {
  readonly apiVersion: 'sluice/v1'
  readonly kind: 'Explanations'
  /** Findings of all Services and of the node. */
  readonly counts: { readonly error: number; readonly warning: number; readonly notice: number }
  /** About the node by itself. */
  readonly node: readonly Finding[]
  readonly services: readonly ServiceDocument[]
}

export interface ServiceDocument {
  readonly service: Explanation['header']
  readonly client?: Explanation['client']
  readonly findings: readonly Finding[]
}

export function describeExplanations(
  explanations: readonly Explanation[],
  node: readonly Finding[],
): ExplanationDocument {
  const all = [...node, ...explanations.flatMap(({ findings }) => findings)]
  return {
    apiVersion: 'sluice/v1',
    kind: 'Explanations',
    counts: {
      error: countSeverity(all, 'error'),
      warning: countSeverity(all, 'warning'),
      notice: countSeverity(all, 'notice'),
    },
    node,
    services: explanations.map(({ header, client, findings }) => ({
      service: header,
      ...(client && { client }),
      findings,
    })),
  }
}
