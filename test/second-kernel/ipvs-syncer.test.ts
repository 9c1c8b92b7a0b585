// The IPVS syncer with the real tools, in a second kernel that has IPVS. Where that kernel can't be had the tests are
// skipped, but not in CI, where CI=true.
import path from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TestResult } from './ipvs-syncer-inside.ts'
import { runInSecondKernel, whatSecondKernelLacks } from './second-kernel.ts'

/** Many times what it takes. */
const SECONDS = 900

const SHORT = [
  'the fake host says and does what ipvsadm and ipset do',
  'what was damaged is found and repaired, and foreign parts stay',
]
/** SLUICE_LONG=1 */
const LONG = ['a set grows beyond 65,536 entries while rules use it', 'a change costs few processes']
const names = process.env['SLUICE_LONG'] === '1' ? [...SHORT, ...LONG] : SHORT

const lacking = whatSecondKernelLacks()
if (lacking !== undefined) process.stderr.write(`SKIPPED: the IPVS syncer: ${lacking}\n`)

test.runIf(process.env['CI'] === 'true')('the IPVS syncer is tested in CI', () => {
  expect(lacking).toBeUndefined()
})

describe.skipIf(lacking !== undefined)('the IPVS syncer in a second kernel', () => {
  let results: readonly TestResult[] = []

  beforeAll(
    async () => {
      const file = path.join(import.meta.dirname, 'ipvs-syncer-inside.ts')
      const output = await runInSecondKernel({ file, args: names, modules: [], megabytes: 1024, seconds: SECONDS })
      results = output
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as TestResult)
      for (const { times } of results)
        if (times !== undefined) process.stdout.write(`${JSON.stringify(times, null, 2)}\n`)
    },
    (SECONDS + 60) * 1000,
  )

  test.each(names)('%s', (name) => {
    const result = results.find((each) => each.test === name)
    expect(result, 'a result of the test').toBeDefined()
    expect(result?.failure).toBeUndefined()
    const processes = name === LONG[1] ? ['nothing changed (0 processes)', 'an endpoint removed (1 processes)'] : []
    expect(Object.keys(result?.times ?? {})).toEqual(expect.arrayContaining(processes))
  })
})
