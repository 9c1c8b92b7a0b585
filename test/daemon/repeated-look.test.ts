// When the agent looks at the kernel again: after looks that are cheap, that are dear, and that had to wait.
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { lookRepeatedly } from '../../src/daemon/repeated-look.ts'
import type { Hands } from '../../src/host/hands.ts'
import { createCompiler, defaultProxyConfig } from '../../src/index.ts'
import { type Clock, SYSTEM_CLOCK } from '../../src/kube/api/clock.ts'
import { createSyncer } from '../../src/sync/syncer.ts'
import { manyServices, plainNode } from '../support/many-services.ts'

test.for([
  { what: 'a cheap look is followed by the next after the pause that is wanted', waitMs: 0, costMs: 10, nextMs: 1000 },
  { what: 'a dear look by one so late that it costs no more than its share', waitMs: 0, costMs: 500, nextMs: 10_000 },
  { what: 'the time that a look waits for a sync costs nothing', waitMs: 60_000, costMs: 10, nextMs: 1000 },
])('$what', async ({ waitMs, costMs, nextMs }) => {
  const { clock, pass, ring, pauses } = createBellClock()
  const look = () => {
    pass(waitMs + costMs)
    return Promise.resolve(costMs)
  }
  const end = lookRepeatedly({ wantedMs: 1000, share: 0.05, look }, clock)
  expect(pauses()).toEqual([1000])
  ring()
  await turn()
  expect(pauses()).toEqual([nextMs])
  end()
  expect(pauses()).toEqual([])
})

/** Time passes only when it is told to, also while a timer's callback runs. */
function createBellClock() {
  let now = 0
  let timers: readonly { readonly ms: number; readonly callback: () => void }[] = []
  const clock: Clock = {
    ...SYSTEM_CLOCK,
    now: () => now,
    after: (ms, callback) => {
      const timer = { ms, callback }
      timers = [...timers, timer]
      return () => (timers = timers.filter((each) => each !== timer))
    },
  }
  const ring = () => {
    const due = timers
    timers = []
    for (const { callback } of due) callback()
  }
  return { clock, ring, pass: (ms: number) => (now += ms), pauses: () => timers.map(({ ms }) => ms) }
}

test.for(['check', 'readBack'] as const)('%s does not count the time that it waits for a sync', async (look) => {
  const tool = Promise.withResolvers<never>()
  let now = 0
  const hands: Pick<Hands, 'run' | 'ensureCounters'> = {
    run: () => tool.promise,
    ensureCounters: () => Promise.resolve([]),
  }
  const syncer = createSyncer({ hands, family: 'ipv4', variant: 'nft', now: () => now })
  const never = new AbortController().signal
  const syncing = syncer.sync(createCompiler(defaultProxyConfig(), plainNode(), 'ipv4')(manyServices(1, 1)), never)
  const looking = syncer[look](never)
  await turn()
  now = 60_000
  tool.reject(new Error('the tool failed'))
  await expect(syncing).rejects.toThrow('the tool failed')
  expect(await looking).toEqual({ findings: [], tookMs: 0 })
})
