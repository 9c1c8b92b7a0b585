import { describe, expect, test } from 'vitest'
import { createFakeIpvsHost, type FakeIpvsHost } from '../../support/fake-ipvs.ts'
import { compilerOf, NEVER, startIpvsSyncer } from '../../support/ipvs-model.ts'
import { serviceEntry, snapshotOf } from '../../support/many-services.ts'

import { ONE, OTHER, payloads, twoServices } from '../../support/two-services.ts'

describe('a removed endpoint', () => {
  const keep = serviceEntry(0, ['10.1.0.1'])
  const real = (host: FakeIpvsHost): unknown => host.servers.get(ONE)?.reals.get('10.1.0.2:8080')

  test('of TCP stays with weight 0 until its connections have ended', async () => {
    const { host, clock, sync } = await twoServices()
    Object.assign(real(host) ?? {}, { connections: 2 })
    expect(await sync(keep, OTHER)).toMatchObject({ retryInMs: 1000 })
    expect(real(host)).toMatchObject({ weight: 0 })
    host.processes.length = 0
    clock.now = 999
    await sync(keep, OTHER)
    expect(host.processes).toEqual([])
    clock.now = 1000
    expect(await sync(keep, OTHER)).toMatchObject({ kind: 'none', retryInMs: 2000 })
    expect(host.processes).toEqual([`ipvsadm -Ln`])
    Object.assign(real(host) ?? {}, { connections: 0 })
    clock.now = 3000
    const report = await sync(keep, OTHER)
    expect(report).toMatchObject({ kind: 'partial', lines: 1 })
    expect(report.retryInMs).toBeUndefined()
    expect(payloads(host).at(-1)).toBe(`ipvsadm -R: -d ${ONE} -r 10.1.0.2:8080`)
    expect(real(host)).toBeUndefined()
  })

  test('is looked at once a minute in the end', async () => {
    const { host, clock, sync } = await twoServices()
    Object.assign(real(host) ?? {}, { connections: 1 })
    const waits: (number | undefined)[] = []
    for (let look = 0; look < 9; look += 1) {
      const { retryInMs } = await sync(keep, OTHER)
      waits.push(retryInMs)
      clock.now += retryInMs ?? 0
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000))
  })

  test('gets its weight back at once when it comes again', async () => {
    const { host, sync } = await twoServices()
    Object.assign(real(host) ?? {}, { connections: 1 })
    await sync(keep, OTHER)
    host.written.length = 0
    const report = await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.2']), OTHER)
    expect(payloads(host)).toEqual([`ipvsadm -R: -e ${ONE} -r 10.1.0.2:8080 -m -w 1`])
    expect(report.retryInMs).toBeUndefined()
  })

  test('goes with its connections when the time that it has is over', async () => {
    const { host, clock, sync } = await twoServices(createFakeIpvsHost(), { boundMs: 1500 })
    Object.assign(real(host) ?? {}, { connections: 1 })
    await sync(keep, OTHER)
    clock.now = 1000
    expect(await sync(keep, OTHER)).toMatchObject({ retryInMs: 500 })
    clock.now = 1500
    await sync(keep, OTHER)
    expect(real(host)).toBeUndefined()
  })

  test('is still waited for after a restart', async () => {
    const { host, compiler, sync } = await twoServices()
    Object.assign(real(host) ?? {}, { connections: 1 })
    await sync(keep, OTHER)
    const clock = { now: 0 }
    const restarted = startIpvsSyncer(host, { clock })
    const program = compiler(snapshotOf([keep, OTHER]))
    host.written.length = 0
    expect(await restarted.sync(program, NEVER)).toMatchObject({ kind: 'none', retryInMs: 1000 })
    expect(host.written).toEqual([])
    Object.assign(real(host) ?? {}, { connections: 0 })
    clock.now = 1000
    await restarted.sync(program, NEVER)
    expect(real(host)).toBeUndefined()
  })

  test.each(['udp', 'sctp'] as const)('of %s goes at once', async (protocol) => {
    const host = createFakeIpvsHost()
    const compiler = compilerOf()
    const syncer = startIpvsSyncer(host)
    const ports = [{ name: 'p', protocol, port: 80 }]
    await syncer.sync(compiler(snapshotOf([serviceEntry(0, ['10.1.0.1', '10.1.0.2'], 'ipv4', { ports })])), NEVER)
    await syncer.sync(compiler(snapshotOf([serviceEntry(0, ['10.1.0.1'], 'ipv4', { ports })])), NEVER)
    const [server] = [...host.servers.values()]
    expect([...(server?.reals.keys() ?? [])]).toEqual(['10.1.0.1:8080'])
  })

  test('that somebody else deleted is noticed, and the kernel read', async () => {
    const { host, clock, sync } = await twoServices()
    await sync(keep, OTHER)
    host.servers.get(ONE)?.reals.delete('10.1.0.2:8080')
    clock.now = 1000
    expect(await sync(keep, OTHER)).toMatchObject({ retryInMs: 0 })
    expect(await sync(keep, OTHER)).toMatchObject({
      drift: [{ kind: 'changed virtual server', name: 'tcp 172.30.0.1:80', owner: 'bench/svc00000:p tcp' }],
    })
  })
})
