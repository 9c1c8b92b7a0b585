// Time that may be spent on something dear: a share of all time, which adds up while nothing is spent, so that what is
// needed seldom is done at once, and what is needed all the time costs no more than the share.

export interface Credit {
  readonly isLeft: () => boolean
  /** Does it, and takes what it took from the credit, unless the result says that it was needed anyway. */
  readonly spend: <T>(work: () => Promise<T>, wasNeeded?: (result: T) => boolean) => Promise<T>
}

/** `now` is in milliseconds on a clock that only goes forward; `most` is what adds up at most, in milliseconds. */
export function createCredit({ share, most, now }: CreditOptions): Credit {
  let left = most
  let counted = now()
  const count = () => {
    const time = now()
    left = Math.min(most, left + (time - counted) * share)
    counted = time
  }
  return {
    isLeft: () => {
      count()
      return left > 0
    },
    spend: async (work, wasNeeded = () => false) => {
      const started = now()
      let isFree = false
      try {
        const result = await work()
        isFree = wasNeeded(result)
        return result
      } finally {
        count()
        if (!isFree) left -= now() - started
      }
    },
  }
}

export interface CreditOptions {
  readonly share: number
  readonly most: number
  readonly now: () => number
}
