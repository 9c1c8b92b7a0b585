// Looks at the kernel again and again, each time after a pause that makes looking cheap enough.
import type { Clock } from '../kube/api/clock.ts'
import { stretchInterval } from '../sync/drift.ts'

export interface RepeatedLook {
  /** Milliseconds from the end of one look to the next, if looking is cheap. */
  readonly wantedMs: number
  /** Of a core, that looking may cost. */
  readonly share: number
  /** The milliseconds that it took of a core. Never rejects. */
  readonly look: () => Promise<number>
}

/** Returns what ends it. */
export function lookRepeatedly({ wantedMs, share, look }: RepeatedLook, clock: Clock): () => void {
  let cancel = () => {}
  let stopped = false
  const schedule = (lastTookMs: number) => {
    if (!stopped) cancel = clock.after(stretchInterval(wantedMs, lastTookMs, share), () => void run())
  }
  const run = async () => {
    schedule(await look())
  }
  schedule(0)
  return () => {
    stopped = true
    cancel()
  }
}
