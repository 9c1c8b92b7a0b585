// The health server: states, boundary times and bodies of spec 5, section 11.2.
import { afterEach, describe, expect, test } from 'vitest'
import { keepListening, type Listener } from '../../src/daemon/http-listener.ts'
import { healthTimeout } from '../../src/daemon/proxy-health.ts'
import { createProxyHealth } from '../../src/daemon/proxy-health-server.ts'
import { decodeNode } from '../../src/kube/decode/decode-node.ts'
import type { Node } from '../../src/model/snapshot.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { ask } from '../support/raw-http.ts'
import { SILENT_LOG } from '../support/silent-log.ts'

const NODE: Node = { name: 'node1', podCIDRs: [], addresses: [] }
const listeners: Listener[] = []

afterEach(async () => {
  await Promise.all(listeners.splice(0).map((listener) => listener.close()))
})

function createHealth() {
  const clock = createFakeClock(Date.parse('2026-01-02T03:04:30.120Z'))
  const answered: string[] = []
  const health = createProxyHealth({
    clock,
    timeoutMs: healthTimeout(30_000),
    offset: () => 0,
    onAnswer: (path, status) => answered.push(`${path} ${status}`),
  })
  const get = async (path: string) => {
    const listener = keepListening({
      name: 'health',
      address: '127.0.0.1:0',
      answer: health.answer,
      log: SILENT_LOG,
      clock,
    })
    listeners.push(listener)
    const answer = await ask({ port: (await listener.listening).port, path })
    if (answer === undefined) throw new Error('no answer')
    return answer
  }
  return { clock, health, get, answered }
}

describe('bodies', () => {
  test('before anything was reported it is healthy, and updated now', async () => {
    const { health, get } = createHealth()
    health.nodeChanged(NODE)
    const now = '2026-01-02T03:04:30.12Z'
    expect(await get('/healthz')).toEqual({
      status: '200 OK',
      headers: ['Content-Type: application/json', 'X-Content-Type-Options: nosniff', 'Content-Length: 116'],
      body: `{"lastUpdated":"${now}","currentTime":"${now}","nodeEligible":true,"healthy":true}`,
    })
  })

  test('a healthy answer is updated now at the top and keeps the time of the family', async () => {
    const { health, clock, get } = createHealth()
    health.nodeChanged(NODE)
    health.updated('ipv4')
    clock.advance(25_000)
    expect((await get('/healthz')).body).toBe(
      '{"lastUpdated":"2026-01-02T03:04:55.12Z","currentTime":"2026-01-02T03:04:55.12Z","nodeEligible":true,"healthy":true,"status":{"IPv4":{"lastUpdated":"2026-01-02T03:04:30.12Z","healthy":true}}}',
    )
  })

  test('an unhealthy answer has the newest family time at the top, and /livez no eligibility', async () => {
    const { health, clock, get } = createHealth()
    health.updated('ipv4')
    health.queued('ipv4')
    clock.advance(25_000)
    health.updated('ipv6')
    clock.advance(35_000)
    const answer = await get('/livez')
    expect(answer.status).toBe('503 Service Unavailable')
    expect(answer.body).toBe(
      '{"lastUpdated":"2026-01-02T03:04:55.12Z","currentTime":"2026-01-02T03:05:30.12Z","healthy":false,"status":{"IPv4":{"lastUpdated":"2026-01-02T03:04:30.12Z","healthy":false},"IPv6":{"lastUpdated":"2026-01-02T03:04:55.12Z","healthy":true}}}',
    )
  })

  test('an ineligible node that never synced shows the time that was never set', async () => {
    const { get } = createHealth()
    expect((await get('/healthz')).body).toBe(
      '{"lastUpdated":"0001-01-01T00:00:00Z","currentTime":"2026-01-02T03:04:30.12Z","nodeEligible":false,"healthy":true}',
    )
  })

  test('other paths are not there and are not counted', async () => {
    const { get, answered } = createHealth()
    const answer = await get('/readyz')
    expect(answer.status).toBe('404 Not Found')
    expect(answer.body).toBe('404 page not found\n')
    expect(answered).toEqual([])
  })

  test('a query does not matter and answers are counted by code', async () => {
    const { health, get, answered } = createHealth()
    expect((await get('/healthz?x=1')).status).toBe('503 Service Unavailable')
    health.nodeChanged(NODE)
    expect((await get('/healthz')).status).toBe('200 OK')
    expect((await get('/livez')).status).toBe('200 OK')
    expect(answered).toEqual(['healthz 503', 'healthz 200', 'livez 200'])
  })
})

describe('the limit', () => {
  test('a family that was asked for and never synced is healthy', () => {
    const { health, clock } = createHealth()
    health.queued('ipv4')
    clock.advance(10 * 60_000)
    expect(health.isHealthy()).toBe(true)
  })

  test('it is unhealthy exactly two sync periods after the oldest open request', () => {
    const { health, clock } = createHealth()
    health.updated('ipv4')
    health.queued('ipv4')
    clock.advance(30_000)
    health.queued('ipv4')
    clock.advance(29_999)
    expect(health.isHealthy()).toBe(true)
    clock.advance(1)
    expect(health.isHealthy()).toBe(false)
    health.updated('ipv4')
    expect(health.isHealthy()).toBe(true)
  })

  test('one late family is enough, and the other one does not help', () => {
    const { health, clock } = createHealth()
    health.updated('ipv4')
    health.updated('ipv6')
    health.queued('ipv6')
    clock.advance(60_000)
    health.updated('ipv4')
    expect(health.isHealthy()).toBe(false)
  })

  test('a wall clock that is set does not make it late', () => {
    const { health, clock } = createHealth()
    health.updated('ipv4')
    health.queued('ipv4')
    clock.setWall(Date.parse('2027-01-01T00:00:00Z'))
    expect(health.isHealthy()).toBe(true)
  })
})

describe('the node', () => {
  const metadata = { name: 'node1' }
  const taint = { key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule', value: '1700000000' }
  test.each<[string, unknown, boolean]>([
    ['an ordinary node', { metadata }, true],
    ['a missing node', undefined, false],
    ['a node that is being deleted', { metadata: { ...metadata, deletionTimestamp: '2026-01-02T03:04:05Z' } }, false],
    ['a node that the autoscaler removes', { metadata, spec: { taints: [taint] } }, false],
    ['the same with another effect', { metadata, spec: { taints: [{ key: taint.key, effect: 'X' }] } }, false],
    [
      'a cordoned node with other taints',
      { metadata, spec: { unschedulable: true, taints: [{ key: 'other' }] } },
      true,
    ],
  ])('%s: eligible for /healthz is what counts, /livez stays', async (_, object, eligible) => {
    const { health, get } = createHealth()
    health.updated('ipv4')
    health.nodeChanged(object === undefined ? undefined : decodeNode(object, {}).object)
    const healthz = await get('/healthz')
    expect(healthz.status).toBe(eligible ? '200 OK' : '503 Service Unavailable')
    expect(JSON.parse(healthz.body)).toMatchObject({ nodeEligible: eligible, healthy: true })
    expect((await get('/livez')).status).toBe('200 OK')
    expect(health.isHealthy()).toBe(true)
  })
})
