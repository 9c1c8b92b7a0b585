// The watches of a reflector: from a version on, or with everything there is as initial events.

import type { Watchdog } from './clock.ts'
import { type Answer, statusMessage } from './cluster-error.ts'
import { createLineSplitter } from './line-splitter.ts'
import { isTooLarge, type ListerParts, tell } from './reflector-list.ts'
import type { Draft, ObjectChange, Replica } from './replica.ts'
import { plainSetback, Refusal, Setback, Silence } from './setback.ts'
import { BadEvent, readWatchEvent, type WatchEvent, type WatchStatus } from './watch-event.ts'

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
  const { inquiry, replica, progress, told, clock } = parts

  async function follow(query: Readonly<Record<string, string>>, initial: Draft | undefined): Promise<void> {
    let draft = initial
    let watchdog: Watchdog | undefined
    let changes: ObjectChange<T>[] = []

    function take(event: WatchEvent): void {
      if (event.kind === 'error') throw judgeStatus(event.status, draft !== undefined)
      progress.lastEventAt = clock.now()
      if (draft === undefined) {
        progress.events += 1
        if (event.kind !== 'bookmark') changes.push(...apply(event))
        moveOn(event.kind === 'bookmark' ? event.version : event.identity.version)
      } else if (event.kind !== 'bookmark') {
        if (event.kind === 'put') draft.put(event.identity, event.value)
        else draft.remove(event.identity)
      } else if (event.endsInitialEvents) {
        draft.commit()
        draft = undefined
        watchdog?.heard(WATCH_SILENCE_MS)
        progress.lists += 1
        moveOn(event.version)
        tell(told.onList)
      }
    }

    const split = createLineSplitter((line) => {
      take(readWatchEvent(line))
    })
    const deliver = () => {
      const batch = changes
      changes = []
      if (batch.length > 0) tell(() => told.onChanges(batch))
    }
    try {
      progress.watches += 1
      await inquiry.ask(query, ANSWER_SILENCE_MS, {
        onAnswer: (dog) => {
          watchdog = dog
          dog.heard(draft === undefined ? WATCH_SILENCE_MS : INITIAL_SILENCE_MS)
          progress.isWatching = true
        },
        onChunk: (chunk) => {
          try {
            split(chunk)
          } finally {
            // What came before a bad line is told all the same.
            deliver()
          }
        },
      })
    } catch (error) {
      throw error instanceof Silence
        ? judgeSilence(draft !== undefined, watchdog !== undefined)
        : judgeFailure(error, draft !== undefined)
    } finally {
      progress.isWatching = false
    }
    if (draft !== undefined)
      throw new Setback(`the watch of ${inquiry.resource.name} ended before everything was there`)
  }

  function apply(event: Extract<WatchEvent, { readonly kind: 'put' | 'remove' }>): readonly ObjectChange<T>[] {
    return event.kind === 'put' ? replica.put(event.identity, event.value) : replica.remove(event.identity)
  }

  function moveOn(version: string): void {
    progress.version = version
    progress.newest = version
    delete progress.mayBeFuture
  }

  function judgeFailure(error: unknown, isInitial: boolean): unknown {
    if (error instanceof Refusal) return judgeRefusal(error.answer, isInitial)
    if (error instanceof BadEvent || error instanceof RangeError) {
      return new Setback(`${error.message}; everything of ${inquiry.resource.name} is listed again`, { relist: true })
    }
    return error
  }

  function judgeSilence(isInitial: boolean, isAnswered: boolean): Setback {
    const { server, resource, abilities } = inquiry
    // Servers that do not know initial events pass over the parameters and never mark their end.
    const cannotStream = isInitial && isAnswered
    if (cannotStream) abilities.streamsLists = false
    if (!isInitial && isAnswered) progress.mayBeFuture = true
    return new Setback(`${server} was silent for too long in a watch of ${resource.name}`, { repeat: cannotStream })
  }

  function judgeRefusal(answer: Answer, isInitial: boolean): Setback {
    const doing = `watch ${inquiry.resource.name}`
    if (answer.status !== 400 && answer.status !== 422) {
      const relist = answer.status === 410 || isTooLarge(answer)
      return plainSetback(inquiry.server, doing, answer, { relist, retryAfterMs: (answer.retryAfter ?? 0) * 1000 })
    }
    if (!isInitial || statusMessage(answer) === undefined) {
      return plainSetback(inquiry.server, doing, answer, { relist: true })
    }
    inquiry.abilities.streamsLists = false
    return plainSetback(inquiry.server, doing, answer, { repeat: true })
  }

  function judgeStatus({ code, reason, message, retryAfterMs }: WatchStatus, isInitial: boolean): Setback {
    const text = `${inquiry.server} ended the watch of ${inquiry.resource.name}: ${reason || code}: ${message}`
    const isExpired = code === 410 || reason === 'Expired' || reason === 'Gone'
    const cannotStream = isInitial && (code === 400 || code === 422 || /watch stream|initial ?events/i.test(message))
    if (cannotStream) inquiry.abilities.streamsLists = false
    return new Setback(text, {
      relist: isExpired,
      repeat: cannotStream,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    })
  }

  /** Not all nodes at the same moment. */
  function watchFor(): Readonly<Record<string, string>> {
    const timeoutSeconds = String(300 + Math.floor(clock.random() * 301))
    return { watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds }
  }

  return {
    watch: () => follow({ ...watchFor(), resourceVersion: progress.version ?? '' }, undefined),
    listAndWatch: () =>
      follow({ ...watchFor(), sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }, replica.draft()),
  }
}
