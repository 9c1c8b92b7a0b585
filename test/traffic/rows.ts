// All rows, and the table of what became of them.
import type { Family } from '../../src/index.ts'
import type { Row } from './row.ts'
import { AFFINITY_ROWS } from './rows-affinity.ts'
import { BASIC_ROWS } from './rows-basic.ts'
import { LOAD_BALANCER_ROWS } from './rows-load-balancer.ts'
import { MASQUERADE_ROWS } from './rows-masquerade.ts'
import { NODE_PORT_ROWS } from './rows-node-port.ts'
import { POLICY_ROWS } from './rows-policy.ts'
import { TERMINATING_ROWS } from './rows-terminating.ts'
import { TOPOLOGY_ROWS } from './rows-topology.ts'

/** Those of service.go in its order, then the groups. */
export const ROWS: readonly Row[] = [
  ...[...BASIC_ROWS, ...NODE_PORT_ROWS, ...AFFINITY_ROWS, ...TERMINATING_ROWS, ...POLICY_ROWS].toSorted(
    (a, b) => Number(a.source) - Number(b.source),
  ),
  ...LOAD_BALANCER_ROWS,
  ...TOPOLOGY_ROWS,
  ...MASQUERADE_ROWS,
]

export type Result = 'held' | 'FAILED'
export type Results<Kind = Row> = Map<Kind, Readonly<Partial<Record<Family, Result>>>>

/** One line for each row: its result in each family, and what is not held here. */
export function formatTable<Kind extends Pick<Row, 'source' | 'name' | 'without'>>(
  results: Results<Kind>,
  rows: readonly Kind[],
  title = 'iptables mode',
): string {
  const lines = rows.map((row) => {
    const { ipv4 = 'not held', ipv6 = 'not held' } = results.get(row) ?? {}
    const remark = row.without === undefined ? '' : ` (without ${row.without})`
    return `${String(row.source).padEnd(14)} ${ipv4.padEnd(9)} ${ipv6.padEnd(9)} ${row.name}${remark}`
  })
  return [`${'row'.padEnd(14)} ${'IPv4'.padEnd(9)} ${'IPv6'.padEnd(9)} ${title}`, ...lines, ''].join('\n')
}
