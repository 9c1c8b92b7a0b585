import { describe, expect, test } from 'vitest'
import { type ApiServer, startApiServer } from './api-server.ts'
import { ApiStore } from './api-store.ts'
import { service } from './cluster-objects.ts'
import { readRecording, recordedList } from './recording.ts'

const HEADLESS_AND_PROXY_NAME = '!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name'

/** A store with what the recorded server held, at its version. */
function recordedStore(): ApiStore {
  const store = new ApiStore(93_000)
  const services = [...recordedList('list-services-page-1').items, ...recordedList('list-services-page-2').items]
  for (const item of services) store.put('services', item)
  for (const item of recordedList('list-endpointslices').items) store.put('endpointslices', item)
  for (const item of recordedList('list-node-by-name').items) store.put('nodes', item)
  store.advance(93_735 - store.resourceVersion)
  return store
}

async function get(server: ApiServer, path: string, headers: Record<string, string> = {}) {
  const response = await fetch(server.url + path, { headers })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: JSON.parse(text) as Record<string, unknown> }
}

/** Versions and times of single objects are the store's own. */
function comparable(list: unknown): unknown {
  const copy = structuredClone(list) as { items: { metadata: Record<string, unknown> }[] }
  for (const { metadata } of copy.items) delete metadata['resourceVersion']
  return copy
}

describe('lists, as recorded', () => {
  test.each(['list-services-page-1', 'list-endpointslices', 'list-node-by-name'])(
    'answers the request of %s with the same list',
    async (name) => {
      const recording = readRecording(name)
      await using server = await startApiServer({ store: recordedStore() })
      const answer = await get(server, recording.request.path)
      expect(answer.status).toBe(recording.status)
      expect(answer.headers.get('content-type')).toBe(recording.headers['Content-Type'])
      expect(comparable(answer.body)).toEqual(comparable(recordedList(name)))
    },
  )

  test('continues at the recorded token with the recorded items, whatever was written since', async () => {
    const recording = readRecording('list-services-page-2')
    const store = recordedStore()
    // The recorded cluster had more Services after this page: its answer carries a further token.
    store.put('services', { metadata: { namespace: 'default', name: 'web' }, spec: { clusterIP: '10.96.30.3' } })
    store.advance()
    await using server = await startApiServer({ store })
    store.delete('services', 'default/headless')
    const token = Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: 93_737, start: 'default/dns\0' })).toString(
      'base64url',
    )
    const answer = await get(server, recording.request.path.replace(/continue=.*/, `continue=${token}`))
    const expected = comparable(recordedList('list-services-page-2')) as {
      items: unknown
      metadata: { continue: string }
    }
    const got = comparable(answer.body) as { items: unknown; metadata: { continue: string } }
    expect(got.items).toEqual(expected.items)
    expect(Buffer.from(got.metadata.continue, 'base64url').toString()).toBe(
      Buffer.from(expected.metadata.continue, 'base64url').toString().replace('93735', '93737'),
    )
  })

  test('answers a broken continue token, a missing path and a missing token with the recorded Status', async () => {
    await using server = await startApiServer({ store: recordedStore() })
    for (const name of ['list-services-bad-continue', 'not-found', 'unauthorized']) {
      if (name === 'unauthorized') server.token = 'secret'
      const recording = readRecording(name)
      const recorded = JSON.parse(recording.body) as Record<string, unknown>
      const answer = await get(server, recording.request.path)
      expect(answer.status).toBe(recording.status)
      expect(Object.keys(answer.body).filter((key) => key !== 'details')).toEqual(
        Object.keys(recorded).filter((key) => key !== 'details'),
      )
      expect(answer.body).toMatchObject({ reason: recorded['reason'], code: recorded['code'], status: 'Failure' })
    }
  })
})

describe('versions', () => {
  test('counts the remaining items only without selectors', async () => {
    await using server = await startApiServer({ store: recordedStore() })
    const plain = await get(server, '/api/v1/services?limit=1')
    expect(plain.body['metadata']).toMatchObject({ remainingItemCount: 3 })
    const selected = await get(server, `/api/v1/services?limit=1&labelSelector=${HEADLESS_AND_PROXY_NAME}`)
    expect(selected.body['metadata']).not.toHaveProperty('remainingItemCount')
  })

  test('serves an older version exactly until it is compacted, then answers 410', async () => {
    await using server = await startApiServer()
    server.store.put('services', service('one'))
    const version = server.store.resourceVersion
    const first = await get(server, '/api/v1/services?limit=1')
    server.store.put('services', service('two'))
    const path = `/api/v1/services?resourceVersion=${version}&resourceVersionMatch=Exact`
    expect((await get(server, path)).body).toEqual(first.body)
    server.store.compact()
    expect(await get(server, path)).toMatchObject({ status: 410, body: { reason: 'Expired', code: 410 } })
  })

  test('answers 410 to a continue token that was compacted', async () => {
    await using server = await startApiServer({ store: recordedStore() })
    const first = await get(server, '/api/v1/services?limit=1')
    server.store.advance()
    server.store.compact()
    const token = (first.body['metadata'] as { continue: string }).continue
    expect(await get(server, `/api/v1/services?limit=1&continue=${token}`)).toMatchObject({ status: 410 })
  })

  test.each([
    ['resourceVersionMatch=Exact', 422],
    ['resourceVersion=0&resourceVersionMatch=Exact', 422],
    ['continue=x&resourceVersionMatch=Exact&resourceVersion=1', 422],
    ['continue=x&resourceVersion=1', 400],
    ['resourceVersion=abc', 400],
    ['resourceVersion=99999999', 504],
    ['resourceVersion=99999999&resourceVersionMatch=Exact', 500],
    ['fieldSelector=spec.color%3Dred', 400],
  ])('refuses %s with %i', async (query, code) => {
    await using server = await startApiServer({ store: recordedStore() })
    expect(await get(server, `/api/v1/services?${query}`)).toMatchObject({ status: code, body: { kind: 'Status' } })
  })
})

