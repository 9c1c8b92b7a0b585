// Whatever happens to the kernel and to the tools, the syncer arrives at what is desired, and foreign rules are as their
// owners left them.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile, createCompiler, printRule } from '../../src/index.ts'
import type { SyncEvent } from '../../src/sync/sync-event.ts'
import { createSyncer } from '../../src/sync/syncer.ts'
import { createFakeHost, type FakeFailure, type FakeHostOptions } from '../support/fake-host.ts'
import { serviceEntry, snapshotOf } from '../support/many-services.ts'
import {
  CONFIG,
  disturb,
  entries,
  expectDesired,
  flush,
  foreignRules,
  mentionedChains,
  NEVER,
  NODE,
  ownRules,
  seededFailures,
  startSyncer,
  steps,
  syncUntilQuiet,
} from '../support/syncer-model.ts'

describe('whatever happens', () => {
  test('the kernel ends up with what is desired, and with all foreign rules in their order', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(), async (all, seed) => {
        const clock = { now: 0 }
        const faults = { next: (): FakeFailure => 'none' }
        const host = createFakeHost({ nextFailure: () => faults.next() })
        const compiler = createCompiler(CONFIG, NODE, 'ipv4')
        let program = compiler(snapshotOf([]))
        let syncer = startSyncer(host, undefined, clock)
        faults.next = seededFailures(seed)
        for (const step of all) {
          clock.now += 1000
          const foreign = foreignRules(host.ruleset())
          if (step.kind === 'desire') program = compiler(snapshotOf(step.entries))
          else if (step.kind === 'outside') {
            disturb(host, step.seed)
            continue
          } else if (step.kind === 'restart') syncer = startSyncer(host, undefined, clock)
          else if (step.kind === 'sync') await syncer.sync(program, NEVER).catch(() => {})
          else if (step.kind === 'check') await syncer.check(NEVER).catch(() => {})
          else await syncer.readBack(NEVER).catch(() => {})
          expect(foreignRules(host.ruleset())).toEqual(foreign)
        }
        faults.next = () => 'none'
        const foreign = foreignRules(host.ruleset())
        syncer.forget()
        clock.now += 1_000_000
        await syncUntilQuiet(syncer, program)
        expectDesired(host, program)
        expect(foreignRules(host.ruleset())).toEqual(foreign)
      }),
      { numRuns: 300 },
    )
  })

  test('a restart with an unchanged state writes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(entries, async (all) => {
        const host = createFakeHost()
        await startSyncer(host).sync(compile(snapshotOf(all), CONFIG, NODE, 'ipv4'), NEVER)
        host.payloads.length = 0
        const report = await startSyncer(host).sync(compile(snapshotOf(all), CONFIG, NODE, 'ipv4'), NEVER)
        expect(report).toMatchObject({ kind: 'none', lines: 0 })
        expect(host.payloads).toEqual([])
      }),
    )
  })

  test('a change mentions no chain that stays as it is', async () => {
    await fc.assert(
      fc.asyncProperty(entries, entries, fc.boolean(), async (before, after, restarted) => {
        const host = createFakeHost()
        const compiler = createCompiler(CONFIG, NODE, 'ipv4')
        let syncer = startSyncer(host)
        await syncer.sync(compiler(snapshotOf(before)), NEVER)
        const chainsBefore = ownRules(host.ruleset())
        host.payloads.length = 0
        if (restarted) syncer = startSyncer(host)
        await syncer.sync(compiler(snapshotOf(after)), NEVER)
        const chainsAfter = ownRules(host.ruleset())
        for (const key of mentionedChains(host.payloads)) {
          expect(chainsAfter.get(key)).not.toEqual(chainsBefore.get(key))
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe.each(['rule', 'commit'] as const)('a kernel that names the line of the %s', (namesLine) => {
  const bad = (owners: readonly number[]): FakeHostOptions => ({
    namesLine,
    refuses: (text) =>
      owners.some((index) => text.includes(`svc0000${index}:p cluster IP`) && text.includes('10.1.')) ||
      owners.some((index) => text.includes(`--to-destination 10.1.0.${index}`)),
  })

  test('takes the rules of all but those that it refuses, which keep what they had', async () => {
    await fc.assert(
      fc.asyncProperty(fc.subarray([1, 2, 3, 4, 5, 6]), fc.boolean(), async (owners, restarted) => {
        const refusing = { active: false }
        const options = bad(owners)
        const host = createFakeHost({
          namesLine,
          refuses: (text) => refusing.active && options.refuses?.(text) === true,
        })
        const good = Array.from({ length: 7 }, (_, index) => serviceEntry(index, ['10.2.0.1']))
        const changed = Array.from({ length: 7 }, (_, index) => serviceEntry(index, [`10.1.0.${index}`]))
        const clock = { now: 0 }
        const compiler = createCompiler(CONFIG, NODE, 'ipv4')
        let syncer = startSyncer(host, undefined, clock)
        await syncer.sync(compiler(snapshotOf(good)), NEVER)
        refusing.active = true
        if (restarted) syncer = startSyncer(host, undefined, clock)
        const program = compiler(snapshotOf(changed))
        const report = await syncer.sync(program, NEVER)
        expect(report.isolated.toSorted()).toEqual(owners.map((index) => `bench/svc0000${index}:p tcp`))
        const mixed = good.map((entry, index) => (owners.includes(index) ? entry : (changed[index] ?? entry)))
        expectDesired(host, compile(snapshotOf(mixed), CONFIG, NODE, 'ipv4'))

        clock.now += 500
        host.payloads.length = 0
        expect((await syncer.sync(program, NEVER)).lines).toBe(0)
        expect(host.payloads).toEqual([])

        refusing.active = false
        clock.now += 1000
        expect((await syncer.sync(program, NEVER)).isolated).toEqual([])
        expectDesired(host, program)
      }),
      { numRuns: 40 },
    )
  })

  test('gets a refused one again when it changed, and later than the time before when it did not', async () => {
    const host = createFakeHost(bad([2]))
    const clock = { now: 0 }
    const events: SyncEvent[] = []
    const compiler = createCompiler(CONFIG, NODE, 'ipv4')
    const syncer = startSyncer(host, (event) => events.push(event), clock)
    const refused = compiler(snapshotOf([serviceEntry(1, ['10.1.0.1']), serviceEntry(2, ['10.1.0.2'])]))
    expect(await syncer.sync(refused, NEVER)).toMatchObject({ isolated: ['bench/svc00002:p tcp'], retryInMs: 1000 })
    clock.now = 1000
    expect(await syncer.sync(refused, NEVER)).toMatchObject({ isolated: ['bench/svc00002:p tcp'], retryInMs: 2000 })
    const corrected = compiler(snapshotOf([serviceEntry(1, ['10.1.0.1']), serviceEntry(2, ['10.1.0.9'])]))
    expect((await syncer.sync(corrected, NEVER)).isolated).toEqual([])
    expectDesired(host, corrected)
    expect(events.map(({ kind }) => kind)).toContain('reinstated')
  })
})

describe('a syncer', () => {
  const one = () => compile(snapshotOf([serviceEntry(1, ['10.1.0.1'])]), CONFIG, NODE, 'ipv4')

  test('waits for a lock that is held, and isolates nobody', async () => {
    let locked = 3
    const host = createFakeHost({
      nextFailure: (program) => (program.endsWith('-restore') && locked-- > 0 ? 'locked' : 'none'),
    })
    const events: SyncEvent[] = []
    expect(await startSyncer(host, (event) => events.push(event)).sync(one(), NEVER)).toMatchObject({ isolated: [] })
    expect(events.map(({ kind }) => kind)).toEqual(['restore failed', 'restore failed', 'restore failed', 'written'])
    expectDesired(host, one())
  })

  test('fails when the lock is held for long, and does it all the next time', async () => {
    let held = true
    const host = createFakeHost({
      nextFailure: (program) => (program.endsWith('-restore') && held ? 'locked' : 'none'),
    })
    const syncer = startSyncer(host)
    await expect(syncer.sync(one(), NEVER)).rejects.toThrow('xtables lock')
    held = false
    await syncer.sync(one(), NEVER)
    expectDesired(host, one())
  })

  test.each(['timeout', 'part'] as const)('goes on in batches when everything takes too long: %s', async (failure) => {
    let commands = 0
    const host = createFakeHost({ nextFailure: () => (++commands === 2 ? failure : 'none') })
    const all = Array.from({ length: 20 }, (_, index) => serviceEntry(index, ['10.1.0.1', '10.1.0.2']))
    const program = compile(snapshotOf(all), CONFIG, NODE, 'ipv4')
    const events: SyncEvent[] = []
    const syncer = createSyncer({
      hands: host,
      family: 'ipv4',
      variant: 'nft',
      now: () => 0,
      limits: { batchSize: 20 },
      onEvent: (event) => events.push(event),
    })
    expect(await syncer.sync(program, NEVER)).toMatchObject({ isolated: [] })
    expectDesired(host, program)
    expect(events.filter(({ kind }) => kind === 'batch').length).toBeGreaterThan(3)
    expect((await syncer.sync(program, NEVER)).lines).toBe(0)
  })

  test('blames no Service for a refusal that somebody else caused by changing the rules', async () => {
    const host = createFakeHost()
    const events: SyncEvent[] = []
    const syncer = startSyncer(host, (event) => events.push(event))
    const compiler = createCompiler(CONFIG, NODE, 'ipv4')
    await syncer.sync(compiler(snapshotOf([serviceEntry(1, ['10.1.0.1'])])), NEVER)
    const jumps = [...(host.ruleset().tables.get('nat') ?? [])].flatMap(([name, { rules }]) =>
      rules
        .map((rule) => printRule(rule, 'ipv4'))
        .filter((text) => text.endsWith('-j KUBE-MARK-MASQ'))
        .map((text) => `-D ${name} ${text}\n`),
    )
    host.restore(`*nat\n${jumps.join('')}-F KUBE-MARK-MASQ\n-X KUBE-MARK-MASQ\nCOMMIT\n`)
    const changed = compiler(snapshotOf([serviceEntry(1, ['10.1.0.2'])]))
    await syncer.sync(changed, NEVER)
    expect(events.map(({ kind }) => kind)).toEqual(['written', 'restore failed', 'written'])
    expectDesired(host, changed)
  })

  test('puts lines of others in their places beside one that keeps fewer lines than it should have', async () => {
    const host = createFakeHost({ refuses: (text) => text.includes('--to-destination 10.1.0.2:') })
    const syncer = startSyncer(host)
    const compiler = createCompiler(CONFIG, NODE, 'ipv4')
    const [first, second, third] = [1, 2, 3].map((index) => serviceEntry(index, [`10.1.0.${index}`]))
    if (first === undefined || second === undefined || third === undefined) throw new Error('three Services')
    await syncer.sync(compiler(snapshotOf([first, second])), NEVER)
    const report = await syncer.sync(compiler(snapshotOf([first, second, third])), NEVER)
    expect(report.isolated).toEqual(['bench/svc00002:p tcp'])
    expectDesired(host, compile(snapshotOf([first, third]), CONFIG, NODE, 'ipv4'))
  })

  test('repairs what the probe finds, and says which chain and Service it was', async () => {
    const host = createFakeHost()
    const syncer = startSyncer(host)
    const program = one()
    await syncer.sync(program, NEVER)
    expect((await syncer.check(NEVER)).findings).toEqual([])
    host.restore(flush(host.ruleset(), 'nat'))
    const { findings: found } = await syncer.check(NEVER)
    expect(found).toContainEqual({ kind: 'missing jump', table: 'nat', chain: 'PREROUTING' })
    const report = await syncer.sync(program, NEVER)
    expect(report.drift).toContainEqual(
      expect.objectContaining({ kind: 'changed rules', chain: 'KUBE-SERVICES', owner: 'bench/svc00001:p tcp' }),
    )
    expectDesired(host, program)
    expect((await syncer.sync(program, NEVER)).drift).toBeUndefined()
  })

  test('finds a changed rule when it reads everything back', async () => {
    const host = createFakeHost()
    const syncer = startSyncer(host)
    const program = one()
    await syncer.sync(program, NEVER)
    const chain = [...(host.ruleset().tables.get('nat')?.keys() ?? [])].find((name) => name.startsWith('KUBE-SEP'))
    host.restore(`*nat\n-I ${chain ?? ''} 1 -j RETURN\nCOMMIT\n`)
    expect((await syncer.check(NEVER)).findings).toEqual([])
    const owner = 'bench/svc00001:p tcp'
    expect((await syncer.readBack(NEVER)).findings).toEqual([{ kind: 'changed rules', table: 'nat', chain, owner }])
    await syncer.sync(program, NEVER)
    expectDesired(host, program)
  })

  test('does without counters that the kernel does not have', async () => {
    const host = createFakeHost({ counters: false, refuses: (text) => text.includes('nfacct') })
    const features = { ...NODE.host.features, nfacct: true }
    const node = { ...NODE, host: { ...NODE.host, features } }
    const snapshot = snapshotOf([serviceEntry(1, ['10.1.0.1'])])
    const report = await startSyncer(host).sync(compile(snapshot, CONFIG, node, 'ipv4'), NEVER)
    expect(report.isolated).toEqual([])
    expectDesired(host, compile(snapshot, CONFIG, NODE, 'ipv4'))
  })

  test('plans what it would write, and writes nothing', async () => {
    const host = createFakeHost()
    const syncer = startSyncer(host)
    const plan = await syncer.plan(one())
    expect(host.payloads).toEqual([])
    host.restore(plan)
    expectDesired(host, one())
    expect(await syncer.plan(one())).toBe('')
  })
})
