// How long to wait before asking again: client-go's numbers for a reflector, 0.8 seconds doubled up to 30.
import type { Clock } from './clock.ts'

const SHORTEST_WAIT_MS = 800
export const LONGEST_WAIT_MS = 30_000
/** An hour from a confused server must not leave a node behind for an hour. */
const LONGEST_RETRY_AFTER_MS = 300_000

export interface Backoff {
  /** Milliseconds to wait now, at least 800. `retryAfterMs` is what the server asked for, kept up to five minutes. */
  readonly next: (retryAfterMs?: number) => number
  /** Something worked: begin again. `count` failures are taken to have happened. */
  readonly reset: (count?: number) => void
  readonly failures: () => number
}

export function createBackoff(clock: Clock): Backoff {
  let failures = 0
  return {
    next: (retryAfterMs = 0) => {
      failures += 1
      const upper = Math.min(LONGEST_WAIT_MS, SHORTEST_WAIT_MS * 2 ** Math.min(failures, 10))
      // Half of it is chance, so that nodes that lost the same server do not come back at the same moment.
      const wait = upper / 2 + (clock.random() * upper) / 2
      return Math.max(wait, Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS))
    },
    reset: (count = 0) => {
      failures = count
    },
    failures: () => failures,
  }
}
