// When syncs run: kube-proxy's bounded frequency. The first request runs at once; requests during a run and during the
// pause after it become one more run; a run that failed is repeated, and one happens now and then without a request.
// All times count from the end of a run.

export interface PacerLimits {
  /** Milliseconds between the end of a run and the start of the next. */
  readonly minInterval: number
  /** After a failed run; never later than `maxInterval`. */
  readonly retryInterval: number
  /** Without any request. */
  readonly maxInterval: number
}

export interface PacerClock {
  /** Calls back after the milliseconds; the answer cancels. */
  readonly after: (milliseconds: number, callback: () => void) => () => void
}

export interface Pacer {
  /** Asks for a run. */
  readonly request: () => void
  /** Asks for a run at the latest in so many milliseconds; a run before that makes it void. */
  readonly requestWithin: (milliseconds: number) => void
  /** No run starts any more; resolves when the one under way has ended. */
  readonly stop: () => Promise<void>
}

/** `run` is never called twice at a time. A rejection is a failed run; its reason is `run`'s own to report. */
export function createPacer(limits: PacerLimits, clock: PacerClock, run: () => Promise<void>): Pacer {
  const { minInterval, maxInterval } = limits
  if (maxInterval < minInterval) {
    throw new Error(`the longest interval of ${maxInterval} ms is below the shortest of ${minInterval} ms: raise it`)
  }
  let state: 'waiting' | 'running' | 'pausing' | 'stopped' = 'waiting'
  let requested = false
  let current: Promise<void> = Promise.resolve()
  let cancelPause = noTimer
  let cancelNext = noTimer
  let cancelWithin = noTimer

  const start = () => {
    state = 'running'
    requested = false
    cancelNext()
    cancelWithin()
    current = run().then(
      () => finish(maxInterval),
      () => finish(Math.min(limits.retryInterval, maxInterval)),
    )
  }
  const finish = (nextInterval: number) => {
    if (state === 'stopped') return
    cancelNext = clock.after(nextInterval, request)
    if (minInterval === 0) {
      resume()
      return
    }
    state = 'pausing'
    cancelPause = clock.after(minInterval, resume)
  }
  const resume = () => {
    state = 'waiting'
    if (requested) start()
  }
  const request = () => {
    if (state === 'waiting') start()
    else requested = true
  }
  cancelNext = clock.after(maxInterval, request)

  return {
    request,
    requestWithin: (milliseconds) => {
      if (state === 'stopped') return
      cancelWithin()
      cancelWithin = clock.after(milliseconds, request)
    },
    stop: async () => {
      state = 'stopped'
      for (const cancel of [cancelPause, cancelNext, cancelWithin]) cancel()
      await current
    },
  }
}

function noTimer(): void {}
