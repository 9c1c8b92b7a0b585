// Virtual servers and set entries that the kernel refused. Each stays as it is in the kernel, and is tried again later and
// whenever something else is desired of it, after everything else, so that it can't hold up the others.
import type { SetName } from '../../ipset/ip-set.ts'
import type { VirtualServerKey } from '../../ipvs/virtual-server.ts'

export type Subject =
  | { readonly kind: 'virtual server'; readonly key: VirtualServerKey }
  | { readonly kind: 'entry'; readonly set: SetName; readonly text: string }

/** For people: `virtual server tcp 10.0.0.1:80`, `entry 30080 of KUBE-NODE-PORT-TCP`. */
export function nameSubject(subject: Subject): string {
  return subject.kind === 'entry' ? `entry ${subject.text} of ${subject.set}` : `virtual server ${subject.key}`
}

export interface Refusals {
  /** `desired` is compared by identity; undefined when the subject is to go away. */
  readonly add: (subject: Subject, owner: string, desired: unknown) => void
  /** The owner of what was refused before. */
  readonly remove: (subject: Subject) => string | undefined
  /** Whether it is left alone for now: the same was refused. */
  readonly holds: (subject: Subject, desired: unknown) => boolean
  /** Those that should be tried now. */
  readonly due: () => readonly Subject[]
  /** Forgets all others. */
  readonly keepOnly: (concerns: (subject: Subject) => boolean) => void
  /** Each once. */
  readonly owners: () => readonly string[]
  /** Milliseconds until the next one is due; undefined without any. */
  readonly nextInMs: () => number | undefined
}

interface Refusal {
  readonly subject: Subject
  readonly owner: string
  readonly desired: unknown
  readonly failures: number
  readonly retryAt: number
}

export function createRefusals(now: () => number): Refusals {
  const refusals = new Map<string, Refusal>()
  return {
    add: (subject, owner, desired) => {
      const name = nameSubject(subject)
      const failures = (refusals.get(name)?.failures ?? 0) + 1
      const retryAt = now() + Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LAST_RETRY_MS)
      refusals.set(name, { subject, owner, desired, failures, retryAt })
    },
    remove: (subject) => {
      if (refusals.size === 0) return undefined
      const name = nameSubject(subject)
      const owner = refusals.get(name)?.owner
      refusals.delete(name)
      return owner
    },
    holds: (subject, desired) => {
      if (refusals.size === 0) return false
      const refusal = refusals.get(nameSubject(subject))
      return refusal !== undefined && refusal.desired === desired
    },
    due: () => [...refusals.values()].filter(({ retryAt }) => retryAt <= now()).map(({ subject }) => subject),
    keepOnly: (concerns) => {
      for (const [name, { subject }] of refusals) if (!concerns(subject)) refusals.delete(name)
    },
    owners: () => [...new Set([...refusals.values()].map(({ owner }) => owner))],
    nextInMs: () => {
      const times = [...refusals.values()].map(({ retryAt }) => retryAt)
      return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - now())
    },
  }
}

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 300_000
