// The simulator in IPVS mode against a kernel that has IPVS: random packets on random clusters. SLUICE_LONG=1 sends more.
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { IPVS_TOOLS, runInSecondKernel, skipOrFail } from './second-kernel.ts'

const SEED = Number(process.env['SLUICE_SEED'] ?? 20_261_121)
const [CLUSTERS, PACKETS] = process.env['SLUICE_LONG'] === '1' ? [250, 240] : [20, 110]
const SECONDS = 1_800

const lacking = skipOrFail('the simulator in IPVS mode', [...IPVS_TOOLS, ['conntrack', 'conntrack']])

interface Agreement {
  /** Packets by what the simulator says first. */
  readonly kinds: Readonly<Record<string, number>>
  readonly wrong: readonly string[]
}

describe.skipIf(lacking !== undefined)('the simulator and a kernel with IPVS', () => {
  test('agree about random packets on random clusters', { timeout: (SECONDS + 60) * 1000 }, async () => {
    const output = await runInSecondKernel({
      file: path.join(import.meta.dirname, 'simulate-ipvs-inside.ts'),
      args: [CLUSTERS, PACKETS, SEED].map(String),
      modules: ['ip_vs', 'nf_conntrack_netlink'],
      megabytes: 1024,
      seconds: SECONDS,
    })
    const { kinds, wrong } = JSON.parse(output) as Agreement
    process.stderr.write(`kernel agreement in IPVS mode: ${JSON.stringify(kinds)}, ${wrong.length} differ\n`)
    expect(wrong).toEqual([])
    for (const kind of ['dnat', 'no match', 'drop', 'reject']) expect(kinds[kind] ?? 0).toBeGreaterThan(20)
    expect(Object.values(kinds).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(2_000)
  })
})
