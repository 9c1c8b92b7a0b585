// Kubernetes' end-to-end assertions about SCTP Services, by real packets, in a second kernel, because many kernels have
// no SCTP. Where that kernel can't be had the tests are skipped, but not in CI, where CI=true.
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAMILIES } from '../../src/model/address.ts'
import { formatTable, type Results } from '../traffic/rows.ts'
import type { RowResult } from './sctp-inside.ts'
import { nodeAgentRow, RULES_ALONE, TRAFFIC_ROWS } from './sctp-rows.ts'
import { runInSecondKernel, whatSecondKernelLacks } from './second-kernel.ts'

const PROJECT = path.join(import.meta.dirname, '../..')
/** Many times what it takes. */
const SECONDS = 1_200
const HOOK_MS = (SECONDS + 60) * 1000

const lacking = whatSecondKernelLacks()
if (lacking !== undefined) process.stderr.write(`SKIPPED: SCTP traffic: ${lacking}\n`)

test.runIf(process.env['CI'] === 'true')('SCTP traffic is tested in CI', () => {
  expect(lacking).toBeUndefined()
})

describe.skipIf(lacking !== undefined)('SCTP Services by real packets in a second kernel', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-sctp-'))
  const sluice = path.join(folder, 'dist', 'sluice.bundle.mjs')
  const rows = [RULES_ALONE, ...TRAFFIC_ROWS, nodeAgentRow(sluice)]
  const table: Results = new Map()
  let results: readonly RowResult[] = []

  beforeAll(async () => {
    // Files are dear in that kernel: the bundle starts in half the time of the sources, and is what is shipped.
    copyFileSync(path.join(PROJECT, 'package.json'), path.join(folder, 'package.json'))
    const bundle = [path.join(PROJECT, 'scripts/bundle.ts'), path.join(folder, 'dist')]
    execFileSync(process.execPath, bundle, { stdio: 'pipe' })
    const file = path.join(import.meta.dirname, 'sctp-inside.ts')
    const limits = { megabytes: 1024, seconds: SECONDS }
    const output = await runInSecondKernel({ file, args: [sluice], modules: ['br_netfilter'], ...limits })
    const lines = output.trim().split('\n')
    results = lines.map((line) => JSON.parse(line) as RowResult)
  }, HOOK_MS)

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
    process.stdout.write(`\n${formatTable(table, rows, 'iptables mode, SCTP in a second kernel')}\n`)
  })

  describe.for(FAMILIES)('%s', (family) => {
    test.for(rows.filter((row) => row.family === undefined || row.family === family))('$source $name', (row) => {
      table.set(row, { ...table.get(row), [family]: 'FAILED' })
      const result = results.find((each) => each.row === row.name && each.family === family)
      expect(result, 'a result of the row').toBeDefined()
      expect(result?.failure, `${result?.failure}`).toBeUndefined()
      table.set(row, { ...table.get(row), [family]: 'held' })
    })
  })
})
