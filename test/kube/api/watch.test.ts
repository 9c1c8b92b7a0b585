import { describe, expect, test } from 'vitest'
import { NodeNotReady } from '../../../src/kube/api/node-gate.ts'
import { startApiServer } from '../../support/api-server.ts'
import { endpointSlice, node, putSmallCluster, service } from '../../support/cluster-objects.ts'
import { expectedSnapshot, startSource } from '../../support/cluster-source.ts'
import { fastClock } from '../../support/fast-clock.ts'

const clock = fastClock(200)
const CHANGED_AT = 'endpoints.kubernetes.io/last-change-trigger-time'

describe('Snapshots', () => {
  test('begin when Services and EndpointSlices are both listed, and say what the cluster has', async () => {
    await using server = await startApiServer()
    putSmallCluster(server.store)
    server.forbidden.add('endpointslices')
    await using source = startSource(server, clock)
    await expect.poll(() => source.watch.state().services.synced).toBe(true)
    expect(source.snapshots).toEqual([])
    server.forbidden.clear()
    await expect.poll(() => source.snapshots.length).toBeGreaterThan(0)
    const first = source.snapshots[0]
    expect(first?.changes).toMatchObject({ isFirst: true, services: new Set(['ns1/one', 'ns1/two']) })
    await expect.poll(() => source.snapshots.at(-1)?.snapshot).toEqual(expectedSnapshot(server.store))
    expect(source.trouble[0]?.message).toMatch(/does not allow this user to watch endpointslices/)
  })

  test('keep what did not change, are sorted, and name what did', async () => {
    await using server = await startApiServer()
    putSmallCluster(server.store)
    await using source = startSource(server, clock)
    await expect.poll(() => source.snapshots.at(-1)?.snapshot.nodes.size).toBe(1)
    const before = source.snapshots.at(-1)?.snapshot
    const told = source.snapshots.length
    server.store.put('endpointslices', endpointSlice('one-new', 'one'))
    server.store.put('services', service('middle', '10.96.0.13'))
    await expect.poll(() => source.snapshots.at(-1)?.snapshot.services.length).toBe(3)
    await expect.poll(() => source.snapshots.at(-1)?.snapshot).toEqual(expectedSnapshot(server.store))
    const after = source.snapshots.at(-1)?.snapshot
    expect(after?.services.map(({ key }) => key)).toEqual(['ns1/middle', 'ns1/one', 'ns1/two'])
    expect(after?.services[2]).toBe(before?.services[1])
    expect(after?.services[1]).not.toBe(before?.services[0])
    expect(after?.services[1]?.service).toBe(before?.services[0]?.service)
    expect(after?.services[1]?.slices[0]).toBe(before?.services[0]?.slices[0])
    expect(after?.nodes).toBe(before?.nodes)
    const changed = source.snapshots.slice(told).flatMap(({ changes }) => [...changes.services])
    expect(changed.toSorted()).toEqual(['ns1/middle', 'ns1/one'])
  })

  test('do not come for changes that bear on no rule, nor for stray slices', async () => {
    await using server = await startApiServer()
    putSmallCluster(server.store)
    await using source = startSource(server, clock)
    await expect.poll(() => source.snapshots.at(-1)?.snapshot.nodes.size).toBe(1)
    const told = source.snapshots.length
    server.store.put('services', service('one', '10.96.0.11', { color: 'red' }))
    server.store.put('endpointslices', endpointSlice('stray-1', 'stray'))
    server.store.put('nodes', { ...node('node-a'), spec: { taints: [{ key: 'x', effect: 'NoSchedule' }] } })
    server.watches.bookmark()
    await expect.poll(() => source.watch.state().services.resourceVersion).toBe(String(server.store.resourceVersion))
    expect(source.snapshots).toHaveLength(told)
    server.store.put('services', service('stray', '10.96.0.14'))
    await expect.poll(() => source.snapshots.at(-1)?.snapshot).toEqual(expectedSnapshot(server.store))
  })

  test('that do not arrive come again, with all that changed since the last one that did', async () => {
    await using server = await startApiServer()
    putSmallCluster(server.store)
    await using source = startSource(server, clock)
    await expect.poll(() => source.snapshots.at(-1)?.snapshot.nodes.size).toBe(1)
    source.onSnapshot = () => {
      source.onSnapshot = () => {}
      throw new Error('not now')
    }
    server.store.put('services', service('late', '10.96.0.15'))
    await expect.poll(() => [...(source.snapshots.at(-1)?.changes.services ?? [])]).toEqual(['ns1/late'])
    expect(source.snapshots.at(-1)?.snapshot).toEqual(expectedSnapshot(server.store))
  })

  test('carry when the causes of slice changes happened, if that was after the start', async () => {
    await using server = await startApiServer()
    putSmallCluster(server.store)
    const slice = (name: string, time: string) => {
      const value = endpointSlice(name, 'one')
      return { ...value, metadata: { ...(value['metadata'] as object), annotations: { [CHANGED_AT]: time } } }
    }
    server.store.put('endpointslices', slice('before', '2026-01-01T00:00:00Z'))
    await using source = startSource(server, clock)
    await expect.poll(() => source.snapshots.length).toBeGreaterThan(0)
    server.store.put('endpointslices', slice('after', '2999-01-01T00:00:00.123456789Z'))
    server.store.put('endpointslices', slice('never', 'yesterday'))
    await expect.poll(() => source.snapshots.at(-1)?.snapshot.services[0]?.slices.length).toBe(4)
    const times = source.snapshots.flatMap(({ changes }) => [...changes.triggerTimes])
    expect(times).toEqual([['ns1/one', [Date.parse('2999-01-01T00:00:00.123Z')]]])
  })

  test('leave out what can not be read, and say so once', async () => {
    await using server = await startApiServer()
    putSmallCluster(server.store)
    server.store.put('services', service('odd', 'not-an-ip'))
    await using source = startSource(server, clock)
    await expect.poll(() => source.snapshots.length).toBeGreaterThan(0)
    server.watches.send('{bad line')
    await expect.poll(() => source.watch.state().services.relists).toBe(1)
    expect(source.issues.map(({ at }) => at.object)).toEqual(['Service ns1/odd'])
    expect(source.snapshots.at(-1)?.snapshot.services).toHaveLength(2)
  })
})

