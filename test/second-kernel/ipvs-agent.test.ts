// `sluice run` in IPVS mode on each node of the traffic laboratory, in a second kernel: clients that never stop asking
// while agents die and endpoints are replaced. Only with SLUICE_LONG=1: in that kernel three agents and their clients take
// turns on one CPU, a minute for each row.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { FAMILIES } from '../../src/model/address.ts'
import type { LiveRow } from '../traffic/live-bench.ts'
import { bundleSluice } from '../traffic/node-agent.ts'
import { formatTable, type Results } from '../traffic/rows.ts'
import { type Held, readHeld } from './held.ts'
import { AGENT_ROWS, agentRowName, agentRowsOf } from './ipvs-agent-rows.ts'
import { IPVS_TOOLS, runInSecondKernel, skipOrFail } from './second-kernel.ts'

const isLong = process.env['SLUICE_LONG'] === '1'
/** Many times what it takes. */
const SECONDS = 14_400

const lacking = isLong ? skipOrFail('the agent in IPVS mode', IPVS_TOOLS) : undefined

describe.skipIf(lacking !== undefined || !isLong)('Services while the agent runs in IPVS mode', () => {
  const table: Results<LiveRow> = new Map()
  let folder = ''
  let all: Promise<readonly (readonly Held[])[]> | undefined

  const start = async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'sluice-ipvs-agent-'))
    const program = await bundleSluice(folder)
    const file = path.join(import.meta.dirname, 'ipvs-agent-inside.ts')
    const modules = ['ipv6', 'br_netfilter', 'ip_vs']
    const kernels = FAMILIES.map((family, cpu) => {
      const args = [family, program]
      return runInSecondKernel({ file, args, modules, cpu, megabytes: 2048, seconds: SECONDS }).then(readHeld)
    })
    return Promise.all(kernels)
  }

  afterAll(() => {
    if (folder !== '') rmSync(folder, { recursive: true, force: true })
    process.stdout.write(`\n${formatTable(table, AGENT_ROWS, 'sluice run, IPVS mode, in a second kernel')}\n`)
  })

  describe.for(FAMILIES.map((family, index) => ({ family, index })))('$family', ({ family, index }) => {
    test.for(agentRowsOf(family))('$source $name', { timeout: (SECONDS + 120) * 1000 }, async (row) => {
      table.set(row, { ...table.get(row), [family]: 'FAILED' })
      all ??= start()
      const result = (await all)[index]?.find((each) => each.name === agentRowName(row))
      expect(result, 'a result of the row').toBeDefined()
      expect(result?.failure).toBeUndefined()
      table.set(row, { ...table.get(row), [family]: 'held' })
    })
  })
})
