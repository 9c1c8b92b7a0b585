// The pages of the metrics listener (spec 5, section 13), over a real socket.
import { afterEach, describe, expect, test } from 'vitest'
import { keepListening, type Listener } from '../../src/daemon/http-listener.ts'
import { answerMetricsPages, type MetricsPages } from '../../src/daemon/metrics-server.ts'
import { printFlags, printStatus } from '../../src/daemon/status-pages.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { ask, type RawRequest } from '../support/raw-http.ts'
import { SILENT_LOG } from '../support/silent-log.ts'

const listeners: Listener[] = []

afterEach(async () => {
  await Promise.all(listeners.splice(0).map((listener) => listener.close()))
})

const PAGES: MetricsPages = {
  mode: 'iptables',
  metrics: { print: () => Promise.resolve('up 1\n'), contentType: 'text/plain; version=0.0.4; charset=utf-8' },
  configz: '{"kubeproxy.config.k8s.io":{}}',
  profiling: false,
  setVerbosity: () => {},
  clock: createFakeClock(),
}

async function get(request: Omit<RawRequest, 'port'>, more: Partial<MetricsPages> = {}) {
  const clock = createFakeClock()
  const answer = answerMetricsPages({ ...PAGES, ...more })
  const listener = keepListening({ name: 'metrics', address: '127.0.0.1:0', answer, log: SILENT_LOG, clock })
  listeners.push(listener)
  const reply = await ask({ ...request, port: (await listener.listening).port })
  if (reply === undefined) throw new Error('no answer')
  return reply
}

const TEXT = ['Content-Type: text/plain; charset=utf-8', 'X-Content-Type-Options: nosniff']

describe('pages that are always there', () => {
  test.each([
    ['/healthz', 'ok'],
    ['/healthz?verbose', '[+]ping ok\nhealthz check passed\n'],
    ['/healthz/ping', 'ok'],
    ['/proxyMode', 'iptables'],
  ])('%s says %j', async (path, body) => {
    const length = `Content-Length: ${body.length}`
    expect(await get({ path })).toEqual({ status: '200 OK', headers: [...TEXT, length], body })
    expect((await get({ path, method: 'POST' })).body).toBe(body)
  })

  test('/configz is JSON', async () => {
    expect(await get({ path: '/configz' })).toEqual({
      status: '200 OK',
      headers: ['Content-Type: application/json', 'X-Content-Type-Options: nosniff', 'Content-Length: 30'],
      body: '{"kubeproxy.config.k8s.io":{}}',
    })
  })

  test('/metrics is Prometheus text', async () => {
    expect(await get({ path: '/metrics' })).toEqual({
      status: '200 OK',
      headers: ['Content-Type: text/plain; version=0.0.4; charset=utf-8', 'Content-Length: 5'],
      body: 'up 1\n',
    })
  })

  test.each([
    '/',
    '/livez',
    '/readyz',
    '/healthz/other',
    '/metrics/slis',
    '/metricsx',
    '/flagz',
    '/statusz',
    '/debug/rules',
    '/debug/pprof/',
    '/debug/pprof/heap',
    '/debug/flags/v',
    '/__proto__',
  ])('%s is not there by default', async (path) => {
    const body = '404 page not found\n'
    expect(await get({ path })).toEqual({ status: '404 Not Found', headers: [...TEXT, 'Content-Length: 19'], body })
  })
})

