// Notices that somebody else touched the tables of iptables-legacy, by how many entries these have (table-sizes.ts): while
// nothing of ours is written, any other answer of the kernel means that a stranger wrote. After a change of our own the
// count must have changed by what we wrote, for which all that was not ours when everything was compared is remembered
// as a number. A rule that was exchanged for another of the same size is left to the read-back.
// Reading has a credit of time, so that strangers who write all the time can't make looking dear.
import type { Program } from '../iptables/program.ts'
import { createProgramMeter } from '../iptables/statistics.ts'
import type { Credit } from './credit.ts'
import type { StrangerWatch } from './stranger-watch.ts'
import type { TableSizes } from './table-sizes.ts'

export interface SizeWatchOptions {
  /** Undefined where the kernel can't be asked. */
  readonly sizes: () => Promise<TableSizes | undefined>
  /** What the kernel holds, when a look is taken or something is verified. */
  readonly believed: () => Program | undefined
  readonly credit: Pick<Credit, 'isLeft'>
}

export function createSizeWatch({ sizes, believed, credit }: SizeWatchOptions): StrangerWatch {
  const countOwn = createOwnCount()
  let written = 0
  /** When all was as it had been left; `written`: how often we had written by then. */
  let known: { readonly text: string; readonly foreign: number; readonly written: number } | undefined
  const foreignIn = ({ entries }: TableSizes): number | undefined => {
    const program = believed()
    return program && entries - countOwn(program)
  }
  return {
    beforeReading: async () => {
      const seen = await sizes()
      const before = written
      return () => {
        const foreign = seen && foreignIn(seen)
        // What was written since makes that count another one; the next look finds the new one, or reads.
        if (seen === undefined || foreign === undefined || written !== before) return
        known = { text: seen.text, foreign, written }
      }
    },
    wrote: () => {
      written += 1
    },
    look: async () => {
      const seen = await sizes()
      if (seen === undefined) return 'unknown'
      if (known !== undefined && known.written !== written && foreignIn(seen) === known.foreign) {
        known = { ...known, text: seen.text, written }
      }
      if (known?.written === written && seen.text === known.text) return 'unchanged'
      return credit.isLeft() ? 'read' : 'later'
    },
  }
}

/** Entries of the program's chains and rules, jumps included. A chain takes two: its name, and the return at its end. */
function createOwnCount(): (program: Program) => number {
  const measure = createProgramMeter()
  return (program) => {
    const { chains, rules } = measure(program)
    return [...rules.values()].reduce((sum, count) => sum + count, 2 * chains)
  }
}
