import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { readCluster } from '../../../src/kube/api/cluster.ts'
import { type ApiServer, startApiServer } from '../../support/api-server.ts'
import { ApiStore, type Value } from '../../support/api-store.ts'
import { endpointSlice, node, putSmallCluster, service } from '../../support/cluster-objects.ts'
import { type Folder, temporaryFolder } from '../../support/kubeconfig-file.ts'
import { recordedList } from '../../support/recording.ts'

const patience = { backoffMs: 1, silenceMs: 2000 }

let folder: Folder
beforeEach(() => {
  folder = temporaryFolder()
  vi.stubEnv('HOME', folder.path)
})
afterEach(() => {
  vi.unstubAllEnvs()
  folder[Symbol.dispose]()
})

function names(objects: readonly { readonly value: Value }[]): string[] {
  return objects.map(({ value }) => `${String(value['kind'])} ${(value['metadata'] as { name: string }).name}`)
}

const SMALL_CLUSTER = ['Service one', 'Service two', 'EndpointSlice one-abc', 'Node node-a', 'Node node-b']

async function smallServer(): Promise<ApiServer> {
  const server = await startApiServer()
  putSmallCluster(server.store)
  return server
}

describe('what is read', () => {
  test('is the recorded objects, with kind and apiVersion and every field but managedFields', async () => {
    const store = new ApiStore(93_000)
    const services = recordedList('list-services-page-1').items
    const nodes = recordedList('list-node-by-name').items
    for (const item of services) store.put('services', item)
    for (const item of nodes) store.put('nodes', item)
    await using server = await startApiServer({ store })
    const { objects, server: url, issues } = await readCluster({ master: server.url })
    expect({ url, issues }).toEqual({ url: server.url, issues: [] })
    expect(names(objects)).toEqual(['Service api', 'Service dns', 'Node node1'])
    const recorded = services[0] as Record<string, Value>
    const { managedFields: _, ...metadata } = recorded['metadata'] as Value
    expect(objects[0]).toEqual({
      at: { source: server.url },
      value: {
        apiVersion: 'v1',
        kind: 'Service',
        ...recorded,
        metadata: { ...metadata, resourceVersion: '93001' },
      },
    })
  })

  test("is selected as kube-proxy's informers select", async () => {
    await using server = await smallServer()
    server.store.put('services', service('headless', 'None'))
    server.store.put('services', service('others', '10.96.0.13', { 'service.kubernetes.io/service-proxy-name': 'x' }))
    server.store.put('endpointslices', endpointSlice('h', 'headless', { 'service.kubernetes.io/headless': '' }))
    expect(names((await readCluster({ master: server.url })).objects)).toEqual(SMALL_CLUSTER)
    expect(
      server.requests.map(({ path, query }) => [path, query.get('labelSelector'), query.get('fieldSelector')]),
    ).toEqual([
      ['/api/v1/services', '!service.kubernetes.io/service-proxy-name', 'spec.clusterIP!=None'],
      ['/apis/discovery.k8s.io/v1/endpointslices', '!service.kubernetes.io/headless', null],
      ['/api/v1/nodes', null, null],
    ])
  })

  test('is the same from a server that refuses the field selector', async () => {
    await using server = await smallServer()
    server.store.put('services', service('headless', 'None'))
    server.abilities.fieldSelectors = false
    expect(names((await readCluster({ master: server.url })).objects)).toEqual(SMALL_CLUSTER)
  })

  test('is one Node only when it is named', async () => {
    await using server = await smallServer()
    const { objects } = await readCluster({ master: server.url, nodeName: 'node-b' })
    expect(names(objects).filter((name) => name.startsWith('Node'))).toEqual(['Node node-b'])
  })

  test('comes in pages over one connection, each reported', async () => {
    await using server = await startApiServer()
    for (let n = 0; n < 1201; n += 1) server.store.put('services', service(`s${n}`))
    const progress: string[] = []
    const { objects } = await readCluster({ master: server.url, onProgress: (done) => progress.push(done) })
    expect(new Set(names(objects)).size).toBe(1201)
    expect(progress).toEqual(['500 services', '1000 services', '1201 services', '0 endpointslices', '0 nodes'])
    expect(server.connections).toBe(1)
  })

  test('is nothing from an empty cluster', async () => {
    await using server = await startApiServer()
    expect((await readCluster({ master: server.url })).objects).toEqual([])
  })

  test('comes from under a path, as Rancher has it', async () => {
    await using server = await startApiServer({ prefix: '/k8s/clusters/c-1' })
    server.store.put('nodes', node('node-a'))
    expect(names((await readCluster({ master: `${server.url}/` })).objects)).toEqual(['Node node-a'])
  })
})

