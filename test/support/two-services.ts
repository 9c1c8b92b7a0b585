// A fake host with two Services in IPVS mode, for tests of what one change comes to.
import type { IpvsSyncEvent } from '../../src/sync/ipvs/syncer.ts'
import { createFakeIpvsHost, type FakeIpvsHost } from './fake-ipvs.ts'
import { compilerOf, NEVER, startIpvsSyncer } from './ipvs-model.ts'
import { serviceEntry, snapshotOf } from './many-services.ts'

export const ONE = '-t 172.30.0.1:80'
export const OTHER = serviceEntry(1, ['10.2.0.1'])

/** A host with two Services, and the syncer that programmed them. */
export async function twoServices(host: FakeIpvsHost = createFakeIpvsHost(), termination = {}) {
  const clock = { now: 0 }
  const compiler = compilerOf()
  const events: IpvsSyncEvent[] = []
  const syncer = startIpvsSyncer(host, { clock, termination, onEvent: (event) => events.push(event) })
  const sync = (...services: readonly ReturnType<typeof serviceEntry>[]) =>
    syncer.sync(compiler(snapshotOf(services)), NEVER)
  await sync(serviceEntry(0, ['10.1.0.1', '10.1.0.2']), serviceEntry(1, ['10.2.0.1']))
  host.processes.length = 0
  host.written.length = 0
  return { host, clock, compiler, syncer, sync, events }
}

/** Of the commands that write. */
export function payloads(host: FakeIpvsHost): readonly string[] {
  return host.written.map(({ argv, stdin }) => `${argv.join(' ')}: ${String(stdin).trim().replaceAll('\n', '; ')}`)
}
