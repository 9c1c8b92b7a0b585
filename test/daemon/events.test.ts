// Events of spec 1, section 2.9.
import { describe, expect, test } from 'vitest'
import { createEvents } from '../../src/daemon/events.ts'
import type { Log } from '../../src/daemon/log.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { SILENT_LOG } from '../support/silent-log.ts'

interface Sent {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
}

function create(answer: () => Promise<unknown> = () => Promise.resolve()) {
  const clock = createFakeClock(Date.parse('2026-01-02T03:04:05.006Z'))
  const sent: Sent[] = []
  const warnings: string[] = []
  const log: Log = { ...SILENT_LOG, warn: (message) => void warnings.push(message) }
  const post = async (path: string, body: string) => {
    sent.push({ path, body: JSON.parse(body) as Sent['body'] })
    return await answer()
  }
  const events = createEvents({ nodeName: 'node1', post, clock, log, queueLimit: 3 })
  return { events, sent, warnings, clock }
}

test('the start is a Normal event about the Node, in namespace default', async () => {
  const { events, sent } = create()
  events.starting()
  await events.flush()
  expect(sent).toEqual([
    {
      path: '/apis/events.k8s.io/v1/namespaces/default/events',
      body: {
        kind: 'Event',
        apiVersion: 'events.k8s.io/v1',
        metadata: { name: expect.stringMatching(/^node1\.[0-9a-f]+$/) as unknown, namespace: 'default' },
        eventTime: expect.stringMatching(/^2026-01-02T03:04:05\.006\d{3}Z$/) as unknown,
        reportingController: 'kube-proxy',
        reportingInstance: 'kube-proxy-node1',
        action: 'StartKubeProxy',
        reason: 'Starting',
        regarding: { kind: 'Node', name: 'node1', uid: 'node1', apiVersion: 'v1' },
        type: 'Normal',
      },
    },
  ])
})

test('mode ipvs is a Warning about the Node', async () => {
  const { events, sent } = create()
  events.ipvsDeprecated('it may go')
  await events.flush()
  expect(sent.map(({ body }) => body)).toMatchObject([
    {
      type: 'Warning',
      reason: 'IPVSDeprecation',
      action: 'StartKubeProxy',
      note: 'it may go',
      regarding: { kind: 'Node', name: 'node1' },
    },
  ])
})

test('listeners that fail are Warnings about the Node with the error', async () => {
  const { events, sent } = create()
  events.healthServerFailed(new Error('listen EADDRINUSE'))
  events.metricsServerFailed(new Error('listen EACCES'))
  await events.flush()
  expect(sent.map(({ body }) => body)).toMatchObject([
    { type: 'Warning', reason: 'FailedToStartProxierHealthcheck', action: 'StartKubeProxy', note: 'listen EADDRINUSE' },
    { type: 'Warning', reason: 'FailedToStartMetricServer', action: 'StartKubeProxy', note: 'listen EACCES' },
  ])
})

test('a health check port that fails is a Warning about the Service, in its namespace', async () => {
  const { events, sent } = create()
  events.serviceHealthCheckFailed('ns1/web', 30999, new Error('listen EADDRINUSE'))
  await events.flush()
  expect(sent).toMatchObject([
    {
      path: '/apis/events.k8s.io/v1/namespaces/ns1/events',
      body: {
        type: 'Warning',
        reason: 'FailedToStartServiceHealthcheck',
        action: 'Listen',
        note: "node node1 can't open health check port 30999 of ns1/web: listen EADDRINUSE",
        regarding: { kind: 'Service', namespace: 'ns1', name: 'web' },
      },
    },
  ])
})

describe('floods and failures', () => {
  test('a failure to send is logged, and the next event is sent', async () => {
    const { events, sent, warnings } = create(() => Promise.reject(new Error('403')))
    events.starting()
    events.metricsServerFailed(new Error('x'))
    await events.flush()
    expect(sent).toHaveLength(2)
    expect(warnings).toEqual(['an Event could not be sent', 'an Event could not be sent'])
  })

  test('the same event is sent again only after ten minutes', async () => {
    const { events, sent, clock } = create()
    const report = () => events.serviceHealthCheckFailed('ns1/web', 30999, new Error('taken'))
    report()
    clock.advance(599_999)
    report()
    await events.flush()
    expect(sent).toHaveLength(1)
    clock.advance(1)
    report()
    await events.flush()
    expect(sent).toHaveLength(2)
  })

  test('what does not fit into the queue is dropped and logged', async () => {
    let release: (value: unknown) => void = () => {}
    const held = new Promise((resolve) => {
      release = resolve
    })
    const { events, sent, warnings } = create(() => held)
    for (let port = 1; port <= 5; port += 1) events.serviceHealthCheckFailed('ns1/web', port, new Error('taken'))
    release(undefined)
    await events.flush()
    expect(sent).toHaveLength(3)
    expect(warnings).toHaveLength(2)
    events.starting()
    await events.flush()
    expect(sent).toHaveLength(4)
  })

  test('names differ within one millisecond', async () => {
    const { events, sent } = create()
    events.healthServerFailed(new Error('a'))
    events.healthServerFailed(new Error('b'))
    await events.flush()
    expect(new Set(sent.map(({ body }) => JSON.stringify(body['metadata']))).size).toBe(2)
  })
})