describe('pages that are switched on', () => {
  test('/flagz lists the flags by name', async () => {
    const flags = new Map([
      ['v', '2'],
      ['cluster-cidr', '10.0.0.0/8'],
    ])
    const { body } = await get({ path: '/flagz' }, { flagz: () => printFlags(flags) })
    expect(body.trimStart().split('\n').slice(0, 1)).toEqual(['kube-proxy flags (sluice)'])
    expect(body.endsWith('\n\ncluster-cidr=10.0.0.0/8\nv=2\n')).toBe(true)
  })

  test('/statusz tells what runs and for how long', async () => {
    const statusz = () =>
      printStatus({
        version: '1.2.3',
        emulates: '1.36.2',
        runtime: 'Node v24.21.0',
        mode: 'iptables',
        nodeName: 'node1',
        started: '2026-01-02T03:04:05Z',
        upSeconds: 3 * 3600 + 62.9,
        usage: { cpuSeconds: 1.25, residentBytes: 100 * 2 ** 20, heapUsedBytes: 1, startSeconds: 0 },
        paths: ['/healthz', '/metrics'],
        more: new Map([['IPv4', 'synced']]),
      })
    const { body } = await get({ path: '/statusz' }, { statusz })
    expect(body).toContain('Up: 3 h 1 min 2 s\nVersion: 1.2.3\nBehaves as: kube-proxy 1.36.2\n')
    expect(body).toContain('Resident memory: 100.0 MiB\n')
    expect(body).toContain('IPv4: synced\nPaths: /healthz /metrics\n')
  })

  test('a PUT to /debug/flags/v changes the verbosity, and only a number does', async () => {
    const levels: number[] = []
    const more = { profiling: true, setVerbosity: (level: number) => void levels.push(level) }
    const path = '/debug/flags/v'
    expect((await get({ path, method: 'PUT', body: '4\n' }, more)).body).toBe('the verbosity is now 4\n')
    expect((await get({ path, method: 'PUT', body: 'all' }, more)).status).toBe('400 Bad Request')
    expect((await get({ path }, more)).status).toBe('406 Not Acceptable')
    expect(levels).toEqual([4])
  })

  test('/debug/pprof says what there is, and what there can not be', async () => {
    const index = await get({ path: '/debug/pprof/' }, { profiling: true })
    expect(index.body).toContain('/debug/pprof/profile?seconds=30')
    const goroutines = await get({ path: '/debug/pprof/goroutine' }, { profiling: true })
    expect([goroutines.status, goroutines.body.split('\n')[0]]).toEqual([
      '404 Not Found',
      '/debug/pprof/goroutine is a profile of Go programs, which sluice is not',
    ])
    const bad = await get({ path: '/debug/pprof/profile?seconds=abc' }, { profiling: true })
    expect(bad.status).toBe('400 Bad Request')
  })

  test('a CPU profile lasts as long as asked and names functions', async () => {
    const clock = {
      ...createFakeClock(),
      after: (ms: number, callback: () => void) => {
        const timer = setTimeout(callback, ms / 100)
        return () => clearTimeout(timer)
      },
    }
    const { status, body } = await get({ path: '/debug/pprof/profile?seconds=1' }, { profiling: true, clock })
    expect(status).toBe('200 OK')
    const profile = JSON.parse(body) as { nodes: readonly { callFrame: { functionName: string } }[] }
    expect(profile.nodes.map(({ callFrame }) => callFrame.functionName)).toContain('(root)')
  })
})

describe('/debug/rules', () => {
  const debugRules: NonNullable<MetricsPages['debugRules']> = {
    lastApplied: (service) => [`*nat\n`, `-A KUBE-SERVICES ${service ?? 'all'}\n`, 'COMMIT\n'],
    lastFailed: () => undefined,
    pending: function* (service) {
      yield `pending of ${service ?? 'all'}\n`
    },
  }

  // Sent in chunks, because nobody knows how long it will be.
  const text = (body: string) => body.replace(/(?:^|\r\n)[0-9a-f]+\r\n/g, '').replace(/\r\n$/, '')

  test('shows what was applied, what failed and what is pending', async () => {
    const { status, headers, body } = await get({ path: '/debug/rules' }, { debugRules })
    expect([status, headers.slice(0, 2)]).toEqual(['200 OK', TEXT])
    expect(text(body)).toContain(
      '### last applied rules\n*nat\n-A KUBE-SERVICES all\nCOMMIT\n\n### last failed payload\nnone\n\n### pending\npending of all\n',
    )
  })

  test('filters by Service', async () => {
    const { body } = await get({ path: '/debug/rules?service=ns1/web' }, { debugRules })
    expect(text(body)).toContain('### last applied rules of ns1/web\n*nat\n-A KUBE-SERVICES ns1/web\n')
    expect(text(body)).toContain('pending of ns1/web\n')
  })

  test.each(['web', 'a/b/c', '', '..%2F<script>'])('service=%s names none', async (service) => {
    const { status, body } = await get({ path: `/debug/rules?service=${service}` }, { debugRules })
    expect([status, body.endsWith('names no Service: write ?service=namespace/name\n')]).toEqual([
      '400 Bad Request',
      true,
    ])
  })
})
