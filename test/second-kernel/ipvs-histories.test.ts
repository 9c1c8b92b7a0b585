// Random histories of the IPVS syncer in a real kernel: see ipvs-history.ts. SLUICE_LONG=1 makes them many.
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { readHeld } from './held.ts'
import { IPVS_TOOLS, runInSecondKernel, skipOrFail } from './second-kernel.ts'

const isLong = process.env['SLUICE_LONG'] === '1'
const SECONDS = isLong ? 3_000 : 400
const HISTORIES = isLong ? 60 : 2
const STEPS = isLong ? 30 : 10
/** Long histories are other ones each time; the seed is printed with a failure. */
const seed = Number(process.env['SLUICE_SEED'] ?? (isLong ? 1 + (Date.now() % 1_000_000) : 1))

const lacking = skipOrFail('IPVS histories', IPVS_TOOLS)

describe.skipIf(lacking !== undefined)('the IPVS syncer in a real kernel', () => {
  test('arrives at what is desired, and leaves what is foreign', { timeout: (SECONDS + 60) * 1000 }, async () => {
    const file = path.join(import.meta.dirname, 'ipvs-histories-inside.ts')
    const args = [seed, HISTORIES, STEPS].map(String)
    const modules = ['ipv6', 'ip_vs']
    const held = readHeld(await runInSecondKernel({ file, args, modules, megabytes: 768, seconds: SECONDS }))
    expect(held.filter(({ failure }) => failure !== undefined).map(({ failure }) => failure)).toEqual([])
    expect(held).toHaveLength(HISTORIES)
  })
})
