// What the tests of the IPVS syncer know about Services, disturbances and what must be left of both.
import * as fc from 'fast-check'
import { expect } from 'vitest'
import { createIpvsCompiler } from '../../src/ipvs/compile.ts'
import { linkIpvs } from '../../src/ipvs/link.ts'
import { printIpvsadmSave } from '../../src/ipvs/print.ts'
import type { IpvsProgram } from '../../src/ipvs/program.ts'
import type { Ip } from '../../src/model/address.ts'
import type { ServiceEntry } from '../../src/model/snapshot.ts'
import { createIpvsSyncer, type IpvsSyncEvent, type IpvsSyncer } from '../../src/sync/ipvs/syncer.ts'
import type { TerminationLimits } from '../../src/sync/ipvs/terminations.ts'
import type { FakeIpvsHost } from './fake-ipvs.ts'
import { here } from './many-services.ts'
import { CONFIG, disturb, NEVER, NODE, entries as tcpEntries } from './syncer-model.ts'

export { CONFIG, NEVER, NODE } from './syncer-model.ts'

/** Those of iptables mode; every third is of UDP, and every second has its endpoints on this node. */
export const entries: fc.Arbitrary<readonly ServiceEntry[]> = tcpEntries.map((all) =>
  all
    .map((entry, index) => (index % 3 === 2 ? asUdp(entry) : entry))
    .map((entry, index) => (index % 2 === 0 ? here(entry) : entry)),
)

function asUdp({ key, service, slices }: ServiceEntry): ServiceEntry {
  return {
    key,
    service: { ...service, ports: service.ports.map((port) => ({ ...port, protocol: 'udp' as const })) },
    slices: slices.map((slice) => ({
      ...slice,
      ports: slice.ports.map((port) => ({ ...port, protocol: 'udp' as const })),
    })),
  }
}

export function compilerOf(scheduler = 'rr'): ReturnType<typeof createIpvsCompiler> {
  return createIpvsCompiler({ ...CONFIG, ipvs: { ...CONFIG.ipvs, scheduler } }, NODE, 'ipv4')
}

export interface SyncerParts {
  readonly clock?: { now: number }
  readonly onEvent?: (event: IpvsSyncEvent) => void
  readonly termination?: Partial<TerminationLimits>
}

export function startIpvsSyncer(
  host: FakeIpvsHost,
  { clock = { now: 0 }, onEvent, termination }: SyncerParts = {},
): IpvsSyncer {
  return createIpvsSyncer({
    hands: host.hands,
    family: 'ipv4',
    variant: 'nft',
    now: () => clock.now,
    device: 'kube-ipvs0',
    ...(onEvent && { onEvent }),
    ...(termination && { termination }),
  })
}

/** Of somebody else, so that nothing of it is ever sluice's. */
export function isForeign(text: string): boolean {
  return /198\.51\.100\.|-f |FOREIGN/.test(text)
}

/** Everything that is not sluice's, as text. */
export function foreignParts(host: FakeIpvsHost): string {
  const servers = host.run('ipvsadm', '-Sn').stdout.split('\n').filter(isForeign)
  const sets = [...host.sets]
    .filter(([name]) => isForeign(name))
    .map(([name, { entries: all }]) => `${name} ${[...all].join()}`)
  return [...servers, ...sets].join('\n')
}

/** What other programs and people do; they leave the sets that tell whose a virtual server is. */
export function disturbIpvs(host: FakeIpvsHost, seed: number): void {
  const own = [...host.servers].filter(([name]) => !isForeign(name))
  const [name, server] = own[(seed >> 4) % Math.max(1, own.length)] ?? []
  const [real, state] = [...(server?.reals ?? [])][0] ?? []
  const port = 40_000 + (seed % 100)
  const acts: (() => void)[] = [
    () =>
      host.run(
        'ipvsadm',
        '-R',
        `-A -t 198.51.100.7:${port} -s wlc\n-a -t 198.51.100.7:${port} -r 198.51.100.9:80 -g -w 7`,
      ),
    () => host.run('ipvsadm', '-R', `-A -f ${port} -s rr -p 300`),
    () =>
      host.run(
        'ipset',
        'restore',
        `create FOREIGN-${port} hash:ip family inet hashsize 1024 maxelem 9\nadd FOREIGN-${port} 198.51.100.1`,
      ),
    () => name !== undefined && host.run('ipvsadm', '-R', `-D ${name}`),
    () => host.run('ipvsadm', '-R', own.map(([each]) => `-D ${each}`).join('\n')),
    () => name !== undefined && host.run('ipvsadm', '-R', `-E ${name} -s sh -p 5 -o`),
    () => name !== undefined && host.run('ipvsadm', '-R', `-a ${name} -r 10.9.9.9:99 -i -w 3`),
    () => name !== undefined && real !== undefined && host.run('ipvsadm', '-R', `-e ${name} -r ${real} -m -w 0`),
    () => name !== undefined && real !== undefined && host.run('ipvsadm', '-R', `-d ${name} -r ${real}`),
    () => state !== undefined && Object.assign(state, { connections: seed % 3 }),
    () =>
      host.run(
        'ipset',
        'restore',
        'add KUBE-CLUSTER-IP 10.99.0.1,tcp:99 -exist\nadd KUBE-LOOP-BACK 10.9.9.9,tcp:9,10.9.9.9 -exist',
      ),
    () => host.sets.get('KUBE-LOOP-BACK')?.entries.clear(),
    () => host.sets.get('KUBE-IPVS-IPS')?.entries.clear(),
    () => host.addresses?.delete([...host.addresses][0] ?? ('' as Ip)),
    () => host.addresses?.add('10.99.0.2' as Ip),
    () => (host.addresses = undefined),
    () => disturb(host.rules, seed >> 5),
  ]
  acts[seed % acts.length]?.()
}

/** The kernel's parts of ours in canonical form, foreign ones left out. */
export function ownParts(host: FakeIpvsHost) {
  const servers = host
    .run('ipvsadm', '-Sn')
    .stdout.split('\n')
    .filter((line) => line !== '' && !isForeign(line))
  const sets = [...host.sets]
    .filter(([name]) => !isForeign(name))
    .map(([name, { entries: all }]) => `${name}: ${[...all].toSorted().join(' ')}`)
  return { servers: servers.toSorted(), sets: sets.toSorted(), addresses: [...(host.addresses ?? [])].toSorted() }
}

export function expectedParts(program: IpvsProgram): ReturnType<typeof ownParts> {
  const state = linkIpvs(program)
  const servers = printIpvsadmSave([...state.virtualServers.values()].map(({ virtualServer }) => virtualServer))
  return {
    servers: servers
      .split('\n')
      .filter((line) => line !== '')
      .toSorted(),
    sets: [...state.sets]
      .map(([name, { entries: all }]) => `${name}: ${[...all.keys()].toSorted().join(' ')}`)
      .toSorted(),
    addresses: [...state.addresses].toSorted(),
  }
}

export function expectDesired(host: FakeIpvsHost, program: IpvsProgram): void {
  expect(ownParts(host)).toEqual(expectedParts(program))
}

/** Until nothing is isolated and no real server is terminating. */
export async function syncUntilQuiet(syncer: IpvsSyncer, program: IpvsProgram, clock: { now: number }): Promise<void> {
  for (let attempt = 0; attempt < 60; attempt += 1) {
    clock.now += 100_000
    try {
      const report = await syncer.sync(program, NEVER)
      if (report.isolated.length === 0 && report.retryInMs === undefined) return
    } catch {
      // The next one reads the kernel.
    }
  }
  throw new Error('the syncer does not arrive')
}
