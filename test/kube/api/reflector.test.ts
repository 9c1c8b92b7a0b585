import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { startReflector } from '../../../src/kube/api/reflector.ts'
import { service } from '../../support/cluster-objects.ts'
import { fastClock } from '../../support/fast-clock.ts'
import { lists, putTwo, RESOURCE, startRun, watches } from '../../support/reflector-run.ts'

describe('the first list', () => {
  test('is streamed, told in one piece, and goes on as a watch in the same request', async () => {
    const { server, told, reflector } = await startRun(putTwo)
    await expect.poll(() => told).toEqual(['list a=1 b=2'])
    server.store.put('services', service('c', '3'))
    server.store.put('services', service('a', '9'))
    server.store.delete('services', 'ns1/b')
    await expect.poll(() => told.slice(1)).toEqual(['+c=3', 'a=1>9', '-b=2'])
    expect(server.requests).toHaveLength(1)
    const query = Object.fromEntries(server.requests[0]?.query ?? [])
    expect(query).toMatchObject({
      watch: 'true',
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
      timeoutSeconds: '450',
      labelSelector: RESOURCE.labelSelector,
      fieldSelector: RESOURCE.fieldSelector,
    })
    expect(reflector.state()).toMatchObject({ synced: true, objects: 2, relists: 0, reconnects: 0, failures: 0 })
  })

  test.each([false, 'refused', 'unknown'] as const)('is read in pages where streaming is %s', async (ability) => {
    const { server, told } = await startRun((double) => {
      putTwo(double)
      for (let n = 0; n < 1200; n += 1) double.store.put('services', service(`n${n}`, '7'))
      double.watches.initialEvents = ability
      // Not from the cache, which answers in one piece.
      double.failNext(1, { kind: 'slow', ms: 0 })
      double.failNext(1, { kind: 'status', code: 410 })
    })
    await expect.poll(() => told.length, { timeout: 30_000 }).toBe(1)
    expect(told[0]?.split(' ')).toHaveLength(1203)
    const pages = lists(server)
    expect(pages[0]?.query.get('resourceVersion')).toBe('0')
    expect(pages.slice(1).map(({ query }) => [query.get('limit'), query.has('continue')])).toEqual([
      ['500', false],
      ['500', true],
      ['500', true],
    ])
    server.store.put('services', service('late', '5'))
    await expect.poll(() => told.slice(1)).toEqual(['+late=5'])
    expect(watches(server).at(-1)?.query.get('resourceVersion')).toBe('2203')
  })

  test('leaves out headless Services itself where the server does not know the field', async () => {
    const { server, told } = await startRun((double) => {
      putTwo(double)
      double.abilities.fieldSelectors = false
    })
    await expect.poll(() => told).toEqual(['list a=1 b=2'])
    server.store.put('services', service('more', 'None'))
    server.store.put('services', service('a', 'None'))
    await expect.poll(() => told.slice(1)).toEqual(['-a=1'])
  })

  test('that is cut again and again tells nothing until one is whole', async () => {
    const { server, told, known } = await startRun((double) => {
      double.watches.initialEvents = 'refused'
      for (let n = 0; n < 40; n += 1) double.store.put('services', service(`s${n}`, '7'))
      double.onRequest = ({ query }) => {
        if (query.get('watch') !== 'true' && lists(double).length <= 3) {
          double.failNext(1, { kind: (['cut', 'stall', 'cut'] as const)[lists(double).length - 1] ?? 'cut' })
        }
      }
    })
    await expect.poll(() => told.length, { timeout: 30_000 }).toBe(1)
    expect(Object.keys(known())).toHaveLength(40)
    expect(lists(server)).toHaveLength(4)
  })

  test('that a page of something else answers is no list', async () => {
    const { told, trouble } = await startRun((double) => {
      putTwo(double)
      double.watches.initialEvents = false
      double.failNext(1, { kind: 'slow', ms: 0 })
      double.failNext(1, { kind: 'text', body: '<html>Please log in</html>' })
    })
    await expect.poll(() => told).toEqual(['list a=1 b=2'])
    expect(trouble[0]?.message).toMatch(/answered the list of services with something else/)
  })
})

