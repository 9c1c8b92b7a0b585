// Entries that nobody wants any more, and that stay in the kernel for a while: those of KUBE-LOOP-BACK. The set only
// masquerades what a Pod sends to itself by way of a Service, so an entry too many harms nobody, and to take it away at
// once would cost each change of an endpoint on this node one more process.
// It goes with the next change of sets, or alone when it has waited for long. Only changes of a known kernel make it wait:
// whatever compares everything, as the first sync and the one after a failure do, takes it away at once, so nothing has to
// be remembered but what this process left. The picture of the kernel has it for as long as the kernel does.
import type { SetLine } from '../../ipset/diff.ts'
import type { Touched } from '../../ipvs/program.ts'
import { setName } from '../../ipvs/sets.ts'
import type { Family } from '../../model/address.ts'
import type { SetsChange } from './change.ts'

export interface LateEntries {
  /** What is touched, and what waits; everything when absent. */
  readonly withWaiting: (touched: Touched | undefined) => Touched | undefined
  /** What is to be done now of a change that was found by comparing these. */
  readonly postpone: (change: SetsChange, touched: Touched | undefined) => SetsChange
  /** Milliseconds until those that wait go alone; undefined when none waits. */
  readonly nextInMs: () => number | undefined
}

/** From the first of them on, so that it comes to an end however many follow. */
const LONGEST_WAIT_MS = 30_000

export function createLateEntries(family: Family, now: () => number): LateEntries {
  const set = setName('KUBE-LOOP-BACK', family)
  let waiting: ReadonlySet<string> = new Set()
  let since = 0
  const leave = (lines: readonly SetLine[]) => {
    if (waiting.size === 0) since = now()
    waiting = new Set(lines.flatMap(({ entry }) => entry?.text ?? []))
  }
  const nextInMs = () => (waiting.size === 0 ? undefined : Math.max(0, since + LONGEST_WAIT_MS - now()))
  return {
    withWaiting: (touched) => {
      if (touched === undefined || waiting.size === 0) return touched
      const texts = new Set([...(touched.entries.get(set) ?? []), ...waiting])
      return { ...touched, entries: new Map(touched.entries).set(set, texts) }
    },
    postpone: (change, touched) => {
      const { grow, shrink } = change
      const goesAnyway = touched === undefined || nextInMs() === 0 || shrink.some(({ entry }) => entry?.set !== set)
      // Endpoints that are served until virtual servers change need their entries until then; those that waited do not.
      const swept = goesAnyway || grow.length === 0 ? [] : shrink.filter(({ entry }) => waiting.has(entry?.text ?? ''))
      if (goesAnyway || swept.length > 0) waiting = new Set()
      if (goesAnyway) return change
      leave(shrink.filter((line) => !swept.includes(line)))
      return { ...change, swept, shrink: [] }
    },
    nextInMs,
  }
}
