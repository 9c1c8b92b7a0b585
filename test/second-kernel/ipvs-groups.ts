// The rows of IPVS mode by the kernels that hold them: several kernels at once take less time than one.
import type { Family } from '../../src/model/address.ts'
import type { Row } from '../traffic/row.ts'
import { ROWS } from '../traffic/rows.ts'
import { HASH_ROWS } from './ipvs-hash-rows.ts'
import { type HeldRow, IPVS_ROWS } from './ipvs-rows.ts'
import { SCHEDULER_ROWS } from './ipvs-scheduler-rows.ts'

export const GROUPS = ['services', 'essentials', 'masquerade', 'schedulers', 'patient', 'live'] as const
export type Group = (typeof GROUPS)[number]

/** One of each kind among the rows for Services, for a family in which not all of them are held. */
const ESSENTIALS = [
  '733 ',
  '1020 ',
  '1095 ',
  '1287 should',
  '1313 ',
  '2229 ',
  '2419 ',
  '2528 ',
  '2771 ',
  '2994 ',
  'LoadBalancers only allow',
  'LoadBalancers ExternalTrafficPolicy: Local works from pods',
  'DualStack',
]

/** They wait until the kernel has forgotten a client, up to minutes each. */
const PATIENT = ['2235 ', '2272 ']
const startsWithOne = (row: Row, starts: readonly string[]) => starts.some((start) => rowName(row).startsWith(start))

const ROWS_OF: Readonly<Record<Group, readonly Row[]>> = {
  services: ROWS.filter((row) => row.source !== 'Masquerade' && !startsWithOne(row, PATIENT)),
  essentials: ROWS.filter((row) => startsWithOne(row, ESSENTIALS)),
  masquerade: ROWS.filter(({ source }) => source === 'Masquerade'),
  schedulers: SCHEDULER_ROWS,
  live: [...IPVS_ROWS, ...HASH_ROWS],
  patient: ROWS.filter((row) => startsWithOne(row, PATIENT)),
}

export const ALL_ROWS: readonly Row[] = [...new Set(GROUPS.flatMap((group) => ROWS_OF[group]))]

/** Those that can be held in the family. */
export function rowsOf(group: Group, family: Family): readonly HeldRow[] {
  return ROWS_OF[group]
    .filter((row): row is HeldRow => row.hold !== undefined)
    .filter((row) => row.family === undefined || row.family === family)
}

export function rowName({ source, name }: Row): string {
  return `${source} ${name}`
}
