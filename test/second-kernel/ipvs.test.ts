// The traffic table in IPVS mode, by real packets in second kernels, because many kernels have no IPVS: the rows of
// iptables mode with what differs (ipvs-differences.ts), each scheduler, and connections while endpoints come and go.
// SLUICE_LONG=1 holds every row in both families; otherwise only some of them in IPv6, and none that waits for minutes.
// Questions are put to the simulator too.
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Family } from '../../src/model/address.ts'
import { formatTable, type Results } from '../traffic/rows.ts'
import { type Comparisons, formatComparisons, sumComparisons } from '../traffic/simulated.ts'
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
  { family, groups: ['masquerade', 'schedulers', 'patient', 'live'] },
])

/** Many times what it takes. */
const SECONDS = 3_600
const shares = process.env['SLUICE_LONG'] === '1' ? LONG : SHORT
const lacking = skipOrFail('IPVS traffic', IPVS_TOOLS)

describe.skipIf(lacking !== undefined)('Services by real packets in IPVS mode', () => {
  const table: Results = new Map()
  const held: Held[] = []
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
    process.stdout.write(`${formatComparisons(comparisonsOf(held))}\n`)
    for (const { name, family, comparisons, failure } of held) {
      if (comparisons?.agreed !== 0 || failure !== undefined) continue
      const reasons = Object.keys(comparisons.leftOut).join(', ') || 'its clients ask all the time, while rules change'
      process.stdout.write(`  none of ${family} ${name}: ${reasons}\n`)
    }
  })

  describe.for(shares.map((share, index) => ({ ...share, index })))('$family $groups', ({ family, groups, index }) => {
    const rows = groups.flatMap((group) => rowsOf(group, family))
    test.for(rows)('$source $name', { timeout: (SECONDS + 60) * 1000 }, async (row) => {
      table.set(row, { ...table.get(row), [family]: 'FAILED' })
      all ??= start()
      const result = (await all[index])?.find((each) => each.name === rowName(row))
      expect(result, 'a result of the row').toBeDefined()
      if (result !== undefined) held.push(result)
      expect(result?.failure).toBeUndefined()
      table.set(row, { ...table.get(row), [family]: 'held' })
    })

    test('the simulator was asked too', async () => {
      all ??= start()
      expect(comparisonsOf((await all[index]) ?? []).agreed).toBeGreaterThan(100)
    })
  })
})

function comparisonsOf(held: readonly Held[]): Comparisons {
  return sumComparisons(held.flatMap(({ comparisons }) => comparisons ?? []))
}
