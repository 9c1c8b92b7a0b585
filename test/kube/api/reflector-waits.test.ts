import { describe, expect, test } from 'vitest'
import { createBackoff } from '../../../src/kube/api/backoff.ts'
import type { ApiServer } from '../../support/api-server.ts'
import { fastClock } from '../../support/fast-clock.ts'
import { putTwo, startRun } from '../../support/reflector-run.ts'

describe('waits', () => {
  test('grow from 0.8 to 30 seconds with chance in them, and begin again after a success', () => {
    for (const random of [0, 0.999]) {
      const backoff = createBackoff(fastClock(1, () => random))
      const waits = [1, 2, 3, 4, 5, 6, 7, 8].map(() => Math.round(backoff.next() / 100) / 10)
      expect(waits).toEqual(
        random === 0 ? [0.8, 1.6, 3.2, 6.4, 12.8, 15, 15, 15] : [1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30],
      )
      backoff.reset()
      expect(backoff.next()).toBeLessThanOrEqual(1600)
      expect(backoff.next(40_000)).toBe(40_000)
    }
  })

  test('for as long as the server asks', async () => {
    const { trouble, told } = await startRun((double) => {
      putTwo(double)
      double.failNext(1, { kind: 'status', code: 429, retryAfter: 20 })
      double.failNext(1, { kind: 'status', code: 503 })
    })
    await expect.poll(() => told, { timeout: 30_000 }).toEqual(['list a=1 b=2'])
    expect(trouble.map(({ retryInMs }) => retryInMs)).toEqual([20_000, 2400])
  })

  test.each<readonly [string, (server: ApiServer) => void]>([
    ['ends at once', (server) => setImmediate(() => server.watches.end())],
    ['says at once that the place is too old', (server) => setImmediate(() => server.watches.send(EXPIRED))],
    ['sends a bad line at once', (server) => setImmediate(() => server.watches.send('x'))],
    ['is refused', (server) => server.failNext(1, { kind: 'status', code: 500 })],
    ['is dropped', (server) => server.failNext(1, { kind: 'drop' })],
    ['is not allowed', (server) => server.failNext(1, { kind: 'status', code: 403 })],
  ])('keep a watch that always %s from becoming a loop', async (_, fail) => {
    const factor = 1000
    const { server } = await startRun((double) => {
      putTwo(double)
      double.onRequest = ({ query }) => {
        if (query.get('watch') === 'true') fail(double)
      }
    }, fastClock(factor))
    const started = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 600))
    await expect.poll(() => server.requests.length).toBeGreaterThan(5)
    // Seconds of the fast clock; the longest wait is about 22 here.
    expect(server.requests.length).toBeLessThan((performance.now() - started) / 6)
  })
})

const EXPIRED = JSON.stringify({
  type: 'ERROR',
  object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' },
})
