// Random histories of a cluster while its API server and network fail at random: in the end the node knows what the server
// has, it never saw a half-read list, and the server was not asked more than the waits allow.
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/kube/api/clock.ts'
import type { Snapshot } from '../../../src/model/snapshot.ts'
import { type ApiServer, startApiServer } from '../../support/api-server.ts'
import type { Value } from '../../support/api-store.ts'
import { endpointSlice, node, service } from '../../support/cluster-objects.ts'
import { expectedSnapshot, startSource } from '../../support/cluster-source.ts'
import { fastClock } from '../../support/fast-clock.ts'
import { type Folder, temporaryFolder } from '../../support/kubeconfig-file.ts'

const FACTOR = 400
const NAMES = ['a', 'b', 'c', 'd', 'e']

type Step =
  | { readonly kind: 'put'; readonly resource: string; readonly value: Value }
  | { readonly kind: 'delete'; readonly resource: string; readonly key: string }
  | { readonly kind: 'fault'; readonly fault: string }
  | { readonly kind: 'wait'; readonly ms: number }

const name = fc.constantFrom(...NAMES)
const last = fc.integer({ min: 1, max: 4 })
const steps = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      resource: fc.constant('services'),
      value: fc
        .tuple(
          name,
          fc.constantFrom('10.96.0.1', '10.96.0.2', 'None', ''),
          fc.constantFrom({}, { 'service.kubernetes.io/service-proxy-name': 'x' }, { color: 'red' }),
        )
        .map(([n, ip, labels]) => service(n, ip, labels as Record<string, string>)),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      resource: fc.constant('endpointslices'),
      value: fc
        .tuple(name, last, name, last, fc.constantFrom({}, {}, { 'service.kubernetes.io/headless': '' }))
        .map(([n, part, of, host, labels]) => ({
          ...endpointSlice(`${n}-${part}`, of, labels as Record<string, string>),
          endpoints: [{ addresses: [`10.244.0.${host}`] }],
        })),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      resource: fc.constant('nodes'),
      value: fc.constantFrom('one', 'two').map((zone) => ({
        ...node('node-a'),
        metadata: { name: 'node-a', labels: { 'topology.kubernetes.io/zone': zone } },
      })),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      resource: fc.constant('services'),
      key: name.map((n) => `ns1/${n}`),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      resource: fc.constant('endpointslices'),
      key: fc.tuple(name, last).map(([n, part]) => `ns1/${n}-${part}`),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('fault' as const),
      fault: fc.constantFrom(
        'cut',
        'cut all',
        'hang',
        'stall',
        'drop',
        'silent',
        'compact',
        '410',
        'token',
        '429',
        '500',
        'bad line',
        'slow',
        'end',
        'portal',
        'bookmark',
        'error event',
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 12 }) }) },
) as fc.Arbitrary<Step>

let folder: Folder
afterEach(() => folder[Symbol.dispose]())

describe.each([
  ['HTTP/1.1', false, true],
  ['HTTP/1.1 and no streamed lists', false, false],
  ['HTTP/2', true, true],
  ['HTTP/2 and no streamed lists', true, 'refused'],
  ['HTTP/1.1 and a server that passes over what it does not know', false, 'unknown'],
] as const)('over %s', (_, http2, initialEvents) => {
  test('what the node holds in the end is what the server has', async () => {
    folder = temporaryFolder()
    await fc.assert(
      fc.asyncProperty(
        fc.array(steps, { minLength: 5, maxLength: 60 }),
        fc.integer({ min: 1, max: 12 }),
        fc.boolean(),
        async (history, before, fields) => {
          const tokenFile = folder.write('token', 'first')
          await using server = await startApiServer({
            token: 'first',
            ...(http2 && { tls: { certificate: 'server', http2 } }),
          })
          server.watches.initialEvents = initialEvents
          server.abilities.fieldSelectors = fields
          server.store.put('nodes', node('node-a'))
          // Before the start: every list must be told with at least what was there all the time.
          for (const step of history.slice(0, before)) if (step.kind !== 'wait') await take(step, server)
          const lasting = ['x', 'y', 'z'].map((key) => `ns1/${key}`)
          for (const key of lasting) {
            server.store.put('services', service(key.slice(4), '10.96.9.9'))
            server.store.put('endpointslices', endpointSlice(`${key.slice(4)}-1`, key.slice(4)))
          }
          const began = performance.now()
          const { clock, waits } = countingClock()
          await using source = startSource(server, clock, { tokenFile })
          const halves: Snapshot[] = []
          source.onSnapshot = (snapshot) => {
            const keys = new Set(snapshot.services.map((entry) => entry.key))
            if (lasting.some((key) => !keys.has(key))) halves.push(snapshot)
          }
          for (const step of history.slice(before)) await take(step, server)
          server.token = 'last'
          folder.write('token', 'last')
          const bookmarks = setInterval(() => server.watches.bookmark(), 50)
          await expect
            .poll(() => source.snapshots.at(-1)?.snapshot, { timeout: 60_000, interval: 5 })
            .toEqual(expectedSnapshot(server.store))
          clearInterval(bookmarks)
          expect(halves).toEqual([])
          checkIdentities(
            source.snapshots.map(({ snapshot }) => snapshot),
            lasting,
          )
          // Each of three reflectors begins without a wait, and after one asks a few times: for a stream, without it,
          // without the field selector, again with another token. Healthy watches that end go on without a wait.
          const healthy = (3 * (performance.now() - began) * FACTOR) / 30_000
          expect(server.requests.length).toBeLessThan(30 + 3 * waits() + healthy)
        },
      ),
      { numRuns: 25, endOnFailure: false },
    )
  })
})

