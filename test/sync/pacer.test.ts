import { describe, expect, test } from 'vitest'
import { createPacer, type PacerLimits } from '../../src/sync/pacer.ts'

/** Time that passes when the test says so. */
function createFakeClock() {
  let now = 0
  const timers = new Map<number, { readonly at: number; readonly callback: () => void }>()
  let nextId = 0
  return {
    now: () => now,
    after: (milliseconds: number, callback: () => void) => {
      const id = nextId++
      timers.set(id, { at: now + milliseconds, callback })
      return () => {
        timers.delete(id)
      }
    },
    pass: async (milliseconds: number) => {
      const end = now + milliseconds
      for (;;) {
        await settled()
        const due = [...timers].filter(([, { at }]) => at <= end).toSorted(([, a], [, b]) => a.at - b.at)[0]
        if (due === undefined) break
        timers.delete(due[0])
        now = due[1].at
        due[1].callback()
      }
      now = end
      await settled()
    },
  }
}

async function settled(): Promise<void> {
  for (let round = 0; round < 10; round += 1) await Promise.resolve()
}

function setUp(limits: PacerLimits, runMs = 0) {
  const clock = createFakeClock()
  const starts: number[] = []
  const outcome = { fails: false }
  const pacer = createPacer(limits, clock, async () => {
    starts.push(clock.now())
    const { fails } = outcome
    if (runMs > 0) await new Promise<void>((resolve) => clock.after(runMs, resolve))
    if (fails) throw new Error('this run fails')
  })
  return { clock, starts, outcome, pacer }
}

const LIMITS = { minInterval: 1000, retryInterval: 30_000, maxInterval: 3_600_000 }

describe('a pacer', () => {
  test('runs the very first request at once', async () => {
    const { clock, starts, pacer } = setUp(LIMITS)
    await clock.pass(5)
    pacer.request()
    expect(starts).toEqual([5])
  })

  test('merges requests during a run and the pause after it into one more run', async () => {
    const { clock, starts, pacer } = setUp(LIMITS, 300)
    pacer.request()
    await clock.pass(100)
    pacer.request()
    pacer.request()
    await clock.pass(600)
    pacer.request()
    await clock.pass(10_000)
    expect(starts).toEqual([0, 1300])
  })

  test('counts the shortest interval from the end of a run', async () => {
    const { clock, starts, pacer } = setUp(LIMITS, 700)
    pacer.request()
    await clock.pass(10)
    pacer.request()
    await clock.pass(1689)
    expect(starts).toEqual([0])
    await clock.pass(1)
    expect(starts).toEqual([0, 1700])
  })

  test('runs a request at once when the pause is over', async () => {
    const { clock, starts, pacer } = setUp(LIMITS)
    pacer.request()
    await clock.pass(1500)
    pacer.request()
    expect(starts).toEqual([0, 1500])
  })

  test('has no pause when the shortest interval is zero', async () => {
    const { clock, starts, pacer } = setUp({ ...LIMITS, minInterval: 0 }, 10)
    pacer.request()
    await clock.pass(5)
    pacer.request()
    await clock.pass(100)
    expect(starts).toEqual([0, 10])
  })

  test('repeats a failed run after the retry interval, counted from its end', async () => {
    const { clock, starts, outcome, pacer } = setUp(LIMITS, 200)
    outcome.fails = true
    pacer.request()
    await clock.pass(30_199)
    expect(starts).toEqual([0])
    await clock.pass(1)
    expect(starts).toEqual([0, 30_200])
  })

  test('never waits longer than the longest interval for a retry', async () => {
    const { clock, starts, outcome, pacer } = setUp({ ...LIMITS, maxInterval: 5000 })
    outcome.fails = true
    pacer.request()
    await clock.pass(5000)
    expect(starts).toEqual([0, 5000])
  })

  test('gives the retry up when an earlier request succeeds', async () => {
    const { clock, starts, outcome, pacer } = setUp(LIMITS)
    outcome.fails = true
    pacer.request()
    await clock.pass(10_000)
    outcome.fails = false
    pacer.request()
    await clock.pass(100_000)
    expect(starts).toEqual([0, 10_000])
  })

  test('runs without any request after the longest interval', async () => {
    const { clock, starts } = setUp(LIMITS)
    await clock.pass(3_600_000)
    expect(starts).toEqual([3_600_000])
    await clock.pass(3_600_000)
    expect(starts).toEqual([3_600_000, 7_200_000])
  })

  test('runs within the time that was asked for, unless it ran before', async () => {
    const { clock, starts, pacer } = setUp(LIMITS)
    pacer.requestWithin(5000)
    await clock.pass(5000)
    expect(starts).toEqual([5000])
    pacer.requestWithin(5000)
    await clock.pass(2000)
    pacer.request()
    await clock.pass(20_000)
    expect(starts).toEqual([5000, 7000])
  })

  test('never runs twice at a time, and not after it was stopped', async () => {
    const { clock, starts, pacer } = setUp({ ...LIMITS, minInterval: 0 }, 50)
    pacer.request()
    pacer.request()
    const stopped = pacer.stop()
    await clock.pass(10_000_000)
    await stopped
    expect(starts).toEqual([0])
  })

  test('refuses a longest interval below the shortest', () => {
    expect(() => setUp({ ...LIMITS, maxInterval: 999 })).toThrow('raise it')
  })
})
