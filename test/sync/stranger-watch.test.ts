import { describe, expect, test } from 'vitest'
import { createCredit } from '../../src/sync/credit.ts'
import { createGenerations } from '../../src/sync/generations.ts'
import { createStrangerWatch } from '../../src/sync/stranger-watch.ts'

/** A kernel of one family whose chains are a text; looking at them takes `dearMs`. */
async function createPlace({ dearMs = 1, most = 100 } = {}) {
  let time = 0
  let count = 1
  let chains = 'as left'
  const now = () => time
  const generations = createGenerations(async () => count)
  const watch = createStrangerWatch({
    generations,
    fingerprint: async () => {
      time += dearMs
      return chains
    },
    credit: createCredit({ share: 0.01, most, now }),
  })
  const verify = await watch.beforeReading()
  verify()
  return {
    watch,
    /** As long after a change of ours as it takes until the chains are known. */
    lookOften: async () => {
      for (let looks = 0; looks < 5; looks += 1) expect(await watch.look()).toBe('unchanged')
    },
    pass: (milliseconds: number) => {
      time += milliseconds
    },
    foreignWrite: (after = chains) => {
      count += 1
      chains = after
    },
    ownWrite: (after: string) => {
      watch.wrote()
      return generations.write(1, async () => {
        count += 1
        chains = after
      })
    },
  }
}

describe('watching for strangers', () => {
  test('reads nothing while only we write', async () => {
    const { watch, ownWrite } = await createPlace()
    expect(await watch.look()).toBe('unchanged')
    await ownWrite('more')
    expect(await watch.look()).toBe('unchanged')
  })

  test('reads nothing when strangers write elsewhere, and everything when they touch our chains', async () => {
    const { watch, lookOften, foreignWrite, ownWrite } = await createPlace()
    await lookOften()
    foreignWrite()
    expect(await watch.look()).toBe('unchanged')
    await ownWrite('more')
    await lookOften()
    foreignWrite('flushed')
    expect(await watch.look()).toBe('read')
    expect(await watch.look()).toBe('read')
    const verify = await watch.beforeReading()
    verify()
    expect(await watch.look()).toBe('unchanged')
  })

  test('reads everything when a stranger wrote right after us, before the chains were known', async () => {
    const { watch, foreignWrite, ownWrite } = await createPlace()
    await watch.look()
    await ownWrite('more')
    foreignWrite('flushed')
    expect(await watch.look()).toBe('read')
  })

  test('waits for credit, and takes a flush in the meantime for no known state', async () => {
    const { watch, lookOften, foreignWrite, pass } = await createPlace({ dearMs: 60, most: 100 })
    await lookOften()
    foreignWrite()
    expect(await watch.look()).toBe('unchanged')
    foreignWrite('flushed')
    expect(await watch.look()).toBe('later')
    pass(3_000)
    expect(await watch.look()).toBe('read')
  })
})

test('a credit allows a share of the time on average, and what was saved at once', async () => {
  let time = 0
  const credit = createCredit({ share: 0.01, most: 500, now: () => time })
  let spent = 0
  for (; time < 1_000_000; time += 1_000) {
    if (!credit.isLeft()) continue
    await credit.spend(async () => {
      time += 200
    })
    spent += 200
  }
  expect(spent).toBeGreaterThan(0.009 * time)
  expect(spent).toBeLessThan(0.01 * time + 500 + 200 + 1)
})

test('what was needed anyway costs no credit', async () => {
  let time = 0
  const credit = createCredit({ share: 0.01, most: 500, now: () => time })
  const read = (findings: number) =>
    credit.spend(
      async () => {
        time += 400
        return findings
      },
      (found) => found > 0,
    )
  for (let damage = 0; damage < 50; damage += 1) expect(await read(1)).toBe(1)
  expect(credit.isLeft()).toBe(true)
  await read(0)
  expect(credit.isLeft()).toBe(true)
  await read(0)
  expect(credit.isLeft()).toBe(false)
})
