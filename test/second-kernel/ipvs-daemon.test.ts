// `sluice run` in IPVS mode around its syncs, and changes of mode with live connections, in second kernels. SLUICE_LONG=1
// holds all checks.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundleSluice } from '../traffic/node-agent.ts'
import { type Held, readHeld } from './held.ts'
import { DAEMON_CHECKS } from './ipvs-daemon-checks.ts'
import { MODE_CHECKS } from './ipvs-mode-checks.ts'
import { IPVS_TOOLS, runInSecondKernel, skipOrFail } from './second-kernel.ts'

const isLong = process.env['SLUICE_LONG'] === '1'
/** Many times what it takes. */
const SECONDS = 900
const PARTS = { checks: DAEMON_CHECKS, modes: MODE_CHECKS } as const
const CHECKS = Object.values(PARTS)
  .flat()
  .filter((check) => isLong || check.isLong !== true)

const lacking = skipOrFail('sluice run in IPVS mode', IPVS_TOOLS)

describe.skipIf(lacking !== undefined)('sluice run in IPVS mode', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-ipvs-daemon-'))
  let results: readonly Held[] = []

  beforeAll(
    async () => {
      const program = await bundleSluice(folder)
      const file = path.join(import.meta.dirname, 'ipvs-daemon-inside.ts')
      const run = async (part: keyof typeof PARTS, cpu: number, modules: readonly string[]) => {
        const args = [program, part, ...(isLong ? ['long'] : [])]
        return readHeld(await runInSecondKernel({ file, args, modules, cpu, megabytes: 1536, seconds: SECONDS }))
      }
      const modules = ['ipv6', 'nf_conntrack']
      const held = await Promise.all([run('checks', 0, modules), run('modes', 1, [...modules, 'br_netfilter'])])
      results = held.flat()
    },
    (SECONDS + 60) * 1000,
  )
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each(CHECKS)('$name', ({ name }) => {
    const result = results.find((each) => each.name === name)
    expect(result, 'a result of the check').toBeDefined()
    expect(result?.failure).toBeUndefined()
  })
})
