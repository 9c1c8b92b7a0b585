// `sluice verify`, `sluice explain` and `sluice diff` on a kernel in IPVS mode: a second kernel, which has IPVS.
import path from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { ExplainInside } from './explain-inside.ts'
import { IPVS_TOOLS, runInSecondKernel, skipOrFail } from './second-kernel.ts'

/** Many times what it takes. */
const SECONDS = 600

const lacking = skipOrFail('verify and explain in IPVS mode', IPVS_TOOLS)

describe.skipIf(lacking !== undefined)('on a kernel in IPVS mode', () => {
  let looked: ExplainInside

  beforeAll(
    async () => {
      const file = path.join(import.meta.dirname, 'explain-inside.ts')
      const output = await runInSecondKernel({ file, args: [], modules: ['ip_vs'], megabytes: 1024, seconds: SECONDS })
      looked = JSON.parse(output) as ExplainInside
    },
    (SECONDS + 60) * 1000,
  )

  test('nothing is found, and nothing differs, while it has what the cluster asks for', () => {
    expect(looked.sound.verify.findings).toEqual([])
    expect(looked.sound.explain.findings.filter(({ severity }) => severity !== 'notice')).toEqual([])
    expect(looked.sound.diff).toBe('')
  })

  test('verify finds a real server, an entry and an address that are gone, and leaves those of others alone', () => {
    const { code, findings } = looked.damaged.verify
    expect(code).toBe(1)
    expect(findings.map(({ severity, kind }) => [severity, kind])).toEqual([
      ['error', 'changed-virtual-server'],
      ['error', 'missing-set-entry'],
      ['error', 'missing-address'],
    ])
  })

  test('explain says that the kernel is not what the Service comes to', () => {
    expect(looked.damaged.explain.findings[0]).toMatchObject({ severity: 'error', check: 'rules-differ' })
  })
})
