// Kubernetes' end-to-end assertions that need the running agent: `sluice run` on each node of the laboratory, from a
// folder of manifests that the rows change, and real packets all the while. The table at the end names every row.
// SLUICE_VARIANT=legacy takes the other iptables. Without root the tests are skipped, but not in CI, where CI=true.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAMILIES } from '../../src/model/address.ts'
import { createLaboratory, type Laboratory, whatLaboratoryLacks } from './laboratory.ts'
import { type LiveCluster, type LiveRow, startAgents } from './live-bench.ts'
import { LIVE_ROWS } from './live-rows.ts'
import { bundleSluice, type Variant } from './node-agent.ts'
import { startServers } from './row.ts'
import { formatTable, type Results } from './rows.ts'

const lacking = whatLaboratoryLacks()
if (lacking !== undefined) process.stderr.write(`SKIPPED: traffic while the agent runs: ${lacking}\n`)
const variant: Variant = process.env['SLUICE_VARIANT'] === 'legacy' ? 'legacy' : 'nft'

test.runIf(process.env['CI'] === 'true')('traffic is tested in CI', () => {
  expect(lacking).toBeUndefined()
})

describe.skipIf(lacking !== undefined)('Services while the agent runs', () => {
  const results: Results<LiveRow> = new Map()
  const held = LIVE_ROWS.filter((row): row is LiveRow & Required<Pick<LiveRow, 'hold'>> => row.hold !== undefined)

  let folder = ''
  let program = ''

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-bundle-'))
    program = await bundleSluice(folder)
  })

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true })
    process.stdout.write(`\n${formatTable(results, LIVE_ROWS, `sluice run, iptables-${variant}`)}\n`)
  })

  // A laboratory for each family, at the same time: rows wait more than they compute.
  describe.for(FAMILIES)('%s', { concurrent: true }, (family) => {
    let laboratory: Laboratory | undefined
    let cluster: LiveCluster | undefined

    beforeAll(async () => {
      laboratory = await createLaboratory({ variant })
      await startServers(laboratory)
      cluster = await startAgents(laboratory, variant, program)
    })

    afterAll(async () => {
      await cluster?.[Symbol.asyncDispose]()
      await laboratory?.[Symbol.asyncDispose]()
    })

    const ofFamily = held.filter((row) => row.family === undefined || row.family === family)
    test.for(ofFamily)('$source $name', { concurrent: false }, async (row) => {
      if (cluster === undefined) throw new Error('no cluster')
      await cluster.reset()
      results.set(row, { ...results.get(row), [family]: 'FAILED' })
      await expect(row.hold(cluster.bench(family))).resolves.toBeUndefined()
      results.set(row, { ...results.get(row), [family]: 'held' })
    })
  })
})
