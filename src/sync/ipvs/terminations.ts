// Real servers that finish their connections, and when to look whether they have. A virtual server is looked at soon after
// a real server began, because most have few connections, then half as often each time.
import { type RealServer, type RealServerKey, realServerKey, type VirtualServerKey } from '../../ipvs/virtual-server.ts'

export interface TerminationLimits {
  /** Milliseconds after which a real server is deleted with the connections that it has; for ever when absent. */
  readonly boundMs?: number
  /** The longest time, in milliseconds, until the next look. */
  readonly pollMs: number
}

export interface Terminations {
  /** These, and no others, finish their connections to the virtual server. */
  readonly set: (key: VirtualServerKey, terminating: readonly RealServer[]) => void
  /** Virtual servers to look at now. */
  readonly due: () => readonly VirtualServerKey[]
  /** The next look is later. */
  readonly looked: (key: VirtualServerKey) => void
  /** Those whose time is over; none without a bound. */
  readonly overdue: (key: VirtualServerKey) => ReadonlySet<RealServerKey>
  readonly of: (key: VirtualServerKey) => readonly RealServerKey[]
  /** Milliseconds until the next look; undefined when none is needed. */
  readonly nextInMs: () => number | undefined
  /** Forgets those of virtual servers that are not among these. */
  readonly keepOnly: (keys: { readonly has: (key: VirtualServerKey) => boolean }) => void
}

interface Watched {
  /** When each began. */
  readonly since: ReadonlyMap<RealServerKey, number>
  readonly interval: number
  readonly lookAt: number
}

/** kube-proxy's. */
export const DEFAULT_TERMINATION: TerminationLimits = { pollMs: 60_000 }
const FIRST_LOOK_MS = 1_000

export function createTerminations(now: () => number, { boundMs, pollMs }: TerminationLimits): Terminations {
  const watched = new Map<VirtualServerKey, Watched>()
  return {
    set: (key, terminating) => {
      if (terminating.length === 0) {
        watched.delete(key)
        return
      }
      const before = watched.get(key)
      const since = new Map(
        terminating.map(realServerKey).map((real) => [real, before?.since.get(real) ?? now()] as const),
      )
      const isNew = [...since.keys()].some((real) => before?.since.has(real) !== true)
      const interval = before === undefined || isNew ? Math.min(FIRST_LOOK_MS, pollMs) : before.interval
      const lookAt = before === undefined || isNew ? now() + interval : before.lookAt
      watched.set(key, { since, interval, lookAt })
    },
    due: () => [...watched].filter(([, { since, lookAt }]) => timeOf(since, lookAt) <= now()).map(([key]) => key),
    looked: (key) => {
      const known = watched.get(key)
      if (known === undefined) return
      const interval = Math.min(known.interval * 2, pollMs)
      watched.set(key, { ...known, interval, lookAt: now() + interval })
    },
    overdue: (key) => {
      const since = [...(watched.get(key)?.since ?? [])]
      return new Set(since.filter(([, start]) => start + (boundMs ?? Infinity) <= now()).map(([real]) => real))
    },
    of: (key) => [...(watched.get(key)?.since.keys() ?? [])],
    nextInMs: () => {
      const times = [...watched.values()].map(({ since, lookAt }) => timeOf(since, lookAt))
      return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - now())
    },
    keepOnly: (keys) => {
      for (const key of watched.keys()) if (!keys.has(key)) watched.delete(key)
    },
  }

  /** The next look, or the first end of somebody's time. */
  function timeOf(since: Watched['since'], lookAt: number): number {
    return boundMs === undefined ? lookAt : Math.min(lookAt, ...[...since.values()].map((start) => start + boundMs))
  }
}
