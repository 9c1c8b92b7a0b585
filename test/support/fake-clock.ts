// A clock that stands until a test moves it, and timers that ring when it does.
import type { Clock } from '../../src/kube/api/clock.ts'

export interface FakeClock extends Clock {
  /** Moves both clocks and runs what is due, in order. */
  readonly advance: (ms: number) => void
  /** Sets the wall clock alone, as an operator might. */
  readonly setWall: (wall: number) => void
  /** Milliseconds until each waiting timer, ascending. */
  readonly waiting: () => readonly number[]
}

export function createFakeClock(wall = Date.parse('2026-01-02T03:04:00Z')): FakeClock {
  let now = 1000
  let shift = wall - now
  const timers = new Set<{ readonly at: number; readonly callback: () => void }>()
  return {
    now: () => now,
    wall: () => now + shift,
    random: () => 0.5,
    after: (ms, callback) => {
      const timer = { at: now + ms, callback }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    advance: (ms) => {
      const end = now + ms
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)
        if (next === undefined) break
        timers.delete(next)
        now = next.at
        next.callback()
      }
      now = end
    },
    setWall: (to) => {
      shift = to - now
    },
    waiting: () => [...timers].map(({ at }) => at - now).toSorted((a, b) => a - b),
  }
}
