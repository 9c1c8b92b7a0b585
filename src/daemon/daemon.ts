// What all parts of a running daemon share.
import type { SupervisedHands } from '../host/hands-client.ts'
import type { DaemonMetrics } from './metrics.ts'
import type { DaemonOptions } from './options.ts'

export interface Daemon {
  readonly options: DaemonOptions
  readonly nodeName: string
  readonly hands: SupervisedHands
  readonly metrics: DaemonMetrics
  readonly signal: AbortSignal
  /** Called in reverse order at the end. */
  readonly closers: (() => unknown)[]
  /** Ends the daemon. */
  readonly fail: (error: Error) => void
}

/** The daemon can't go on; the message is for a person. */
export class DaemonFailure extends Error {
  override readonly name = 'DaemonFailure'
}