describe('the Node', () => {
  test('is waited for until it has addresses', async () => {
    await using server = await startApiServer()
    server.store.put('nodes', { metadata: { name: 'node-a' } })
    await using source = startSource(server, clock)
    const gate = source.watch.awaitNode({ needsPodCIDRs: false })
    await expect.poll(() => source.watch.node()?.name).toBe('node-a')
    server.store.put('nodes', node('node-a'))
    expect(await gate).toEqual({ node: expect.objectContaining({ addresses: ['192.168.1.63'] }) })
  })

  test('is done without after 30 seconds', async () => {
    await using server = await startApiServer()
    await using source = startSource(server, clock)
    const gate = await source.watch.awaitNode({ needsPodCIDRs: false })
    expect(gate).toEqual({ notice: expect.stringMatching(/there is no Node node-a/) })
  })

  test('must have podCIDRs where they are needed', async () => {
    await using server = await startApiServer()
    await using source = startSource(server, fastClock(2000))
    await expect(source.watch.awaitNode({ needsPodCIDRs: true })).rejects.toThrow(NodeNotReady)
    server.store.put('nodes', node('node-a'))
    await expect(source.watch.awaitNode({ needsPodCIDRs: true })).rejects.toThrow(/has no podCIDRs/)
    const gate = source.watch.awaitNode({ needsPodCIDRs: true })
    server.store.put('nodes', { ...node('node-a'), spec: { podCIDRs: ['10.244.1.0/24'] } })
    expect((await gate).node?.podCIDRs).toEqual(['10.244.1.0/24'])
  })

  test('that is being deleted says so', async () => {
    await using server = await startApiServer()
    const deletionTimestamp = '2026-11-20T00:00:00Z'
    server.store.put('nodes', { ...node('node-a'), metadata: { name: 'node-a', deletionTimestamp } })
    await using source = startSource(server, clock)
    await expect.poll(() => source.watch.node()?.leaving).toBe(true)
  })
})
