// Waiting for what the agent does in its own time.
import { setTimeout as sleep } from 'node:timers/promises'

/** Several kernels on the two processors of a machine take ten times as long, and a wait that succeeds costs nothing. */
const PATIENCE_MS = 120_000

/** Tries until it does not throw. @throws what it threw last, when the time is up. */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  { withinMs = PATIENCE_MS, everyMs = 50 }: { readonly withinMs?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const end = performance.now() + withinMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() >= end) throw error
    }
    await sleep(everyMs)
  }
}
