// Looks at the kernel again and again, each time after a pause that makes looking cheap enough.
import type { Clock } from '../kube/clock.ts'
import { stretchInterval } from '../sync/drift.ts'

export interface RepeatedLook {
  /** Milliseconds from the end of one look to the next, if looking is cheap. */
  readonly wantedMs: number
  /** Of a core, that looking may cost. */
  readonly share: number
  /** Never rejects. Calls `began` when it has waited for what goes before it: only what follows is what it costs. */
  readonly look: (began: () => void) => Promise<void>
}

/** Returns what ends it. */
export function lookRepeatedly({ wantedMs, share, look }: RepeatedLook, clock: Clock): () => void {
  let cancel = () => {}
  let stopped = false
  const schedule = (lastTookMs: number) => {
    if (!stopped) cancel = clock.after(stretchInterval(wantedMs, lastTookMs, share), () => void run())
  }
  const run = async () => {
    let started = clock.now()
    await look(() => (started = clock.now()))
    schedule(clock.now() - started)
  }
  schedule(0)
  return () => {
    stopped = true
    cancel()
  }
}
