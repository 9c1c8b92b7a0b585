import { describe, expect, test } from 'vitest'
import { type Cidr, type Ip } from '../../../src/model/address.ts'
import { createFakeIpvsHost, type FakeIpvsHost } from '../../support/fake-ipvs.ts'
import {
  compilerOf,
  expectDesired,
  NEVER,
  ownParts,
  startIpvsSyncer,
  syncUntilQuiet,
} from '../../support/ipvs-model.ts'
import { serviceEntry, snapshotOf } from '../../support/many-services.ts'

import { ONE, OTHER, payloads, twoServices } from '../../support/two-services.ts'

describe('what the kernel refuses', () => {
  test('is left as it is, told and tried again, and everything else is programmed', async () => {
    const refusing = { active: true }
    const host = createFakeIpvsHost({ refuses: (line) => refusing.active && /10\.1\.0\.[35]:/.test(line) })
    const { clock, compiler, sync, events } = await twoServices(host)
    const changed = [0, 1, 2, 3, 4, 5].map((index) => serviceEntry(index, [`10.1.0.${index}`]))
    const report = await sync(...changed)
    expect(report.isolated.toSorted()).toEqual(['bench/svc00003:p tcp', 'bench/svc00005:p tcp'])
    expect(report.retryInMs).toBe(1000)
    const isolated = events.find((event) => event.kind === 'isolated')
    expect(isolated).toMatchObject({ what: 'virtual server tcp 172.30.0.4:80' })
    expect(isolated?.error.message).toContain('Memory allocation problem')
    for (const index of [0, 1, 2, 4]) {
      expect([...(host.servers.get(`-t 172.30.0.${index + 1}:80`)?.reals.keys() ?? [])]).toContain(
        `10.1.0.${index}:8080`,
      )
    }
    host.processes.length = 0
    clock.now = 500
    await sync(...changed)
    expect(host.processes).toEqual([])

    refusing.active = false
    clock.now = 1_000_000
    expect((await sync(...changed)).isolated).toEqual([])
    expect(events.filter(({ kind }) => kind === 'reinstated')).toHaveLength(2)
    for (const { reals } of host.servers.values()) for (const real of reals.values()) real.connections = 0
    expect(ownParts(host).servers).toContain('-a -t 172.30.0.4:80 -r 10.1.0.3:8080 -m -w 1')
    const program = compiler(snapshotOf(changed))
    await syncUntilQuiet(startIpvsSyncer(host, { clock }), program, clock)
    expectDesired(host, program)
  })

  test('of a set is one entry, whose Service is named', async () => {
    const host = createFakeIpvsHost({ refuses: (line) => line.includes('192.0.2.0/24') })
    const { sync, clock } = await twoServices(host)
    const open = serviceEntry(2, ['10.1.0.9'], 'ipv4', {
      type: 'LoadBalancer',
      loadBalancerIPs: ['203.0.113.1' as Ip],
      loadBalancerSourceRanges: ['192.0.2.0/24' as Cidr, '10.0.0.0/8' as Cidr],
    })
    const report = await sync(serviceEntry(0, ['10.1.0.1']), open)
    expect(report.isolated).toEqual(['bench/svc00002:p tcp'])
    expect([...(host.sets.get('KUBE-LOAD-BALANCER-SOURCE-CIDR')?.entries ?? [])]).toEqual([
      '203.0.113.1,tcp:80,10.0.0.0/8',
    ])
    expect(host.servers.has('-t 203.0.113.1:80')).toBe(true)
    clock.now = 1000
    host.processes.length = 0
    expect(await sync(serviceEntry(0, ['10.1.0.1']), open)).toMatchObject({
      isolated: ['bench/svc00002:p tcp'],
      retryInMs: 2000,
    })
    expect(host.processes.filter((process) => process === 'ipset restore')).toHaveLength(1)
    expect((await sync(serviceEntry(0, ['10.1.0.1']))).isolated).toEqual([])
  })

  test('of rules holds up new Services, and not the endpoints of those that are there', async () => {
    const host = createFakeIpvsHost()
    const { sync } = await twoServices(host)
    const guarded = serviceEntry(2, ['10.1.0.9'], 'ipv4', { externalIPs: ['203.0.113.1' as Ip] })
    const run = host.hands.run
    host.hands.run = (command) => {
      if (command.argv[0].includes('restore') && command.argv[0].startsWith('iptables')) {
        return run({ ...command, stdin: '*nat\n-D OUTPUT -j MISSING\nCOMMIT\n' })
      }
      return run(command)
    }
    await expect(sync(serviceEntry(0, ['10.1.0.7']), OTHER, guarded)).rejects.toThrow('iptables')
    expect([...(host.servers.get(ONE)?.reals.keys() ?? [])]).toContain('10.1.0.7:8080')
    expect(host.servers.has('-t 203.0.113.1:80')).toBe(false)
    expect(host.addresses?.has('203.0.113.1' as Ip)).toBe(false)
  })
})

