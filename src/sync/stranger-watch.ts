// Notices within one look that somebody else touched our chains in iptables-nft, whichever they are. Each step is taken
// only when the one before it can't tell:
// 1. The kernel's count of transactions (generations.ts): none but ours, so all is as it was left. 1 ms.
// 2. The fingerprint of our chains, which holds how many rules each has and how many lead to it, against the one taken
//    when all was as it was left: whoever wrote, wrote elsewhere. About 1.5 us for each chain.
// 3. Reading everything, as the read-back does.
// 2 and 3 have a credit of time, so that strangers who write all the time can't make looking dear. The fingerprint of what
// was left is taken some looks after our last change only: at 10,000 Services it takes half a second, which each change
// would pay, and the next one might have to wait for.
import type { Credit } from './credit.ts'
import type { Generations } from './generations.ts'

export interface StrangerWatch {
  /** Before everything is read and compared; call the answer when what was read was as it had to be, or is now. */
  readonly beforeReading: () => Promise<() => void>
  /** We wrote: the chains are other ones now. */
  readonly wrote: () => void
  /** `read`: everything has to be read. `later`: it would have to, and there is no credit. */
  readonly look: () => Promise<'unchanged' | 'read' | 'later' | 'unknown'>
}

export interface StrangerOptions {
  readonly generations: Generations
  /** Of this family's chains; two are equal when the chains are, but for the contents of rules. */
  readonly fingerprint: () => Promise<string>
  readonly credit: Credit
}

/** Without a change of ours between them. */
const QUIET_LOOKS = 5

export function createStrangerWatch({ generations, fingerprint, credit }: StrangerOptions): StrangerWatch {
  /** What `generations` said when all was as it had been left. */
  let verified: number | undefined
  let left: string | undefined
  let quietLooks = 0

  /** Undefined when a stranger wrote while it was taken. One that shows damage was needed. */
  const takeFingerprint = async (strangers: number): Promise<string | undefined> => {
    const taken = await credit.spend(fingerprint, (found) => left !== undefined && found !== left)
    return (await generations.look()) === strangers ? taken : undefined
  }
  return {
    beforeReading: async () => {
      const strangers = await generations.look()
      const isQuiet = strangers !== undefined && quietLooks >= QUIET_LOOKS && credit.isLeft()
      const taken = isQuiet ? await takeFingerprint(strangers) : undefined
      return () => {
        verified = strangers
        left = taken ?? left
      }
    },
    wrote: () => {
      left = undefined
      quietLooks = 0
    },
    look: async () => {
      quietLooks += 1
      const strangers = await generations.look()
      if (strangers === undefined) return 'unknown'
      if (strangers === verified) {
        if (left === undefined && quietLooks >= QUIET_LOOKS && credit.isLeft()) left = await takeFingerprint(strangers)
        return 'unchanged'
      }
      if (!credit.isLeft()) return 'later'
      if (left === undefined || (await takeFingerprint(strangers)) !== left) return 'read'
      verified = strangers
      return 'unchanged'
    },
  }
}
