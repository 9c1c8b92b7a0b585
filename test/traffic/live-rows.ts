// All rows that are held while the agent runs.
import type { LiveRow } from './live-bench.ts'
import { CONNTRACK_ROWS } from './live-rows-conntrack.ts'
import { OBSERVED_ROWS } from './live-rows-observed.ts'
import { STEADY_ROWS } from './live-rows-steady.ts'
import { TAKEOVER_ROWS } from './live-rows-takeover.ts'

const NOT_HELD: readonly LiveRow[] = [
  {
    source: 1240,
    name: 'should work after restarting apiserver',
    without: 'all of it: agents read a folder here; the double of the API server holds it',
  },
  {
    source: 3776,
    name: 'should allow creating a basic SCTP service with pod and endpoints',
    without: "all of it: this machine's kernel has no SCTP",
  },
]

export const LIVE_ROWS: readonly LiveRow[] = [
  ...STEADY_ROWS,
  ...OBSERVED_ROWS,
  ...CONNTRACK_ROWS,
  ...TAKEOVER_ROWS,
  ...NOT_HELD,
]
