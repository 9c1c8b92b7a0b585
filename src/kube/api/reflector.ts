// Keeps a copy of one resource of an API server, for ever: list, watch, and again whatever goes wrong.
//
// 1. Nothing is lost: after a gap, a bad line or a failure of the listener everything is listed again.
// 2. Nothing is told from a half-read list, and nothing after stop().
// 3. Requests are bounded: the only ones without a wait before them are a watch after its list, a watch after one that
//    lived long and ended in order, and one repetition for each ability that the server turns out not to have.
import type { Issue } from '../../model/issue.ts'
import { type Backoff, createBackoff } from './backoff.ts'
import { type Clock, pause } from './clock.ts'
import type { Connection } from './connection.ts'
import { createInquiry } from './inquiry.ts'
import type { Progress } from './progress.ts'
import { createLister } from './reflector-list.ts'
import { createWatcher } from './reflector-watch.ts'
import { createReplica, type Held, type ObjectChange } from './replica.ts'
import type { Resource } from './resource.ts'
import { explainEnd, Setback } from './setback.ts'

export interface ReflectorOptions<T> {
  readonly connection: Connection
  readonly clock: Clock
  readonly resource: Resource<T>
  /** Everything there is, after each complete list. Objects that did not change are the ones given before. */
  readonly onList: (objects: ReadonlyMap<string, Held<T>>) => void
  /** In the order in which it happened. When this throws, everything is listed again. */
  readonly onChanges: (changes: readonly ObjectChange<T>[]) => void
  readonly onIssues: (issues: readonly Issue[]) => void
  readonly onTrouble?: (trouble: ReflectorTrouble) => void
}

export interface ReflectorTrouble {
  /** `services` */
  readonly resource: string
  /** One sentence for people. */
  readonly message: string
  readonly retryInMs: number
  /** Whether everything is going to be listed again. */
  readonly relist: boolean
}

export interface ReflectorState {
  /** The first list is complete. */
  readonly synced: boolean
  /** Objects known to the server and selected, usable or not. */
  readonly objects: number
  /** Complete lists after the first. */
  readonly relists: number
  /** Watches after the first that were not begun by a list. */
  readonly reconnects: number
  /** Attempts since one succeeded; 0 while all is well. */
  readonly failures: number
  /** The clock's now() at the last event or bookmark; absent before the first. */
  readonly lastEventAt?: number
  /** Of the last event or list; absent while a list is needed. */
  readonly resourceVersion?: string
}

export interface Reflector {
  readonly state: () => ReflectorState
  /** Final: nothing is told afterwards, and there is no way to start again. */
  readonly stop: () => void
  /** Settles, without an error, some time after stop(). */
  readonly done: Promise<void>
}

/** A watch that lived this long was well. */
const HEALTHY_MS = 30_000

/** Begins at once. */
export function startReflector<T>(options: ReflectorOptions<T>): Reflector {
  const { connection, clock, resource } = options
  const backoff = createBackoff(clock)
  const inquiry = createInquiry(connection, clock, resource)
  const replica = createReplica<T>({ resource, onIssues: options.onIssues, isSelected: inquiry.isSelected })
  const stopper = new AbortController()
  const progress: Progress = { lists: 0, watches: 0, events: 0 }
  const told = {
    onList: () => {
      if (!stopper.signal.aborted) options.onList(replica.objects())
    },
    onChanges: (changes: readonly ObjectChange<T>[]) => {
      if (!stopper.signal.aborted) options.onChanges(changes)
    },
  }
  const parts = { inquiry, replica, progress, told, clock }
  const lister = createLister(parts)
  const watcher = createWatcher(parts)

  async function attempt(): Promise<void> {
    if (progress.version === undefined) {
      if (inquiry.abilities.streamsLists) return watcher.listAndWatch()
      await lister.list()
    } else if (progress.mayBeFuture === true) {
      await lister.checkVersion(progress.version)
    }
    return watcher.watch()
  }

  return {
    done: repeat(attempt, options, { progress, backoff, signal: stopper.signal }),
    stop: () => {
      stopper.abort()
      inquiry.close()
    },
    state: () => describeState(progress, replica.objects().size, backoff.failures()),
  }
}

/** What decides when the next attempt is made, and where it begins. */
interface Course {
  readonly progress: Progress
  readonly backoff: Backoff
  readonly signal: AbortSignal
}

/** Attempt after attempt, with the waits between them, until the signal is aborted. */
async function repeat(
  attempt: () => Promise<void>,
  {
    connection,
    clock,
    resource,
    onTrouble,
  }: Pick<ReflectorOptions<unknown>, 'connection' | 'clock' | 'resource' | 'onTrouble'>,
  { progress, backoff, signal }: Course,
): Promise<void> {
  while (!signal.aborted) {
    const began = clock.now()
    const events = progress.events
    const { setback, error } = await outcomeOf(attempt)
    if (signal.aborted) return
    if (setback?.relist === true) delete progress.version
    if (setback?.repeat === true) continue
    const wasHealthy = clock.now() - began >= HEALTHY_MS
    if (wasHealthy || progress.events > events) backoff.reset()
    if (wasHealthy && setback === undefined && error === undefined) continue
    const retryInMs = backoff.next(setback?.retryAfterMs)
    if (setback !== undefined || error !== undefined) {
      const message = explainEnd(connection.server, resource.name, setback ?? error)
      onTrouble?.({ resource: resource.name, message, retryInMs, relist: progress.version === undefined })
    }
    await pause(clock, retryInMs, signal)
  }
}

function describeState(
  { lists, watches, isWatching, lastEventAt, version }: Progress,
  objects: number,
  failures: number,
): ReflectorState {
  return {
    synced: lists > 0,
    objects,
    relists: Math.max(0, lists - 1),
    reconnects: Math.max(0, watches - Math.max(1, lists)),
    failures: isWatching === true ? 0 : failures,
    ...(lastEventAt !== undefined && { lastEventAt }),
    ...(version !== undefined && { resourceVersion: version }),
  }
}

/** Never throws. */
async function outcomeOf(
  attempt: () => Promise<void>,
): Promise<{ readonly setback?: Setback; readonly error?: unknown }> {
  try {
    await attempt()
    return {}
  } catch (error) {
    return error instanceof Setback ? { setback: error } : { error }
  }
}
