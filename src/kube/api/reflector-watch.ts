// The watches of a reflector: from a version on, or with everything there is as initial events.
import type { Clock, Watchdog } from './clock.ts'
import type { Use } from './inquiry.ts'
import { createLineSplitter } from './line-splitter.ts'
import type { Progress } from './progress.ts'
import type { ListerParts } from './reflector-list.ts'
import type { Draft, ObjectChange, Replica } from './replica.ts'
import { Setback, tell } from './setback.ts'
import { judgeEnd, judgeStatus } from './watch-end.ts'
import { readWatchEvent, type WatchEvent } from './watch-event.ts'

export interface WatcherParts<T> extends ListerParts {
  readonly replica: Replica<T>
  readonly told: {
    readonly onList: () => void
    readonly onChanges: (changes: readonly ObjectChange<T>[]) => void
  }
}

export interface Watcher {
  /** Follows the changes after `progress.version` until the server ends it in order. @throws Setback, ClusterError */
  readonly watch: () => Promise<void>
  /** Streams everything, tells it, and goes on as `watch`. @throws Setback, ClusterError */
  readonly listAndWatch: () => Promise<void>
}

/** Until the server answers at all; it gives up itself after 60 seconds. */
const ANSWER_SILENCE_MS = 60_000
/** A server that knows how to stream a list then says something within this time. */
const INITIAL_SILENCE_MS = 15_000
/** Bookmarks come about once a minute from most servers. */
const WATCH_SILENCE_MS = 90_000

export function createWatcher<T>(parts: WatcherParts<T>): Watcher {
  const { replica, progress, clock } = parts
  return {
    watch: () => follow(parts, { ...watchFor(clock), resourceVersion: progress.version ?? '' }, { changes: [] }),
    listAndWatch: () =>
      follow(
        parts,
        { ...watchFor(clock), sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' },
        { draft: replica.draft(), changes: [] },
      ),
  }
}

/** Not all nodes at the same moment: between 5 and 10 minutes. */
function watchFor(clock: Clock): Readonly<Record<string, string>> {
  const timeoutSeconds = String(300 + Math.floor(clock.random() * 301))
  return { watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds }
}

/** One watch from its request to its end. */
interface Stream<T> {
  /** What the initial events have said so far; absent when none are expected, or any more. */
  draft?: Draft
  /** Absent until the server has answered. */
  watchdog?: Watchdog
  /** Taken into the replica, and not told yet. */
  changes: ObjectChange<T>[]
}

async function follow<T>(
  parts: WatcherParts<T>,
  query: Readonly<Record<string, string>>,
  stream: Stream<T>,
): Promise<void> {
  const { inquiry, progress } = parts
  try {
    progress.watches += 1
    await inquiry.ask(query, ANSWER_SILENCE_MS, readInto(stream, parts))
  } catch (error) {
    const end = { isInitial: stream.draft !== undefined, isAnswered: stream.watchdog !== undefined }
    throw judgeEnd(error, end, inquiry, progress)
  } finally {
    progress.isWatching = false
  }
  if (stream.draft !== undefined) {
    throw new Setback(`the watch of ${inquiry.resource.name} ended before everything was there`)
  }
}

/** Takes in each line as it comes, and tells what a chunk has changed when its last line is taken in. */
function readInto<T>(stream: Stream<T>, parts: WatcherParts<T>): Use {
  const split = createLineSplitter((line) => {
    takeIn(readWatchEvent(line), stream, parts)
  })
  return {
    onAnswer: (watchdog) => {
      stream.watchdog = watchdog
      watchdog.heard(stream.draft === undefined ? WATCH_SILENCE_MS : INITIAL_SILENCE_MS)
      parts.progress.isWatching = true
    },
    onChunk: (chunk) => {
      try {
        split(chunk)
      } finally {
        // What came before a bad line is told all the same.
        tellChanges(stream, parts)
      }
    },
  }
}

function tellChanges<T>(stream: Stream<T>, { told }: WatcherParts<T>): void {
  const batch = stream.changes
  stream.changes = []
  if (batch.length > 0) tell(() => told.onChanges(batch))
}

function takeIn<T>(event: WatchEvent, stream: Stream<T>, parts: WatcherParts<T>): void {
  const { inquiry, progress, clock } = parts
  if (event.kind === 'error') throw judgeStatus(event.status, stream.draft !== undefined, inquiry)
  progress.lastEventAt = clock.now()
  if (stream.draft !== undefined) takeInitial(event, stream.draft, stream, parts)
  else takeChange(event, stream, parts)
}

/** Anything but an ERROR. */
type NewsEvent = Exclude<WatchEvent, { readonly kind: 'error' }>

function takeChange<T>(event: NewsEvent, { changes }: Stream<T>, { replica, progress }: WatcherParts<T>): void {
  progress.events += 1
  if (event.kind === 'put') changes.push(...replica.put(event.identity, event.value))
  if (event.kind === 'remove') changes.push(...replica.remove(event.identity))
  moveOn(progress, event.kind === 'bookmark' ? event.version : event.identity.version)
}

/** Gathers initial events; the bookmark at their end makes them all that there is. */
function takeInitial<T>(event: NewsEvent, draft: Draft, stream: Stream<T>, { progress, told }: WatcherParts<T>): void {
  if (event.kind !== 'bookmark') {
    if (event.kind === 'put') draft.put(event.identity, event.value)
    else draft.remove(event.identity)
  } else if (event.endsInitialEvents) {
    draft.commit()
    delete stream.draft
    stream.watchdog?.heard(WATCH_SILENCE_MS)
    progress.lists += 1
    moveOn(progress, event.version)
    tell(told.onList)
  }
}

function moveOn(progress: Progress, version: string): void {
  progress.version = version
  progress.newest = version
  delete progress.mayBeFuture
}