/** Counts the waits before repetitions: all other timers have round lengths. */
function countingClock(): { readonly clock: Clock; readonly waits: () => number } {
  const clock = fastClock(FACTOR, Math.random)
  let count = 0
  const after: Clock['after'] = (ms, callback) => {
    if (ms <= 30_000 && ![15_000, 30_000].includes(ms)) count += 1
    return clock.after(ms, callback)
  }
  return { clock: { ...clock, after }, waits: () => count }
}

/** Entries of which nothing changed are the same objects in all Snapshots, also after a new list. */
function checkIdentities(snapshots: readonly Snapshot[], lasting: readonly string[]): void {
  for (const key of lasting) {
    const entries = snapshots.map(({ services }) => services.find((entry) => entry.key === key))
    expect(new Set(entries).size).toBe(1)
  }
  for (const { services } of snapshots) {
    const keys = services.map(({ key }) => key)
    expect(keys).toEqual(keys.toSorted())
  }
}

async function take(step: Step, server: ApiServer): Promise<void> {
  if (step.kind === 'wait') await new Promise((resolve) => setTimeout(resolve, step.ms))
  else if (step.kind === 'put') server.store.put(step.resource, step.value)
  else if (step.kind === 'delete') {
    if (server.store.get(step.resource, step.key) !== undefined) server.store.delete(step.resource, step.key)
  } else FAULTS[step.fault]?.(server)
}

const EXPIRED = JSON.stringify({
  type: 'ERROR',
  object: { kind: 'Status', code: 410, reason: 'Expired', message: 'old' },
})
const INTERNAL = JSON.stringify({
  type: 'ERROR',
  object: { kind: 'Status', code: 500, reason: 'InternalError', message: 'x' },
})
let tokens = 0

const FAULTS: Readonly<Record<string, (server: ApiServer) => void>> = {
  cut: (server) => {
    server.failNext(1, { kind: 'cut' })
    server.watches.cut()
  },
  'cut all': (server) => server.cutConnections(),
  hang: (server) => server.failNext(1, { kind: 'hang' }),
  stall: (server) => server.failNext(1, { kind: 'stall' }),
  drop: (server) => server.failNext(2, { kind: 'drop' }),
  silent: (server) => server.watches.silence(),
  compact: (server) => server.store.compact(),
  '410': (server) => {
    server.store.compact()
    server.watches.send(EXPIRED)
  },
  token: (server) => {
    tokens += 1
    server.token = `token-${tokens}`
    folder.write('token', server.token)
    server.watches.cut()
  },
  '429': (server) => server.failNext(2, { kind: 'status', code: 429, retryAfter: 2 }),
  '500': (server) => server.failNext(2, { kind: 'status', code: 500 }),
  'bad line': (server) => server.watches.send('{"type":"MODIFIED","obj'),
  slow: (server) => server.failNext(1, { kind: 'slow', ms: 10 }),
  end: (server) => server.watches.end(),
  portal: (server) => server.failNext(1, { kind: 'text', body: '<html>log in</html>' }),
  bookmark: (server) => server.watches.bookmark(),
  'error event': (server) => server.watches.send(INTERNAL),
}
