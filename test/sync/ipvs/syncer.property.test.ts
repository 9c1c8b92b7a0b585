// Whatever happens to the kernel and to the tools, the IPVS syncer arrives at what is desired, and what belongs to others
// is as they left it.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { linkIpvs } from '../../../src/ipvs/link.ts'
import type { ServiceEntry } from '../../../src/model/snapshot.ts'
import type { FakeFailure } from '../../support/fake-host.ts'
import { createFakeIpvsHost } from '../../support/fake-ipvs.ts'
import {
  compilerOf,
  disturbIpvs,
  entries,
  expectDesired,
  foreignParts,
  NEVER,
  startIpvsSyncer,
  syncUntilQuiet,
} from '../../support/ipvs-model.ts'
import { snapshotOf } from '../../support/many-services.ts'
import { expectDesired as expectRules, foreignRules, seededFailures } from '../../support/syncer-model.ts'

type Step =
  | { readonly kind: 'desire'; readonly entries: readonly ServiceEntry[] }
  | { readonly kind: 'sync' | 'restart' | 'read back' | 'check' }
  | { readonly kind: 'outside'; readonly seed: number }

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: entries.map((all): Step => ({ kind: 'desire', entries: all })) },
    { weight: 4, arbitrary: fc.constant<Step>({ kind: 'sync' }) },
    { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'restart' }, { kind: 'read back' }, { kind: 'check' }) },
    { weight: 3, arbitrary: fc.nat().map((seed): Step => ({ kind: 'outside', seed })) },
  ),
  { minLength: 1, maxLength: 20 },
)

describe('whatever happens', () => {
  test('the kernel ends up with what is desired, and with everything foreign as it was', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(), fc.constantFrom('rr', 'sh', 'mh', 'dh'), async (all, seed, scheduler) => {
        const clock = { now: 0 }
        const faults = { next: (): FakeFailure => 'none' }
        const host = createFakeIpvsHost({ nextFailure: () => faults.next() })
        const compiler = compilerOf(scheduler)
        let program = compiler(snapshotOf([]))
        let syncer = startIpvsSyncer(host, { clock })
        faults.next = seededFailures(seed)
        for (const step of all) {
          clock.now += 1000
          if (step.kind === 'outside') {
            disturbIpvs(host, step.seed)
            continue
          }
          const foreign = foreignParts(host)
          const strangers = foreignRules(host.rules.ruleset())
          if (step.kind === 'desire') program = compiler(snapshotOf(step.entries))
          else if (step.kind === 'restart') syncer = startIpvsSyncer(host, { clock })
          else if (step.kind === 'sync') await syncer.sync(program, NEVER).catch(() => {})
          else if (step.kind === 'check') await syncer.check(NEVER).catch(() => {})
          else await syncer.readBack(NEVER).catch(() => {})
          expect(foreignParts(host)).toBe(foreign)
          expect(foreignRules(host.rules.ruleset())).toEqual(strangers)
        }
        faults.next = () => 'none'
        for (const { reals } of host.servers.values()) for (const real of reals.values()) real.connections = 0
        const foreign = foreignParts(host)
        syncer.forget()
        await syncUntilQuiet(syncer, program, clock)
        expectDesired(host, program)
        expectRules(host.rules, linkIpvs(program).rules)
        expect(foreignParts(host)).toBe(foreign)
      }),
      { numRuns: 300 },
    )
  })

  test('what somebody else changed is found by reading back, and then repaired', async () => {
    await fc.assert(
      fc.asyncProperty(entries, fc.nat(), async (all, seed) => {
        const clock = { now: 0 }
        const host = createFakeIpvsHost()
        const program = compilerOf()(snapshotOf(all))
        const syncer = startIpvsSyncer(host, { clock })
        await syncer.sync(program, NEVER)
        disturbIpvs(host, seed)
        await syncer.readBack(NEVER)
        await syncUntilQuiet(syncer, program, clock)
        expectDesired(host, program)
        expect((await syncer.readBack(NEVER)).findings).toEqual([])
        expect((await syncer.check(NEVER)).findings).toEqual([])
      }),
      { numRuns: 300 },
    )
  })

  test('a restart with an unchanged state writes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(entries, async (all) => {
        const host = createFakeIpvsHost()
        await startIpvsSyncer(host).sync(compilerOf()(snapshotOf(all)), NEVER)
        host.written.length = 0
        host.processes.length = 0
        const report = await startIpvsSyncer(host).sync(compilerOf()(snapshotOf(all)), NEVER)
        expect(report).toMatchObject({ kind: 'none', lines: 0 })
        expect(host.written).toEqual([])
        expect(host.processes).not.toContain('addresses')
      }),
    )
  })

  test('the plan is what the next sync writes', async () => {
    await fc.assert(
      fc.asyncProperty(entries, entries, async (before, after) => {
        const host = createFakeIpvsHost()
        const compiler = compilerOf()
        await startIpvsSyncer(host).sync(compiler(snapshotOf(before)), NEVER)
        const program = compiler(snapshotOf(after))
        const plan = await startIpvsSyncer(host).plan(program)
        host.written.length = 0
        await startIpvsSyncer(host).sync(program, NEVER)
        for (const tool of ['ipset', 'ipvsadm']) {
          const lines = host.written.filter(({ argv }) => argv[0] === tool).map(({ stdin }) => String(stdin))
          const planned = plan.split(/^# /m).filter((part) => part.startsWith(`${tool} `))
          expect(planned.map((part) => part.slice(part.indexOf('\n') + 1))).toEqual(lines)
        }
      }),
      { numRuns: 100 },
    )
  })
})
