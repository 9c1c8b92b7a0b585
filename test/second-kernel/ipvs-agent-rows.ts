// The rows of test/traffic that need the running agent, as they are held in IPVS mode.
import type { Family } from '../../src/model/address.ts'
import type { LiveRow } from '../traffic/live-bench.ts'
import { CONNTRACK_ROWS } from '../traffic/live-rows-conntrack.ts'
import { STEADY_ROWS } from '../traffic/live-rows-steady.ts'

type HeldLiveRow = LiveRow & Required<Pick<LiveRow, 'hold'>>

export const AGENT_ROWS: readonly LiveRow[] = [...STEADY_ROWS, ...CONNTRACK_ROWS]

export function agentRowsOf(family: Family): readonly HeldLiveRow[] {
  return AGENT_ROWS.filter((row): row is HeldLiveRow => row.hold !== undefined).filter(
    (row) => row.family === undefined || row.family === family,
  )
}

export function agentRowName({ source, name }: LiveRow): string {
  return `${source} ${name}`
}
