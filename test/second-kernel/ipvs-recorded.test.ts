// What kube-proxy 1.36.2 put into a kernel that has IPVS, against what `sluice run` puts there: rules, sets, virtual
// servers, addresses and sysctls, in a second kernel. Only with SLUICE_LONG=1; ipvs-daemon.test.ts has two of
// the cases.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { bundleSluice } from '../traffic/node-agent.ts'
import { type Held, readHeld } from './held.ts'
import { IPVS_TOOLS, runInSecondKernel, skipOrFail } from './second-kernel.ts'

const RECORDED = readdirSync(path.join(GOLDEN_ROOT, 'recorded')).filter((name) =>
  existsSync(path.join(GOLDEN_ROOT, 'recorded', name, 'ipvs')),
)
const isLong = process.env['SLUICE_LONG'] === '1'
/** Many times what it takes. */
const SECONDS = 7_200

const lacking = isLong ? skipOrFail('the recorded cases of IPVS mode', IPVS_TOOLS) : 'there is no time'

describe.skipIf(lacking !== undefined)('sluice run leaves what kube-proxy left', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-ipvs-recorded-'))
  let results: readonly Held[] = []

  beforeAll(
    async () => {
      const program = await bundleSluice(folder)
      const file = path.join(import.meta.dirname, 'ipvs-recorded-inside.ts')
      const limits = { megabytes: 1024, seconds: SECONDS }
      const modules = ['ipv6', 'nf_conntrack']
      results = readHeld(await runInSecondKernel({ file, args: [program, ...RECORDED], modules, ...limits }))
    },
    (SECONDS + 60) * 1000,
  )
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each(RECORDED)('%s', (name) => {
    const result = results.find((each) => each.name === name)
    expect(result, 'a result of the case').toBeDefined()
    expect(result?.failure).toBeUndefined()
  })

  test('and --cleanup removes all of it', () => {
    const cleaned = results.filter(({ name }) => name.startsWith('--cleanup'))
    expect(cleaned.length).toBeGreaterThan(1)
    expect(cleaned.flatMap(({ failure }) => failure ?? [])).toEqual([])
  })
})