describe('sets', () => {
  test('that are too small are grown by a swap, with all that they hold', async () => {
    const { host, compiler } = await twoServices()
    const set = host.sets.get('KUBE-CLUSTER-IP')
    if (set === undefined) throw new Error('there is no set')
    set.definition = set.definition.replace('65536', '2')
    const program = compiler(snapshotOf([0, 1, 2].map((index) => serviceEntry(index, []))))
    host.written.length = 0
    const clock = { now: 0 }
    await syncUntilQuiet(startIpvsSyncer(host, { clock }), program, clock)
    expect(payloads(host)[0]).toBe(
      'ipset restore: create KUBE-SLUICE-NEW hash:ip,port family inet hashsize 1024 maxelem 65536 -exist; ' +
        [1, 2, 3].map((index) => `add KUBE-SLUICE-NEW 172.30.0.${index},tcp:80 -exist; `).join('') +
        'swap KUBE-SLUICE-NEW KUBE-CLUSTER-IP; destroy KUBE-SLUICE-NEW; add KUBE-IPVS-IPS 172.30.0.3 -exist',
    )
    expectDesired(host, program)
  })

  test('of another type are made anew, though rules use them', async () => {
    const { host, compiler } = await twoServices()
    const program = compiler(snapshotOf([serviceEntry(0, [])]))
    host.sets.set('KUBE-CLUSTER-IP', {
      definition: 'hash:net family inet hashsize 64 maxelem 9',
      entries: new Set(['10.0.0.0/8']),
    })
    host.sets.set('KUBE-SLUICE-NEW', { definition: 'hash:net family inet hashsize 64 maxelem 9', entries: new Set() })
    const clock = { now: 0 }
    await syncUntilQuiet(startIpvsSyncer(host, { clock }), program, clock)
    expectDesired(host, program)
    expect(host.sets.get('KUBE-CLUSTER-IP')?.definition).toBe('hash:ip,port family inet hashsize 1024 maxelem 65536')
  })

  test('with other options than ours are swapped for ours', async () => {
    const { host, compiler } = await twoServices()
    const program = compiler(snapshotOf([serviceEntry(0, [])]))
    host.sets.set('KUBE-CLUSTER-IP', {
      definition: 'hash:ip,port family inet hashsize 64 maxelem 70000 timeout 600',
      entries: new Set(['172.30.0.1,tcp:80 timeout 12']),
    })
    const clock = { now: 0 }
    await syncUntilQuiet(startIpvsSyncer(host, { clock }), program, clock)
    expectDesired(host, program)
    expect(host.sets.get('KUBE-CLUSTER-IP')?.definition).not.toContain('timeout')
  })
})

describe('a look at the kernel', () => {
  test.each([
    [
      'a virtual server',
      (host: FakeIpvsHost): unknown => host.servers.delete(ONE),
      { kind: 'missing virtual server', owner: 'bench/svc00000:p tcp' },
    ],
    [
      'an entry',
      (host: FakeIpvsHost): unknown => host.sets.get('KUBE-CLUSTER-IP')?.entries.clear(),
      { kind: 'changed set', name: 'KUBE-CLUSTER-IP' },
    ],
    [
      'an address',
      (host: FakeIpvsHost): unknown => host.addresses?.delete('172.30.0.1' as Ip),
      { kind: 'missing address', name: '172.30.0.1', owner: 'bench/svc00000:p tcp' },
    ],
    [
      'the device',
      (host: FakeIpvsHost): unknown => (host.addresses = undefined),
      { kind: 'missing device', name: 'kube-ipvs0' },
    ],
    [
      'a jump',
      (host: FakeIpvsHost): unknown => host.rules.restore('*nat\n-F PREROUTING\nCOMMIT\n'),
      { kind: 'missing jump', chain: 'PREROUTING' },
    ],
  ])('finds that %s is missing, and the next sync repairs and tells it', async (_what, remove, finding) => {
    const { host, clock, compiler, syncer } = await twoServices()
    const program = compiler(snapshotOf([serviceEntry(0, ['10.1.0.1', '10.1.0.2']), OTHER]))
    expect((await syncer.check(NEVER)).findings).toEqual([])
    remove(host)
    const { findings } = await syncer.check(NEVER)
    expect(findings).toContainEqual(expect.objectContaining(finding))
    const report = await syncer.sync(program, NEVER)
    expect(report.drift?.length).toBeGreaterThan(0)
    expectDesired(host, program)
    expect((await syncer.check(NEVER)).findings).toEqual([])
    expect(clock.now).toBe(0)
  })

  test('asks for one of many virtual servers at a time', async () => {
    const host = createFakeIpvsHost()
    const syncer = startIpvsSyncer(host)
    await syncer.sync(
      compilerOf()(snapshotOf(Array.from({ length: 250 }, (_, index) => serviceEntry(index, [])))),
      NEVER,
    )
    host.processes.length = 0
    expect((await syncer.check(NEVER)).findings).toEqual([])
    expect(host.processes).toEqual(['ipset list', 'ipvsadm -Ln', 'iptables-nft-restore -w'])
    host.servers.clear()
    expect((await syncer.check(NEVER)).findings).toMatchObject([{ kind: 'missing virtual server' }])
  })
})
