// Time and chance as an argument, so that tests of what takes minutes take milliseconds.

export interface Clock {
  /** Milliseconds on a clock that never jumps; only differences mean something. */
  readonly now: () => number
  /** Milliseconds since 1970. */
  readonly wall: () => number
  /** From 0 to below 1. */
  readonly random: () => number
  /** Calls back once, `ms` milliseconds from now; the returned function calls it off. */
  readonly after: (ms: number, callback: () => void) => () => void
}

export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  random: () => Math.random(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms)
    return () => {
      clearTimeout(timer)
    }
  },
}

/** Returns after `ms` milliseconds, or at once when `signal` is aborted: look at the signal afterwards. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    const finish = () => {
      cancel()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const cancel = clock.after(ms, finish)
    signal.addEventListener('abort', finish)
  })
}

export interface Watchdog {
  /** There was a sign of life. The next is due within `ms`, by default as before. */
  readonly heard: (ms?: number) => void
  readonly stop: () => void
}

/** Calls back, once, when nothing was heard for `ms` milliseconds. */
export function startWatchdog(clock: Clock, ms: number, onSilence: () => void): Watchdog {
  let limit = ms
  let last = clock.now()
  let cancel = () => {}
  // One timer for many signs of life: it looks back when it rings, and is set again for the rest.
  const arm = (delay: number) => {
    cancel = clock.after(delay, () => {
      const rest = last + limit - clock.now()
      if (rest > 0) arm(rest)
      else onSilence()
    })
  }
  arm(limit)
  return {
    heard: (next = limit) => {
      last = clock.now()
      if (next < limit) {
        cancel()
        arm(next)
      }
      limit = next
    },
    stop: () => {
      cancel()
    },
  }
}
