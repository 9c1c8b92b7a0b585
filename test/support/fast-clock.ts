// The system's clock, made faster: tests of minutes take milliseconds, with real sockets.
import { type Clock, SYSTEM_CLOCK } from '../../src/kube/api/clock.ts'

export function fastClock(factor: number, random: () => number = () => 0.5): Clock {
  const { now, after } = SYSTEM_CLOCK
  return { ...SYSTEM_CLOCK, now: () => now() * factor, after: (ms, callback) => after(ms / factor, callback), random }
}
