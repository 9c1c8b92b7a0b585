// Where a reflector is in its list and watch.

/** Where we are; written by the lister and the watcher. */
export interface Progress {
  /** What the next watch begins after; absent while a list is needed. */
  version?: string
  /** The last version that was ever seen. */
  newest?: string
  lists: number
  watches: number
  events: number
  lastEventAt?: number
  /** A watch is open and has been answered. */
  isWatching?: boolean
  /** The last watch was silent, as one from a version that the server has not reached. */
  mayBeFuture?: boolean
}
