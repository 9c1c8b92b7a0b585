// The initial list of a reflector in pages, for servers that do not stream it.

import { isMapping } from '../manifests/parsed-document.ts'
import type { Clock } from './clock.ts'
import { type Answer, isTooLarge, statusMessage } from './cluster-error.ts'
import type { Inquiry } from './inquiry.ts'
import { createListSplitter } from './list-splitter.ts'
import type { Progress } from './progress.ts'
import type { Draft, Replica } from './replica.ts'
import { identityOf } from './resource.ts'
import { plainSetback, Refusal, Setback, tell } from './setback.ts'

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

/** What earlier lists ran into, which the next is asked for differently. */
interface Lessons {
  /** Not from a cache: what it has may be older than what we know, or unknown to it. */
  needsNewest: boolean
  /** Lists in a row that expired between two pages. */
  expired: number
}

export function createLister(parts: ListerParts): Lister {
  const lessons: Lessons = { needsNewest: false, expired: 0 }
  return {
    list: () => list(parts, lessons),
    checkVersion: (version) => checkVersion(parts, lessons, version),
  }
}

async function list(parts: ListerParts, lessons: Lessons): Promise<void> {
  const { inquiry, replica, progress, told } = parts
  const draft = replica.draft()
  const limit = lessons.expired < MOST_EXPIRED ? { limit: PAGE_SIZE } : {}
  let place = firstPlace(progress, lessons)
  let version: string | undefined
  do {
    const page = await readPage(inquiry, lessons, draft, { ...limit, ...place }, version === undefined)
    version ??= page.version
    if (page.next !== '' && page.next === place['continue']) throw notAList(inquiry, 'its pages never end')
    place = { continue: page.next }
  } while (place['continue'] !== '')
  lessons.needsNewest = false
  lessons.expired = 0
  draft.commit()
  progress.version = version
  progress.newest = version
  progress.lists += 1
  tell(told.onList)
}

/** Parameters of the first page, which decide how new the list is. */
function firstPlace({ newest }: Progress, { needsNewest }: Lessons): Readonly<Record<string, string>> {
  if (needsNewest) return {}
  if (newest === undefined) return { resourceVersion: '0' }
  // Another server's cache may lag: never go back behind what we have told already.
  return { resourceVersion: newest, resourceVersionMatch: 'NotOlderThan' }
}

/** Puts the items of one page into the draft. */
async function readPage(
  inquiry: Inquiry,
  lessons: Lessons,
  draft: Draft,
  query: Readonly<Record<string, string>>,
  isFirst: boolean,
): Promise<Page> {
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
    if (error instanceof Refusal) throw judgeRefusal(inquiry, lessons, error.answer, isFirst)
    if (error instanceof SyntaxError || error instanceof RangeError) throw notAList(inquiry, error.message)
    throw error
  }
}

/** Learns from the refusal of a page. */
function judgeRefusal(inquiry: Inquiry, lessons: Lessons, answer: Answer, isFirst: boolean): Setback {
  const doing = `list ${inquiry.resource.name}`
  if (answer.status === 400 && isFirst && mayBeTheSelector(inquiry, answer)) {
    inquiry.abilities.selectsByField = false
    // A stream was perhaps refused for the same reason.
    inquiry.abilities.streamsLists = true
    return plainSetback(inquiry.server, doing, answer, { repeat: true })
  }
  if (answer.status === 410 || isTooLarge(answer)) {
    lessons.needsNewest = true
    if (!isFirst) lessons.expired += 1
  }
  return plainSetback(inquiry.server, doing, answer)
}

async function checkVersion({ inquiry, progress }: ListerParts, lessons: Lessons, version: string): Promise<void> {
  const query = { limit: '1', resourceVersion: version, resourceVersionMatch: 'NotOlderThan' }
  try {
    await inquiry.ask(query, LIST_SILENCE_MS, { onChunk: () => {} })
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    if (isTooLarge(error.answer)) lessons.needsNewest = true
    throw plainSetback(inquiry.server, `list ${inquiry.resource.name}`, error.answer, { relist: lessons.needsNewest })
  }
  delete progress.mayBeFuture
}

function notAList({ server, resource }: Inquiry, reason: string): Setback {
  return new Setback(
    `${server} answered the list of ${resource.name} with something else: ${reason}; check that it is the URL of an API server`,
  )
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
