// All rows that are held while the agent runs.
import type { LiveRow } from './live-bench.ts'
import { API_SERVER_ROWS } from './live-rows-api-server.ts'
import { CONNTRACK_ROWS } from './live-rows-conntrack.ts'
import { OBSERVED_ROWS } from './live-rows-observed.ts'
import { STEADY_ROWS } from './live-rows-steady.ts'
import { TAKEOVER_ROWS } from './live-rows-takeover.ts'

const NOT_HELD: readonly LiveRow[] = [
  {
    source: 3776,
    name: 'should allow creating a basic SCTP service with pod and endpoints',
    without: "all of it: this machine's kernel has no SCTP; held in the second kernel, by test/second-kernel",
  },
]

export const LIVE_ROWS: readonly LiveRow[] = [
  ...STEADY_ROWS,
  ...API_SERVER_ROWS,
  ...OBSERVED_ROWS,
  ...CONNTRACK_ROWS,
  ...TAKEOVER_ROWS,
  ...NOT_HELD,
]
