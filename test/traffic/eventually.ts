// Waiting for what the agent does in its own time.
import { setTimeout as sleep } from 'node:timers/promises'

/** Tries until it does not throw. @throws what it threw last, when the time is up. */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  { withinMs = 30_000, everyMs = 50 }: { readonly withinMs?: number; readonly everyMs?: number } = {},
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
