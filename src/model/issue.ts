// Bad input is data, not an exception: what was skipped, where it stands, and what to do about it.

/**
 * `error`: something was skipped that its author meant to work. `notice`: legal, and of no effect, as with kube-proxy.
 */
export type Severity = 'error' | 'notice'

/** Where an issue stands. What is not known or makes no sense is absent. */
export interface Place {
  /** A path, `<stdin>` or the server's URL. */
  readonly source?: string
  /** Counted from 1, for input with several documents. */
  readonly document?: number
  /** Counted from 1. */
  readonly line?: number
  /** `Service ns1/svc1` */
  readonly object?: string
  /** `spec.ports[0].port` */
  readonly field?: string
}

export interface Issue {
  readonly severity: Severity
  readonly at: Place
  /** What is wrong, and what to do. */
  readonly message: string
}

/** One line: `cluster.yaml, document 2, line 14: Service ns1/svc1 spec.ports[0].port: ...` */
export function formatIssue(issue: Issue): string {
  const { source, document, line, object, field } = issue.at
  const file = [source, document && `document ${document}`, line && `line ${line}`].filter(Boolean).join(', ')
  const subject = [object, field].filter(Boolean).join(' ')
  return [file, subject, issue.message].filter(Boolean).join(': ')
}
