// Entries of KUBE-LOOP-BACK that nobody wants any more: when they go, and that they are never lost.
import { describe, expect, test } from 'vitest'
import type { ServiceEntry } from '../../../src/model/snapshot.ts'
import { createFakeIpvsHost, type FakeIpvsHost } from '../../support/fake-ipvs.ts'
import { compilerOf, expectDesired, NEVER, startIpvsSyncer } from '../../support/ipvs-model.ts'
import { here, serviceEntry, snapshotOf } from '../../support/many-services.ts'
import { ONE, payloads } from '../../support/two-services.ts'

const SET = 'KUBE-LOOP-BACK'
const loop = (ip: string) => `${ip},tcp:8080,${ip}`

/** A host with a Service whose endpoints, 10.1.0.1 and 10.1.0.2, are on this node, and its syncer. */
async function localService(host: FakeIpvsHost = createFakeIpvsHost()) {
  const clock = { now: 0 }
  const compiler = compilerOf()
  const syncer = startIpvsSyncer(host, { clock })
  const programOf = (...services: readonly ServiceEntry[]) => compiler(snapshotOf(services.map(here)))
  const sync = (...services: readonly ServiceEntry[]) => syncer.sync(programOf(...services), NEVER)
  await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.2']))
  host.processes.length = 0
  host.written.length = 0
  const entries = () => [...(host.sets.get(SET)?.entries ?? [])].toSorted()
  return { host, clock, syncer, programOf, sync, entries }
}

describe('an entry of KUBE-LOOP-BACK that nobody wants any more', () => {
  test('stays when an endpoint of this node goes, so that the change is one process', async () => {
    const { host, sync, entries } = await localService()
    expect(await sync(serviceEntry(0, ['10.1.0.1']))).toMatchObject({ lines: 1, retryInMs: 1_000 })
    expect(host.processes).toEqual(['ipvsadm -R'])
    expect(entries()).toEqual([loop('10.1.0.1'), loop('10.1.0.2')])
  })

  test('stays when an endpoint of this node is replaced, and goes in one batch with the next entry that comes', async () => {
    const { host, sync } = await localService()
    await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.3']))
    await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.4']))
    expect(host.processes).toEqual(['ipset restore', 'ipvsadm -R', 'ipset restore', 'ipvsadm -R'])
    expect(payloads(host).filter((text) => text.startsWith('ipset'))).toEqual([
      `ipset restore: add ${SET} ${loop('10.1.0.3')} -exist`,
      `ipset restore: add ${SET} ${loop('10.1.0.4')} -exist; del ${SET} ${loop('10.1.0.2')} -exist`,
    ])
  })

  test('goes with the next deletion from another set', async () => {
    const { host, sync, entries } = await localService()
    await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.2']), serviceEntry(1, []))
    await sync(serviceEntry(0, ['10.1.0.1']), serviceEntry(1, []))
    host.written.length = 0
    await sync(serviceEntry(0, ['10.1.0.1']))
    expect(payloads(host).at(-1)).toBe(
      'ipset restore: del KUBE-CLUSTER-IP 172.30.0.2,tcp:80 -exist; del KUBE-IPVS-IPS 172.30.0.2 -exist; ' +
        `del ${SET} ${loop('10.1.0.2')} -exist`,
    )
    expect(entries()).toEqual([loop('10.1.0.1')])
  })

  test('goes alone when the first has waited for 30 seconds, whatever came after it', async () => {
    const { host, clock, sync, entries } = await localService()
    for (const real of host.servers.get(ONE)?.reals.values() ?? []) real.connections = 1
    await sync(serviceEntry(0, ['10.1.0.1']))
    clock.now = 20_000
    await sync(serviceEntry(0, []))
    expect(entries()).toHaveLength(2)
    host.written.length = 0
    clock.now = 29_000
    const { retryInMs } = await sync(serviceEntry(0, []))
    expect(retryInMs).toBe(1_000)
    clock.now = 30_000
    await sync(serviceEntry(0, []))
    expect(payloads(host)).toEqual([
      `ipset restore: del ${SET} ${loop('10.1.0.1')} -exist; del ${SET} ${loop('10.1.0.2')} -exist`,
    ])
    expect(entries()).toEqual([])
  })

  test('is no change when its endpoint comes back', async () => {
    const { host, clock, sync, entries } = await localService()
    await sync(serviceEntry(0, ['10.1.0.1']))
    await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.2']))
    clock.now = 100_000
    const report = await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.2']))
    expect(report).toMatchObject({ kind: 'none' })
    expect(report.retryInMs).toBeUndefined()
    expect(host.processes).toEqual(['ipvsadm -R', 'ipvsadm -R'])
    expect(entries()).toEqual([loop('10.1.0.1'), loop('10.1.0.2')])
  })

  test('is no drift while it waits, and is in the plan', async () => {
    const { syncer, programOf, sync } = await localService()
    await sync(serviceEntry(0, ['10.1.0.1']))
    expect((await syncer.check(NEVER)).findings).toEqual([])
    expect((await syncer.readBack(NEVER)).findings).toEqual([])
    expect(await syncer.plan(programOf(serviceEntry(0, ['10.1.0.1'])))).toBe(
      `# ipset restore\ndel ${SET} ${loop('10.1.0.2')} -exist\n`,
    )
  })

  test.each(['a restart', 'a suspicion'])('goes at the first sync after %s', async (what) => {
    const { host, clock, syncer, programOf, sync, entries } = await localService()
    await sync(serviceEntry(0, ['10.1.0.1']))
    const desired = programOf(serviceEntry(0, ['10.1.0.1']))
    if (what === 'a suspicion') syncer.forget()
    const next = what === 'a restart' ? startIpvsSyncer(host, { clock }) : syncer
    await next.sync(desired, NEVER)
    expect(entries()).toEqual([loop('10.1.0.1')])
    clock.now = 100_000
    await next.sync(desired, NEVER)
    expectDesired(host, desired)
  })

  test.each(['before', 'timeout', 'after', 'part'] as const)(
    'goes at the first sync after a failure: %s',
    async (kind) => {
      const failing = { active: false }
      const host = createFakeIpvsHost({ nextFailure: () => (failing.active ? kind : 'none') })
      const { sync, entries } = await localService(host)
      await sync(serviceEntry(0, ['10.1.0.1']))
      failing.active = true
      await expect(sync(serviceEntry(0, ['10.1.0.1']), serviceEntry(1, []))).rejects.toThrow(/ipset restore/)
      failing.active = false
      await sync(serviceEntry(0, ['10.1.0.1']))
      expect(entries()).toEqual([loop('10.1.0.1')])
    },
  )
})