describe('one moment', () => {
  test('is seen although the cluster changes at every request', async () => {
    await using server = await startApiServer()
    for (let n = 0; n < 1001; n += 1) server.store.put('services', service(`s${n}`))
    for (let n = 0; n < 501; n += 1) server.store.put('endpointslices', endpointSlice(`e${n}`, `s${n}`))
    putSmallCluster(server.store)
    let requests = 0
    server.onRequest = () => {
      requests += 1
      if (requests === 1) return
      server.store.delete('services', `ns1/s${requests}`)
      server.store.put('services', service(`zzz-${requests}`))
      server.store.put('endpointslices', endpointSlice(`new-${requests}`, 'one'))
      server.store.put('nodes', node(`new-${requests}`))
    }
    const { objects, issues } = await readCluster({ master: server.url })
    expect(issues).toEqual([])
    expect(requests).toBeGreaterThan(4)
    const services = Array.from({ length: 1001 }, (_, n) => `Service s${n}`)
    const slices = Array.from({ length: 501 }, (_, n) => `EndpointSlice e${n}`)
    expect(names(objects).toSorted()).toEqual([...services, ...slices, ...SMALL_CLUSTER].toSorted())
  })

  test.each([2, 3, 4, 5])('is read anew when request %i finds the version expired', async (number) => {
    await using server = await startApiServer()
    for (let n = 0; n < 1001; n += 1) server.store.put('services', service(`s${n}`))
    putSmallCluster(server.store)
    let requests = 0
    server.onRequest = () => {
      requests += 1
      if (requests !== number) return
      server.store.put('services', service('late'))
      server.store.compact()
    }
    const { objects } = await readCluster({ master: server.url })
    expect(objects).toHaveLength(1001 + SMALL_CLUSTER.length + 1)
    expect(names(objects)).toContain('Service late')
  })

  test('is given up when versions expire again and again', async () => {
    await using server = await smallServer()
    server.onRequest = ({ path }) => {
      if (path !== '/api/v1/nodes') return
      server.store.advance()
      server.store.compact()
    }
    await expect(readCluster({ master: server.url })).rejects.toMatchObject({
      kind: 'changing',
      message: expect.stringContaining(`${server.url} forgets old versions faster than they can be read`) as string,
    })
    expect(server.requests.filter(({ path }) => path === '/api/v1/nodes')).toHaveLength(5)
  })

  test('is not promised by a server without exact versions, unless nothing changed', async () => {
    await using server = await smallServer()
    server.abilities.exact = false
    expect((await readCluster({ master: server.url })).issues).toEqual([])
    server.onRequest = () => server.store.advance()
    const { objects, issues } = await readCluster({ master: server.url })
    expect(names(objects)).toEqual(SMALL_CLUSTER)
    expect(issues).toMatchObject([{ severity: 'notice', at: { source: server.url } }])
    expect(issues[0]?.message).toContain('one after the other')
  })

  test('is not promised by a server that refuses the parameter', async () => {
    await using server = await smallServer()
    server.onRequest = ({ query }) => {
      if (query.get('resourceVersionMatch') !== 'Exact') return
      server.store.advance()
      server.failNext(1, { kind: 'status', code: 400 })
    }
    const { objects, issues } = await readCluster({ master: server.url })
    expect(names(objects)).toEqual(SMALL_CLUSTER)
    expect(issues).toHaveLength(1)
  })

  test('is not promised where a resource has versions of its own', async () => {
    await using server = await smallServer()
    server.onRequest = ({ path, query }) => {
      if (path === '/api/v1/nodes') query.set('resourceVersion', query.has('resourceVersion') ? '999999' : '')
    }
    const { objects } = await readCluster({ master: server.url, patience })
    expect(names(objects)).toEqual(SMALL_CLUSTER)
  })
})

describe('patience', () => {
  test('waits as long as a 429 asks, then reads on', async () => {
    await using server = await smallServer()
    server.failNext(1, { kind: 'status', code: 429, retryAfter: 1 })
    const started = performance.now()
    expect(names((await readCluster({ master: server.url, patience })).objects)).toEqual(SMALL_CLUSTER)
    expect(performance.now() - started).toBeGreaterThanOrEqual(990)
  })

  test.each([
    { kind: 'status', code: 500 },
    { kind: 'status', code: 503 },
    { kind: 'status', code: 429 },
    { kind: 'cut' },
    { kind: 'drop' },
    { kind: 'slow', ms: 50 },
  ] as const)('survives %o four times in a row', async (fault) => {
    await using server = await smallServer()
    server.failNext(4, fault)
    expect(names((await readCluster({ master: server.url, patience })).objects)).toEqual(SMALL_CLUSTER)
  })

  test.each([
    [{ kind: 'status', code: 500 }, 'server', 'answered 500 when asked to list services: look at its log'],
    [{ kind: 'status', code: 429 }, 'overloaded', 'is overloaded and refused to list services (429): try again later'],
    [{ kind: 'drop' }, 'unreachable', 'failed: socket hang up'],
  ] as const)('ends after five times %o', async (fault, kind, words) => {
    await using server = await smallServer()
    server.failNext(5, fault)
    const message = expect.stringContaining(`${server.url} ${words}`) as string
    await expect(readCluster({ master: server.url, patience })).rejects.toMatchObject({ kind, message })
    expect(server.requests).toHaveLength(5)
  })

  test('ends at once when a server asks for minutes', async () => {
    await using server = await smallServer()
    server.failNext(1, { kind: 'status', code: 429, retryAfter: 600 })
    await expect(readCluster({ master: server.url })).rejects.toThrow('try again in 600 seconds')
    expect(server.requests).toHaveLength(1)
  })

  test.each(['hang', 'stall'] as const)('ends when the server is silent (%s)', async (kind) => {
    await using server = await smallServer()
    server.failNext(1, { kind })
    await expect(readCluster({ master: server.url, patience: { silenceMs: 100 } })).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('does not answer in time') as string,
    })
  })

  test("ends with the signal's reason when aborted, in a request or between two", async () => {
    await using server = await smallServer()
    for (const fault of [{ kind: 'hang' }, { kind: 'status', code: 429, retryAfter: 20 }] as const) {
      const controller = new AbortController()
      server.failNext(1, fault)
      const reading = readCluster({ master: server.url, signal: controller.signal })
      setTimeout(() => controller.abort(new Error('enough')), 50)
      await expect(reading).rejects.toThrow('enough')
    }
  })
})
