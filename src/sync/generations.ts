// Whether somebody else changed any rules, asked of the kernel at the price of one netlink message: nf_tables counts the
// transactions of a network namespace, and all but those that sluice made itself are somebody else's.
// Both families share one count, as the kernel does.

export interface Generations {
  /** Makes a change of so many transactions. */
  readonly write: <T>(transactions: number, make: () => Promise<T>) => Promise<T>
  /**
   * A number that is another one when somebody else may have written since the last call; undefined where the kernel does
   * not tell.
   */
  readonly look: () => Promise<number | undefined>
}

/** `read` gives the kernel's count; it rejects where there is none. */
export function createGenerations(read: () => Promise<number>): Generations {
  let supported = true
  /** The kernel's count when it was last compared, and what was added to it since. */
  let counted: number | undefined
  let own = 0
  let strangers = 0
  let begun = 0
  const writing = new Set<Promise<unknown>>()
  let last: Promise<unknown> = Promise.resolve()

  /** Only when nothing of ours is under way; whether it could be done. */
  const compare = async (): Promise<boolean> => {
    if (!supported) return true
    if (writing.size > 0) return false
    const before = begun
    try {
      const now = await read()
      if (begun !== before) return false
      if (counted === undefined || now !== counted + own) strangers += 1
      counted = now
      own = 0
    } catch (error) {
      counted = undefined
      strangers += 1
      supported = !isRefusal(error)
    }
    return true
  }
  const compareInTurn = (): Promise<boolean> => {
    const result = last.then(compare)
    last = result
    return result
  }
  return {
    write: async (transactions, make) => {
      begun += 1
      const made = make()
      writing.add(made)
      try {
        await made
        own += transactions
      } catch {
        // Nobody knows how many of them the kernel took.
        counted = undefined
      } finally {
        writing.delete(made)
      }
      await compareInTurn()
      return made
    },
    look: async () => {
      for (let attempt = 1; !(await compareInTurn()); attempt += 1) {
        if (attempt === MOST_ATTEMPTS) {
          strangers += 1
          break
        }
        await Promise.allSettled(writing)
      }
      return supported ? strangers : undefined
    },
  }
}

/** Each waits for what is being written; more than these were never seen. */
const MOST_ATTEMPTS = 5

/** The kernel has no such count, or this process may not ask. A helper that died, or a lost answer, says nothing. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === 'NetlinkError' && !('code' in error && error.code === 'TIMEOUT')
}