describe('watches, as recorded', () => {
  test('reports the recorded changes with the recorded events, live and replayed', async () => {
    await using server = await startApiServer({ store: new ApiStore(93_736) })
    const { store } = server
    const [added] = recordedEvents('watch-services-with-changes')
    const late = added?.object as Record<string, Record<string, unknown>>
    const labelled = (labels: object, port: number) => ({
      ...late,
      metadata: { ...late['metadata'], ...(Object.keys(labels).length > 0 && { labels }) },
      spec: { ...late['spec'], ports: [{ protocol: 'TCP', port, targetPort: 80 }] },
    })
    const change = () => {
      store.put('services', labelled({}, 80))
      store.put('services', labelled({}, 81))
      store.put('services', labelled({ 'service.kubernetes.io/service-proxy-name': 'other' }, 81))
      store.put('services', labelled({}, 81))
      store.delete('services', 'default/late')
      server.watches.bookmark()
    }
    const query = `allowWatchBookmarks=true&resourceVersion=93735&labelSelector=${HEADLESS_AND_PROXY_NAME}`
    const expected = recordedEvents('watch-services-with-changes').map(({ type, object }) => ({
      type,
      object: withoutManagedFields(object),
    }))
    const live = await watch(server, query, change)
    expect(live.map(({ type, object }) => ({ type, object: withoutManagedFields(object) }))).toEqual(expected)
    const replayed = await watch(server, query)
    expect(replayed.map(({ type, object }) => ({ type, object: withoutManagedFields(object) }))).toEqual(
      expected.filter(({ type }) => type !== 'BOOKMARK'),
    )
  })

  test('answers a version that is too old with one ERROR event and ends the watch', async () => {
    await using server = await startApiServer({ store: recordedStore() })
    server.store.compact()
    const [event, ...others] = await watch(server, 'resourceVersion=1')
    expect(others).toEqual([])
    const [expected] = recordedEvents('watch-services-too-old')
    expect(event).toEqual({
      ...expected,
      object: { ...expected?.object, message: 'too old resource version: 1 (93735)' },
    })
  })

  test('streams initial events and marks their end, or says that it cannot', async () => {
    await using server = await startApiServer({ store: recordedStore() })
    const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
    const events = await watch(server, query)
    expect(events.map(({ type }) => type)).toEqual(['ADDED', 'ADDED', 'ADDED', 'ADDED', 'BOOKMARK'])
    expect(events.at(-1)?.object['metadata']).toEqual({
      resourceVersion: '93735',
      annotations: { 'k8s.io/initial-events-end': 'true' },
    })
    server.watches.initialEvents = false
    const [refusal] = await watch(server, query)
    const [expected] = recordedEvents('watch-services-initial-events-unsupported')
    expect(refusal).toMatchObject({ type: expected?.type, object: { reason: 'InternalError', code: 500 } })
  })

  test('is silent about a future version until it is reached', async () => {
    await using server = await startApiServer({ store: recordedStore() })
    const events = await watch(server, 'resourceVersion=93736', () => {
      server.store.put('services', service('unseen'))
      server.store.put('services', service('seen'))
    })
    expect(events).toMatchObject([{ type: 'ADDED', object: { metadata: { name: 'seen' } } }])
  })

  test('ends after timeoutSeconds and is then forgotten', async () => {
    await using server = await startApiServer()
    const response = await fetch(`${server.url}/api/v1/services?watch=true&timeoutSeconds=0`)
    expect(await response.text()).toBe('')
    await expect.poll(() => server.watches.size).toBe(0)
  })
})

test('can be cut, told to send a broken line, and counts its open watches', async () => {
  await using server = await startApiServer()
  const response = await fetch(`${server.url}/api/v1/services?watch=true`)
  expect(server.watches.size).toBe(1)
  server.watches.send('{not json')
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const { value } = await reader.read()
  expect(new TextDecoder().decode(value)).toBe('{not json\n')
  server.watches.cut()
  await expect(reader.read()).rejects.toThrow('terminated')
})

/** The lines of a watch; `during` runs once it is open, and the watch is then ended in order. */
async function watch(server: ApiServer, query: string, during: () => void = () => {}) {
  const response = await fetch(`${server.url}/api/v1/services?watch=true&${query}`)
  during()
  server.watches.end()
  const text = await response.text()
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as { type: string; object: Record<string, unknown> })
}

function recordedEvents(name: string) {
  return (readRecording(name).stream ?? []).map(
    ({ line }) => JSON.parse(line) as { type: string; object: Record<string, unknown> },
  )
}

/** Without managedFields, whose content follows the request that wrote it. */
function withoutManagedFields(object: Record<string, unknown>): unknown {
  const { managedFields: _, ...metadata } = object['metadata'] as Record<string, unknown>
  return { ...object, metadata }
}
