// What IPVS mode left goes away: at once, or as connections end.
import { expect, test } from 'vitest'
import { drainLeftovers, readLeftovers, removeLeftovers } from '../../src/daemon/ipvs-leftovers.ts'
import type { Log } from '../../src/daemon/log.ts'
import type { Cidr, Ip } from '../../src/model/address.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFakeIpvsHost } from '../support/fake-ipvs.ts'
import { SILENT_LOG } from '../support/silent-log.ts'

const SERVERS = `-A -t 10.0.0.1:80 -s rr
-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1
-A -u 10.0.0.2:53 -s rr
-a -u 10.0.0.2:53 -r 10.1.0.2:53 -m -w 1
-A -t [fd00::1]:80 -s rr
-A -t 10.0.0.9:80 -s rr
-A -t 192.0.2.7:80 -s wlc
-a -t 192.0.2.7:80 -r 192.0.2.8:80 -g -w 5`
const SETS = `create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-6-CLUSTER-IP hash:ip,port family inet6 hashsize 1024 maxelem 65536
create KUBE-SLUICE-NEW hash:ip family inet hashsize 1024 maxelem 65536
create KUBE-MINE hash:ip family inet hashsize 1024 maxelem 65536`
/** Of others, by the configuration. */
const EXCLUDED = ['10.0.0.9/32' as Cidr]
const FOREIGN = ['-t 10.0.0.9:80', '-t 192.0.2.7:80']

function create() {
  const fake = createFakeIpvsHost()
  fake.run('ipvsadm', '-R', SERVERS)
  fake.run('ipset', 'restore', SETS)
  fake.addresses = new Set(['10.0.0.1', '10.0.0.2', '10.0.0.9', 'fd00::1'] as Ip[])
  const lines: string[] = []
  const tell = (message: string) => void lines.push(message)
  const log: Log = { ...SILENT_LOG, info: tell, warn: tell }
  const hands = {
    ...fake.hands,
    listAddresses: async () => ['192.168.1.1' as Ip],
    deleteDevice: async () => {
      const was = fake.addresses !== undefined
      fake.addresses = undefined
      return was
    },
  }
  const clock = createFakeClock()
  const controller = new AbortController()
  const drain = (boundMs: number) =>
    drainLeftovers({ hands, clock, log, excludeCIDRs: EXCLUDED, boundMs, signal: controller.signal })
  return { fake, hands, log, lines, clock, controller, drain }
}

/** Until the drain waits for its next look, or has ended. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

function connect(fake: ReturnType<typeof create>['fake'], name: string, connections: number): void {
  for (const real of fake.servers.get(name)?.reals.values() ?? []) real.connections = connections
}

test('what is ours goes at once, of both families, and what is not stays', async () => {
  const { fake, hands, log, lines } = create()
  await removeLeftovers(hands, await readLeftovers(hands, EXCLUDED), log)
  expect([...fake.servers.keys()]).toEqual(FOREIGN)
  expect(fake.servers.get('-t 192.0.2.7:80')?.reals.get('192.0.2.8:80')?.weight).toBe(5)
  expect([...fake.sets.keys()]).toEqual(['KUBE-MINE'])
  expect(fake.addresses).toBeUndefined()
  expect(lines).toEqual(['what IPVS mode left is removed'])
})

test('a set that a rule uses stays, and all others go', async () => {
  const { fake, hands, log, lines } = create()
  const use = '*filter\n:MINE - [0:0]\n-A MINE -m set --match-set KUBE-CLUSTER-IP dst -j RETURN\nCOMMIT\n'
  await fake.hands.run({ argv: ['iptables-restore', '--noflush'], stdin: use, timeoutMs: 1000 })
  await removeLeftovers(hands, await readLeftovers(hands, EXCLUDED), log)
  expect([...fake.sets.keys()]).toEqual(['KUBE-CLUSTER-IP', 'KUBE-MINE'])
  expect(fake.addresses).toBeUndefined()
  expect(lines).toEqual(['a set of IPVS mode stays: is there a rule that uses it?', 'what IPVS mode left is removed'])
})

test('without the interface nothing is asked of tools, because asking loads modules', async () => {
  const { fake, hands, log, lines } = create()
  fake.addresses = undefined
  await removeLeftovers(hands, await readLeftovers(hands, []), log)
  expect(fake.processes).toEqual([])
  expect(lines).toEqual([])
})

test('connections may end: until then nothing new gets there, and the address and the sets stay', async () => {
  const { fake, clock, drain } = create()
  connect(fake, '-t 10.0.0.1:80', 3)
  connect(fake, '-u 10.0.0.2:53', 1)
  const drained = drain(900_000)
  await settle()
  expect([...fake.servers.keys()]).toEqual(['-t 10.0.0.1:80', ...FOREIGN])
  expect(fake.servers.get('-t 10.0.0.1:80')?.reals.get('10.1.0.1:8080')).toMatchObject({ weight: 0, connections: 3 })
  expect([...(fake.addresses ?? [])]).toEqual(['10.0.0.1'])
  expect(fake.sets.size).toBe(4)
  connect(fake, '-t 10.0.0.1:80', 0)
  clock.advance(5_000)
  await drained
  expect([...fake.servers.keys()]).toEqual(FOREIGN)
  expect([...fake.sets.keys()]).toEqual(['KUBE-MINE'])
  expect(fake.addresses).toBeUndefined()
})

test('connections that do not end are cut at the limit', async () => {
  const { fake, clock, drain } = create()
  connect(fake, '-t 10.0.0.1:80', 3)
  const drained = drain(12_000)
  for (const step of [5_000, 5_000]) {
    await settle()
    expect(fake.servers.has('-t 10.0.0.1:80')).toBe(true)
    clock.advance(step)
  }
  await settle()
  expect(fake.servers.has('-t 10.0.0.1:80')).toBe(true)
  clock.advance(5_000)
  await drained
  expect([...fake.servers.keys()]).toEqual(FOREIGN)
  expect(fake.addresses).toBeUndefined()
})

test('a failure is told once and tried again; the end of the daemon ends it', async () => {
  const { hands, fake, clock, controller, lines, log } = create()
  let isBroken = true
  const run: typeof hands.run = (command) =>
    isBroken ? Promise.reject(new Error('the helper is gone')) : hands.run(command)
  const options = { clock, log, excludeCIDRs: EXCLUDED, boundMs: 900_000, signal: controller.signal }
  const drained = drainLeftovers({ ...options, hands: { ...hands, run } })
  for (let look = 0; look < 3; look += 1) {
    await settle()
    clock.advance(5_000)
  }
  expect(lines).toEqual(['what IPVS mode left could not be removed yet'])
  connect(fake, '-t 10.0.0.1:80', 1)
  isBroken = false
  await settle()
  clock.advance(5_000)
  await settle()
  expect(fake.servers.has('-u 10.0.0.2:53')).toBe(false)
  controller.abort()
  await drained
  expect(fake.servers.has('-t 10.0.0.1:80')).toBe(true)
})
