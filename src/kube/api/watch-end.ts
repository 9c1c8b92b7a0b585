// Why a watch ended, and what that means for the next attempt: from the same version, from a new list, or without an
// ability that the server turned out not to have.
import { type Answer, isTooLarge, oneLine, statusMessage } from './cluster-error.ts'
import type { Inquiry } from './inquiry.ts'
import type { Progress } from './progress.ts'
import { plainSetback, Refusal, Setback, Silence } from './setback.ts'
import { BadEvent, type WatchStatus } from './watch-event.ts'

/** How far a watch was when it ended. */
export interface WatchEnd {
  /** Initial events were asked for, and not all of them had come. */
  readonly isInitial: boolean
  /** The server had answered 200. */
  readonly isAnswered: boolean
}

/**
 * What to throw for the error that ended a watch: a Setback, or the error itself where it says enough. Notes in
 * `inquiry.abilities` what the server can't do, and in `progress` that the version may be one that it has not reached.
 */
export function judgeEnd(
  error: unknown,
  { isInitial, isAnswered }: WatchEnd,
  inquiry: Inquiry,
  progress: Progress,
): unknown {
  if (error instanceof Silence) return judgeSilence({ isInitial, isAnswered }, inquiry, progress)
  if (error instanceof Refusal) return judgeRefusal(error.answer, isInitial, inquiry)
  if (error instanceof BadEvent || error instanceof RangeError) {
    return new Setback(`${error.message}; everything of ${inquiry.resource.name} is listed again`, { relist: true })
  }
  return error
}

function judgeSilence({ isInitial, isAnswered }: WatchEnd, inquiry: Inquiry, progress: Progress): Setback {
  const { server, resource, abilities } = inquiry
  // Servers that do not know initial events pass over the parameters and never mark their end.
  const cannotStream = isInitial && isAnswered
  if (cannotStream) abilities.streamsLists = false
  if (!isInitial && isAnswered) progress.mayBeFuture = true
  return new Setback(`${server} was silent for too long in a watch of ${resource.name}`, { repeat: cannotStream })
}

function judgeRefusal(answer: Answer, isInitial: boolean, { server, resource, abilities }: Inquiry): Setback {
  const doing = `watch ${resource.name}`
  if (answer.status !== 400 && answer.status !== 422) {
    return plainSetback(server, doing, answer, { relist: answer.status === 410 || isTooLarge(answer) })
  }
  if (!isInitial || statusMessage(answer) === undefined) return plainSetback(server, doing, answer, { relist: true })
  abilities.streamsLists = false
  return plainSetback(server, doing, answer, { repeat: true })
}

/** The Setback for an ERROR event; notes in `inquiry.abilities` when the server does not know initial events. */
export function judgeStatus(
  { code, reason, message, retryAfterMs }: WatchStatus,
  isInitial: boolean,
  { server, resource, abilities }: Pick<Inquiry, 'server' | 'resource' | 'abilities'>,
): Setback {
  const text = `${server} ended the watch of ${resource.name}: ${oneLine(reason) || code}: ${oneLine(message)}`
  const isExpired = code === 410 || reason === 'Expired' || reason === 'Gone'
  const cannotStream = isInitial && (code === 400 || code === 422 || /watch stream|initial ?events/i.test(message))
  if (cannotStream) abilities.streamsLists = false
  return new Setback(text, {
    relist: isExpired,
    repeat: cannotStream,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
}
