// What the soak test makes of its samples, and what is left when the agent has ended.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Of one size over the minutes: the line that fits best, and how sure its slope is. */
export interface Growth {
  readonly perMinute: number
  /** The standard error of that. */
  readonly error: number
  readonly points: number
}

export interface Point {
  readonly minute: number
  readonly value: number
}

/** The first minutes are warming up: caches fill, and the garbage collector finds its pace. */
const WARM_MINUTES = 10
/** Fewer points say nothing. */
const FEWEST_POINTS = 10
/** A slope that is within so many standard errors of 0 is none. */
const SURE = 3

/**
 * Of the smallest value of each minute, because what is above it is waiting for the garbage collector. Undefined when the
 * run was too short after its first 10 minutes.
 */
export function fitGrowth(points: readonly Point[]): Growth | undefined {
  const floors = new Map<number, number>()
  for (const { minute, value } of points) {
    const number = Math.floor(minute)
    if (number >= WARM_MINUTES) floors.set(number, Math.min(value, floors.get(number) ?? value))
  }
  const count = floors.size
  if (count < FEWEST_POINTS) return undefined
  const meanMinute = sum([...floors.keys()]) / count
  const meanValue = sum([...floors.values()]) / count
  const spread = sum([...floors.keys()].map((minute) => (minute - meanMinute) ** 2))
  const perMinute = sum([...floors].map(([minute, value]) => (minute - meanMinute) * (value - meanValue))) / spread
  const misses = [...floors].map(([minute, value]) => value - meanValue - perMinute * (minute - meanMinute))
  const error = Math.sqrt(sum(misses.map((miss) => miss ** 2)) / (count - 2) / spread)
  return { perMinute, error, points: count }
}

/** Whether it grew for sure, and by more than `most` a minute. */
export function isGrowing({ perMinute, error }: Growth, most: number): boolean {
  return perMinute > most && perMinute > SURE * error
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Processes in this process's network namespace, as `PID COMMAND`. */
export function processesHere(): readonly string[] {
  const here = readlinkSync('/proc/self/ns/net')
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        if (readlinkSync(`/proc/${pid}/ns/net`) !== here) return []
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
        return command === '' ? [] : [`${pid} ${command.slice(0, 120)}`]
      } catch {
        return []
      }
    })
}

/** Sockets of this network namespace, by protocol, without those that wait for their end: `TCP inuse 4 ...`. */
export function socketsHere(): number {
  const text = readFileSync('/proc/self/net/sockstat', 'utf8')
  return [...text.matchAll(/^(?:TCP|UDP|RAW): inuse (\d+)/gm)].reduce((total, [, count]) => total + Number(count), 0)
}

/** A sync of IPv4, by its log line. */
export interface LoggedSync {
  readonly at: number
  readonly reason: string
  readonly kind: string
}

/**
 * From each fault of the rules to the end of the next sync that read and compared everything, in ms: not every one is
 * called drift, because a change that is refused for the fault also leads to one.
 */
export function repairTimes(damages: readonly number[], syncs: readonly LoggedSync[]): readonly number[] {
  return damages.map((damaged) => {
    const repaired = syncs.find(({ at, reason, kind }) => at > damaged && (kind === 'full' || reason.includes('drift')))
    return repaired === undefined ? Number.POSITIVE_INFINITY : repaired.at - damaged
  })
}
