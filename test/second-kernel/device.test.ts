// The addresses of kube-ipvs0 over netlink, on a kernel of its own: see device-inside.ts.
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { DEVICE_CHECKS } from './device-checks.ts'
import { type Held, readHeld } from './held.ts'
import { runInSecondKernel, skipOrFail } from './second-kernel.ts'

const SECONDS = 240

const lacking = skipOrFail('addresses of kube-ipvs0', [])

describe.skipIf(lacking !== undefined)('the addresses of kube-ipvs0', () => {
  let held: Promise<readonly Held[]> | undefined

  test.for(Object.values(DEVICE_CHECKS))('%s', { timeout: (SECONDS + 60) * 1000 }, async (name) => {
    const file = path.join(import.meta.dirname, 'device-inside.ts')
    held ??= runInSecondKernel({ file, args: [], modules: ['ipv6'], megabytes: 768, seconds: SECONDS }).then(readHeld)
    const result = (await held).find((each) => each.name === name)
    expect(result, 'a result').toBeDefined()
    expect(result?.failure).toBeUndefined()
  })
})
