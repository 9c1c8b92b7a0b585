// Reasons for a reflector to begin again.
import { type Answer, ClusterError, describeStatus, oneLine } from './cluster-error.ts'

export interface SetbackOptions {
  /** What is known can't be continued: list everything again. */
  readonly relist?: boolean
  /** Ask again without a wait; for what can happen only once. */
  readonly repeat?: boolean
  readonly retryAfterMs?: number
  readonly cause?: unknown
}

/** The message is one sentence for people. */
export class Setback extends Error {
  override readonly name = 'Setback'
  readonly relist: boolean
  readonly repeat: boolean
  readonly retryAfterMs: number

  constructor(message: string, { relist = false, repeat = false, retryAfterMs = 0, cause }: SetbackOptions = {}) {
    super(message, { cause })
    this.relist = relist
    this.repeat = repeat
    this.retryAfterMs = retryAfterMs
  }
}

/** The server answered, and not with 200. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly answer: Answer

  constructor(answer: Answer) {
    super(`the server answered ${answer.status}`)
    this.answer = answer
  }
}

/** Nothing was heard for too long. */
export class Silence extends Error {
  override readonly name = 'Silence'
}

/** Calls the listener. What it throws means that it has missed something. @throws Setback */
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

/** A refusal without more to it: wait, and try the same again. */
export function plainSetback(server: string, doing: string, answer: Answer, options: SetbackOptions = {}): Setback {
  const retryAfterMs = (answer.retryAfter ?? 0) * 1000
  return new Setback(describeStatus(server, doing, answer).message, { retryAfterMs, ...options })
}

/** One sentence about why a list or watch is over. */
export function explainEnd(server: string, resource: string, error: unknown): string {
  if (error instanceof Setback || error instanceof ClusterError) return error.message
  const reason = error instanceof Error ? oneLine(error.message) : String(error)
  return `the watch of ${resource} at ${server} is begun again: ${reason}`
}
