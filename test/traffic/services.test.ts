// Kubernetes' end-to-end assertions about Services, held by real packets through rules that sluice renders.
// The table at the end names every row. Without root the tests are skipped, but not in CI, where CI=true.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAMILIES } from '../../src/model/address.ts'
import { createLaboratory, type Laboratory, whatLaboratoryLacks } from './laboratory.ts'
import { createBench, type Row, startServers } from './row.ts'
import { formatTable, type Results, ROWS } from './rows.ts'
import { type Comparisons, formatComparisons, sumComparisons, takeComparisons } from './simulated.ts'

const lacking = whatLaboratoryLacks()
if (lacking !== undefined) process.stderr.write(`SKIPPED: traffic: ${lacking}\n`)

test.runIf(process.env['CI'] === 'true')('traffic is tested in CI', () => {
  expect(lacking).toBeUndefined()
})

describe.skipIf(lacking !== undefined)('Services by real packets', () => {
  const results: Results = new Map()
  let comparisons: Comparisons = { agreed: 0, leftOut: {} }
  const compared = () => (comparisons = sumComparisons([comparisons, takeComparisons()]))

  afterAll(() => {
    process.stdout.write(`\n${formatTable(results, ROWS)}\n`)
    process.stdout.write(`${formatComparisons(compared())}\n`)
  })

  // A laboratory for each family, at the same time: rows wait more than they compute.
  describe.for(FAMILIES)('%s', { concurrent: true }, (family) => {
    let laboratory: Laboratory | undefined

    beforeAll(async () => {
      laboratory = await createLaboratory()
      await startServers(laboratory)
    })

    afterAll(async () => {
      await laboratory?.[Symbol.asyncDispose]()
    })

    const held = ROWS.filter((row): row is Row & Required<Pick<Row, 'hold'>> => row.hold !== undefined)
    const ofFamily = held.filter((row) => row.family === undefined || row.family === family)
    test.for(ofFamily)('$source $name', { concurrent: false }, async (row) => {
      if (laboratory === undefined) throw new Error('no laboratory')
      results.set(row, { ...results.get(row), [family]: 'FAILED' })
      await expect(row.hold(createBench(laboratory, family))).resolves.toBeUndefined()
      results.set(row, { ...results.get(row), [family]: 'held' })
    })

    test('the simulator was asked too', { concurrent: false }, () => {
      expect(compared().agreed).toBeGreaterThan(500)
    })
  })
})
