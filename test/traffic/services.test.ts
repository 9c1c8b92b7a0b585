// Kubernetes' end-to-end assertions about Services, held by real packets through rules that sluice renders.
// The table at the end names every row. Without root the tests are skipped, but not in CI, where CI=true.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAMILIES } from '../../src/model/address.ts'
import { createLaboratory, type Laboratory, whatLaboratoryLacks } from './laboratory.ts'
import { createBench, type Row, startServers } from './row.ts'
import { formatTable, type Results, ROWS } from './rows.ts'

const lacking = whatLaboratoryLacks()
if (lacking !== undefined) process.stderr.write(`SKIPPED: traffic: ${lacking}\n`)

test.runIf(process.env['CI'] === 'true')('traffic is tested in CI', () => {
  expect(lacking).toBeUndefined()
})

describe.skipIf(lacking !== undefined)('Services by real packets', () => {
  let laboratory: Laboratory | undefined
  const results: Results = new Map()

  beforeAll(async () => {
    laboratory = await createLaboratory()
    await startServers(laboratory)
  })

  afterAll(async () => {
    await laboratory?.[Symbol.asyncDispose]()
    process.stdout.write(`\n${formatTable(results, ROWS)}\n`)
  })

  describe.for(FAMILIES)('%s', (family) => {
    const held = ROWS.filter((row): row is Row & Required<Pick<Row, 'hold'>> => row.hold !== undefined)
    test.for(held.filter((row) => row.family === undefined || row.family === family))('$source $name', async (row) => {
      if (laboratory === undefined) throw new Error('no laboratory')
      const result = { ...results.get(row) }
      results.set(row, { ...result, [family]: 'FAILED' })
      await expect(row.hold(createBench(laboratory, family))).resolves.toBeUndefined()
      results.set(row, { ...result, [family]: 'held' })
    })
  })
})
