// The initial list of a reflector in pages, for servers that do not stream it.

import { isMapping } from '../manifests/parsed-document.ts'
import type { Clock } from './clock.ts'
import { type Answer, statusMessage } from './cluster-error.ts'
import type { Inquiry } from './inquiry.ts'
import { createListSplitter } from './list-splitter.ts'
import type { Progress } from './progress.ts'
import type { Draft, Replica } from './replica.ts'
import { identityOf } from './resource.ts'
import { plainSetback, Refusal, Setback } from './setback.ts'

export interface ListerParts {
  readonly inquiry: Inquiry
  readonly replica: Pick<Replica<unknown>, 'draft'>
  readonly progress: Progress
  readonly told: { readonly onList: () => void }
  readonly clock: Clock
}

export interface Lister {
  /**
   * Reads everything, tells it, and leaves the version in `progress`.
   * @throws Setback, ClusterError
   */
  readonly list: () => Promise<void>
  /** @throws Setback when the server has not reached this version, as after a restore of its storage. */
  readonly checkVersion: (version: string) => Promise<void>
}

const PAGE_SIZE = '500'
/** Milliseconds without a byte; a server gives up on a list after 60 seconds. */
const LIST_SILENCE_MS = 60_000
/** Lists that expired between two pages, until one is asked for in one piece. */
const MOST_EXPIRED = 2

export function createLister({ inquiry, replica, progress, told }: ListerParts): Lister {
  // Not from a cache: what it has may be older than what we know, or unknown to it.
  let needsNewest = false
  let expired = 0

  function firstPlace(): Readonly<Record<string, string>> {
    if (needsNewest) return {}
    if (progress.newest === undefined) return { resourceVersion: '0' }
    // Another server's cache may lag: never go back behind what we have told already.
    return { resourceVersion: progress.newest, resourceVersionMatch: 'NotOlderThan' }
  }

  async function list(): Promise<void> {
    const draft = replica.draft()
    const limit = expired < MOST_EXPIRED ? { limit: PAGE_SIZE } : {}
    let place = firstPlace()
    let version: string | undefined
    do {
      const page = await readPage(draft, { ...limit, ...place }, version === undefined)
      version ??= page.version
      if (page.next !== '' && page.next === place['continue']) throw notAList('its pages never end')
      place = { continue: page.next }
    } while (place['continue'] !== '')
    needsNewest = false
    expired = 0
    draft.commit()
    progress.version = version
    progress.newest = version
    progress.lists += 1
    tell(told.onList)
  }

  async function readPage(draft: Draft, query: Readonly<Record<string, string>>, isFirst: boolean): Promise<Page> {
    const splitter = createListSplitter((text) => {
      const value: unknown = JSON.parse(text)
      const identity = identityOf(value)
      if (identity === undefined || !isMapping(value)) throw new SyntaxError('an item has no name or version')
      draft.put(identity, value)
    })
    try {
      await inquiry.ask(query, LIST_SILENCE_MS, { onChunk: splitter.write })
      return readEnvelope(splitter.envelope())
    } catch (error) {
      if (error instanceof Refusal) throw judgeRefusal(error.answer, isFirst)
      if (error instanceof SyntaxError || error instanceof RangeError) throw notAList(error.message)
      throw error
    }
  }

  function judgeRefusal(answer: Answer, isFirst: boolean): Setback {
    const doing = `list ${inquiry.resource.name}`
    if (answer.status === 400 && isFirst && mayBeTheSelector(inquiry, answer)) {
      inquiry.abilities.selectsByField = false
      // A stream was perhaps refused for the same reason.
      inquiry.abilities.streamsLists = true
      return plainSetback(inquiry.server, doing, answer, { repeat: true })
    }
    if (answer.status === 410 || isTooLarge(answer)) {
      needsNewest = true
      if (!isFirst) expired += 1
    }
    return plainSetback(inquiry.server, doing, answer)
  }

  async function checkVersion(version: string): Promise<void> {
    const query = { limit: '1', resourceVersion: version, resourceVersionMatch: 'NotOlderThan' }
    try {
      await inquiry.ask(query, LIST_SILENCE_MS, { onChunk: () => {} })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      if (isTooLarge(error.answer)) needsNewest = true
      throw plainSetback(inquiry.server, `list ${inquiry.resource.name}`, error.answer, { relist: needsNewest })
    }
    delete progress.mayBeFuture
  }

  function notAList(reason: string): Setback {
    return new Setback(
      `${inquiry.server} answered the list of ${inquiry.resource.name} with something else: ${reason}; check that it is the URL of an API server`,
    )
  }
  return { list, checkVersion }
}

/** What the listener throws means that it has missed something. */
export function tell(listener: () => void): void {
  try {
    listener()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Setback(`a change could not be taken in: ${reason}; everything is listed again`, {
      relist: true,
      cause: error,
    })
  }
}

export function isTooLarge({ status, body }: Answer): boolean {
  return status >= 500 && /too large resource version|future revision/i.test(body)
}

function mayBeTheSelector({ resource, abilities }: Inquiry, answer: Answer): boolean {
  const canDoWithout = resource.fieldSelector !== undefined && resource.selects !== undefined
  return canDoWithout && abilities.selectsByField && statusMessage(answer) !== undefined
}

interface Page {
  readonly version: string
  /** The continue token, empty on the last page. */
  readonly next: string
}

/** @throws SyntaxError */
function readEnvelope(text: string): Page {
  const envelope: unknown = JSON.parse(text)
  const metadata = isMapping(envelope) ? envelope['metadata'] : undefined
  if (!isMapping(envelope) || !isMapping(metadata) || !String(envelope['kind']).endsWith('List')) {
    throw new SyntaxError('it is not a list')
  }
  const { resourceVersion, continue: next } = metadata
  if (typeof resourceVersion !== 'string') throw new SyntaxError('the list has no resourceVersion')
  return { version: resourceVersion, next: typeof next === 'string' ? next : '' }
}