describe('after the first list', () => {
  test('a cut watch goes on where it was, and nothing is told twice', async () => {
    const { server, told, reflector } = await startRun(putTwo)
    await expect.poll(() => told.length).toBe(1)
    server.store.put('services', service('c', '3'))
    await expect.poll(() => told.length).toBe(2)
    server.watches.cut()
    server.store.put('services', service('d', '4'))
    await expect.poll(() => told.slice(1)).toEqual(['+c=3', '+d=4'])
    expect(reflector.state()).toMatchObject({ relists: 0, reconnects: 1 })
  })

  test('a silent watch is given up, and what was missed is told', async () => {
    const { server, told } = await startRun(putTwo)
    await expect.poll(() => told.length).toBe(1)
    server.watches.silence()
    server.store.put('services', service('c', '3'))
    await expect.poll(() => told.slice(1), { timeout: 30_000 }).toEqual(['+c=3'])
  })

  test('a bookmark moves the place on, so that a compacted history costs no new list', async () => {
    const { server, told, reflector } = await startRun(putTwo)
    await expect.poll(() => told.length).toBe(1)
    server.store.advance(50)
    server.watches.bookmark()
    await expect.poll(() => reflector.state().resourceVersion).toBe(String(server.store.resourceVersion))
    server.store.compact()
    server.watches.cut()
    await expect.poll(() => reflector.state().reconnects).toBeGreaterThan(0)
    server.store.put('services', service('c', '3'))
    await expect.poll(() => told.slice(1)).toEqual(['+c=3'])
  })

  test('an expired place means a new list, told as it is', async () => {
    const { server, told, reflector } = await startRun(putTwo)
    await expect.poll(() => told.length).toBe(1)
    server.watches.cut()
    server.store.delete('services', 'ns1/a')
    server.store.put('services', service('c', '3'))
    server.store.compact()
    await expect.poll(() => told.slice(1)).toEqual(['list b=2 c=3'])
    expect(reflector.state().relists).toBe(1)
  })

  test.each(['{not json', '{}', '{"type":"ADDED","object":{}}', '{"type":"NEW","object":{}}'])(
    'the line %s is taken for a lost event: everything is listed again',
    async (line) => {
      const { server, told } = await startRun(putTwo)
      await expect.poll(() => told.length).toBe(1)
      server.watches.send(line)
      await expect.poll(() => told.slice(1)).toEqual(['list a=1 b=2'])
    },
  )

  test('an ERROR event other than Expired ends the watch, not the place', async () => {
    const { server, told, reflector, trouble } = await startRun(putTwo)
    await expect.poll(() => told.length).toBe(1)
    const status = {
      kind: 'Status',
      code: 500,
      reason: 'InternalError',
      message: 'oops',
      details: { retryAfterSeconds: 12 },
    }
    server.watches.send(JSON.stringify({ type: 'ERROR', object: status }))
    await expect
      .poll(() => trouble)
      .toMatchObject([{ retryInMs: 12_000, relist: false, message: expect.stringContaining('oops') }])
    server.store.put('services', service('c', '3'))
    await expect.poll(() => told.slice(1)).toEqual(['+c=3'])
    expect(reflector.state().relists).toBe(0)
  })

  test('an object that was deleted and created again in a gap is told as both', async () => {
    const { server, told } = await startRun(putTwo)
    await expect.poll(() => told.length).toBe(1)
    const again = service('a', '1')
    const metadata = { ...(again['metadata'] as object), uid: 'other', resourceVersion: '5000' }
    const kind = { kind: 'Service', apiVersion: 'v1' }
    server.watches.send(JSON.stringify({ type: 'MODIFIED', object: { ...kind, ...again, metadata } }))
    await expect.poll(() => told.slice(1)).toEqual(['-a=1', '+a=1'])
  })

  test('what a listener throws means that everything is listed again', async () => {
    const run = await startRun(putTwo)
    const { server, told } = run
    await expect.poll(() => told.length).toBe(1)
    run.onTold = () => {
      run.onTold = () => {}
      throw new Error('no space')
    }
    server.store.put('services', service('c', '3'))
    await expect.poll(() => told.slice(1)).toEqual(['+c=3', 'list a=1 b=2 c=3'])
    expect(run.trouble[0]?.message).toMatch(/no space/)
  })

  test('a version from the future, as after a restore, is found out', async () => {
    const { server, reflector, told, known } = await startRun(putTwo)
    await expect.poll(() => told.length).toBe(1)
    server.store.advance(1_000_000)
    server.watches.bookmark()
    await expect.poll(() => reflector.state().resourceVersion).toBe(String(server.store.resourceVersion))
    server.store.resourceVersion = 2000
    server.watches.cut()
    server.store.put('services', service('c', '3'))
    await expect.poll(known, { timeout: 30_000 }).toEqual({ a: '1', b: '2', c: '3' })
    expect(reflector.state().resourceVersion).toBe('2001')
  })

  test('what came and went is not told again after a cut', async () => {
    const { server, reflector, told } = await startRun(putTwo)
    await expect.poll(() => told.length).toBe(1)
    server.store.put('services', service('c', '3'))
    server.store.delete('services', 'ns1/c')
    await expect.poll(() => told.length).toBe(3)
    server.watches.cut()
    await expect.poll(() => reflector.state().reconnects).toBe(1)
    server.store.put('services', service('d', '4'))
    await expect.poll(() => told.slice(1)).toEqual(['+c=3', '-c=3', '+d=4'])
  })

  test('a new list never goes back behind what was told, even from a server that lags', async () => {
    const { server, told } = await startRun((double) => {
      putTwo(double)
      double.watches.initialEvents = false
    })
    await expect.poll(() => told.length).toBe(1)
    await expect.poll(() => server.watches.size).toBe(1)
    server.watches.send('{not json')
    await expect.poll(() => told.length).toBe(2)
    const query = lists(server).at(-1)?.query
    expect([query?.get('resourceVersion'), query?.get('resourceVersionMatch')]).toEqual(['1003', 'NotOlderThan'])
  })

  test('stop is final, even in the middle of what is being told', async () => {
    const run = await startRun(putTwo)
    await expect.poll(() => run.told.length).toBe(1)
    run.onTold = run.reflector.stop
    run.server.watches.send('{not json')
    run.server.store.put('services', service('c', '3'))
    await expect.poll(() => run.told.length).toBe(2)
    run.server.store.put('services', service('d', '4'))
    await run.reflector.done
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(run.told).toHaveLength(2)
    expect(run.server.watches.size).toBe(0)
  })
})

test('what follows the end of a list in one chunk is not told any more when the listener stops there', async () => {
  const event = (type: string, name: string, annotations: object = {}) =>
    `${JSON.stringify({ type, object: { ...service(name, '1'), metadata: { name, resourceVersion: '7', annotations } } })}\n`
  const end = { 'k8s.io/initial-events-end': 'true' }
  const chunk = Buffer.from(event('ADDED', 'a') + event('BOOKMARK', 'x', end) + event('ADDED', 'b'))
  const told: string[] = []
  const reflector = startReflector<string>({
    connection: {
      server: 'http://server',
      open: () => Promise.resolve({ status: 200, body: Readable.from([chunk]) }),
      post: () => Promise.resolve(),
      protocol: () => 'HTTP/1.1',
      close: () => {},
    },
    clock: fastClock(200),
    resource: RESOURCE,
    onList: (objects) => {
      told.push(...objects.keys())
      setStop()
    },
    onChanges: (changes) => told.push(...changes.map(({ key }) => key)),
    onIssues: () => {},
  })
  const setStop = () => {
    reflector.stop()
  }
  await reflector.done
  expect(told).toEqual(['a'])
})
