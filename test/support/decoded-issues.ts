// What a decoder says about an object, as a person would see it.
import { decodeEndpointSlice, decodeService } from '../../src/kube/decode/decode.ts'
import { formatIssue, type Place } from '../../src/model/issue.ts'
import { rawService, rawSlice } from './raw-objects.ts'

type Fields = Record<string, unknown>

export const AT: Place = { source: 'f.yaml', document: 2 }

export interface Outcome {
  /** Whether the object can be used, with or without some of its parts. */
  readonly used: boolean
  /** `error f.yaml, document 2: ...` */
  readonly issues: readonly string[]
}

/** Of `shop/web`, with `spec` and `more` over it. */
export function serviceIssues(spec: Fields, more: Fields = {}): Outcome {
  const { object, issues } = decodeService(rawService(spec, more), AT)
  return { used: object !== undefined, issues: issues.map((issue) => `${issue.severity} ${formatIssue(issue)}`) }
}

/** Of `shop/web-1`, with `more` over it. */
export function sliceIssues(more: Fields): Outcome {
  const { object, issues } = decodeEndpointSlice(rawSlice(more), AT)
  return { used: object !== undefined, issues: issues.map((issue) => `${issue.severity} ${formatIssue(issue)}`) }
}
