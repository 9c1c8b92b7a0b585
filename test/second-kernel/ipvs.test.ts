// The traffic table in IPVS mode, by real packets in second kernels, because many kernels have no IPVS: the rows of
// iptables mode with what differs (ipvs-differences.ts), each scheduler, and connections while endpoints come and go.
// SLUICE_LONG=1 holds every row in both families; otherwise only some of them in IPv6.
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Family } from '../../src/model/address.ts'
import { formatTable, type Results } from '../traffic/rows.ts'
import { type Held, readHeld } from './held.ts'
import { formatDifferences } from './ipvs-differences.ts'
import { ALL_ROWS, type Group, rowName, rowsOf } from './ipvs-groups.ts'
import { IPVS_TOOLS, runInSecondKernel, skipOrFail } from './second-kernel.ts'

interface Share {
  readonly family: Family
  readonly groups: readonly Group[]
}

/** Each share in a kernel of its own, all at once. */
const SHORT: readonly Share[] = [
  { family: 'ipv4', groups: ['services'] },
  { family: 'ipv4', groups: ['masquerade', 'schedulers', 'live'] },
  { family: 'ipv6', groups: ['essentials'] },
]
const LONG: readonly Share[] = (['ipv4', 'ipv6'] as const).flatMap((family) => [
  { family, groups: ['services'] },
  { family, groups: ['masquerade', 'schedulers', 'live'] },
])

/** Many times what it takes. */
const SECONDS = 900
const shares = process.env['SLUICE_LONG'] === '1' ? LONG : SHORT
const lacking = skipOrFail('IPVS traffic', IPVS_TOOLS)

describe.skipIf(lacking !== undefined)('Services by real packets in IPVS mode', () => {
  const table: Results = new Map()
  let all: readonly Promise<readonly Held[]>[] | undefined

  const start = () =>
    shares.map(({ family, groups }, cpu) => {
      const file = path.join(import.meta.dirname, 'ipvs-inside.ts')
      const modules = ['br_netfilter', 'ip_vs']
      return runInSecondKernel({
        file,
        args: [family, ...groups],
        modules,
        cpu,
        megabytes: 1024,
        seconds: SECONDS,
      }).then(readHeld)
    })

  afterAll(() => {
    process.stdout.write(`\n${formatTable(table, ALL_ROWS, 'IPVS mode, in a second kernel')}\n${formatDifferences()}\n`)
  })

  describe.for(shares.map((share, index) => ({ ...share, index })))('$family $groups', ({ family, groups, index }) => {
    const rows = groups.flatMap((group) => rowsOf(group, family))
    test.for(rows)('$source $name', { timeout: (SECONDS + 60) * 1000 }, async (row) => {
      table.set(row, { ...table.get(row), [family]: 'FAILED' })
      all ??= start()
      const result = (await all[index])?.find((each) => each.name === rowName(row))
      expect(result, 'a result of the row').toBeDefined()
      expect(result?.failure).toBeUndefined()
      table.set(row, { ...table.get(row), [family]: 'held' })
    })
  })
})
