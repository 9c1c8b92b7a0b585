// A moment as the health servers need it, and how they print it.
import type { Clock } from '../kube/api/clock.ts'

export interface Instant {
  /** Nanoseconds since 1970, UTC; jumps when somebody sets the machine's clock. For display. */
  readonly wall: bigint
  /** Milliseconds that only ever grow. For measuring how long something takes. */
  readonly steady: number
}

/** What Go prints for a time that was never set. */
export const NEVER = '0001-01-01T00:00:00Z'

const NANOSECONDS_PER_MILLISECOND = 1_000_000n

export function readInstant(clock: Clock): Instant {
  return { wall: BigInt(Math.round(clock.wall())) * NANOSECONDS_PER_MILLISECOND, steady: clock.now() }
}

/** Minutes that the zone of this process is ahead of UTC at that time. */
export function zoneOffset(wall: bigint): number {
  return -new Date(Number(wall / NANOSECONDS_PER_MILLISECOND)).getTimezoneOffset()
}

/**
 * RFC 3339 as Go's RFC3339Nano prints it: nanoseconds without trailing zeros, `Z` for UTC, else `+02:00`. `offset` is in
 * minutes ahead of UTC.
 */
export function formatRfc3339(wall: bigint, offset: number): string {
  const second = 1_000_000_000n
  const nanoseconds = ((wall % second) + second) % second
  const local = new Date(Number((wall - nanoseconds) / NANOSECONDS_PER_MILLISECOND) + offset * 60_000)
  const fraction = nanoseconds.toString().padStart(9, '0').replace(/0+$/, '')
  const time = local.toISOString().slice(0, 19) + (fraction === '' ? '' : `.${fraction}`)
  return time + formatOffset(offset)
}

function formatOffset(offset: number): string {
  if (offset === 0) return 'Z'
  const minutes = Math.abs(offset)
  const two = (value: number) => value.toString().padStart(2, '0')
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}
