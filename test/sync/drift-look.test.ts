// When damage is noticed, on a machine where reading takes long: time is what the fake tools say that they took.
import { describe, expect, test } from 'vitest'
import { CommandError } from '../../src/host/exec.ts'
import type { HandsCommand } from '../../src/host/hands.ts'
import { createCompiler, link } from '../../src/index.ts'
import { printRule } from '../../src/iptables/print-rule.ts'
import type { Ruleset } from '../../src/iptables/rule.ts'
import { createGenerations } from '../../src/sync/generations.ts'
import { createSyncer } from '../../src/sync/syncer.ts'
import type { IptablesVariant } from '../../src/sync/variant.ts'
import { createFakeHost } from '../support/fake-host.ts'
import { manyServices } from '../support/many-services.ts'
import { CONFIG, expectDesired, NEVER, NODE } from '../support/syncer-model.ts'

const READING_MS = 1_000
const FINGERPRINT_MS = 20
const LOOK_EVERY_MS = 1_000

/** A kernel that also tells what either variant's kernel tells: transactions and a fingerprint, or entries. */
function createPlace(variant: IptablesVariant) {
  let time = 0
  let commits = 1
  let reads = 0
  let endless = false
  const host = createFakeHost()
  const run = (command: HandsCommand) => {
    const [program] = command.argv
    if (program === 'perl') return Promise.resolve({ stdout: sizesOf(host.ruleset()), stderr: '', exitCode: 0 })
    if (program.endsWith('-save') && endless) {
      time += command.timeoutMs ?? Number.POSITIVE_INFINITY
      return Promise.reject(new CommandError(command.argv, { kind: 'timeout', milliseconds: 0 }, ''))
    }
    if (program.endsWith('-save')) {
      time += READING_MS
      reads += 1
    }
    // One that only lists does not commit anything.
    if (program.endsWith('-restore') && command.discardOutput === true) commits += committed(command)
    return host.run(command)
  }
  const generations = createGenerations(() => Promise.resolve(commits))
  const fingerprint = () => {
    time += FINGERPRINT_MS
    return Promise.resolve(fingerprintOf(host.ruleset()))
  }
  const syncer = createSyncer({
    hands: { run, ensureCounters: host.ensureCounters },
    family: 'ipv4',
    variant,
    now: () => time,
    probeShare: 0.05,
    ...(variant === 'nft' && { strangers: { generations, fingerprint } }),
  })
  return {
    host,
    syncer,
    reads: () => reads,
    now: () => time,
    /** From now on reading never ends by itself. */
    readEndlessly: () => {
      endless = true
    },
    foreignWrite: (payload: string) => {
      host.restore(payload)
      commits += 1
    },
    /** As the daemon does, at the end of a pause. */
    look: () => {
      time += LOOK_EVERY_MS
      return syncer.check(NEVER)
    },
  }
}

function committed({ stdin = '' }: HandsCommand): number {
  const text = typeof stdin === 'string' ? stdin : Buffer.concat(stdin).toString()
  return text.match(/^COMMIT$/gm)?.length ?? 0
}

function fingerprintOf({ tables, family }: Ruleset): string {
  const all = [...tables].flatMap(([table, chains]) =>
    [...chains].map(([name, { rules }]) => ({ table, name, texts: rules.map((rule) => printRule(rule, family)) })),
  )
  return all
    .filter(({ name }) => name.startsWith('KUBE-'))
    .map(({ table, name, texts }) => {
      const leading = all.filter((other) => other.table === table).flatMap((other) => other.texts)
      return `${table} ${name} ${texts.length + leading.filter((text) => text.endsWith(`-j ${name}`)).length}`
    })
    .toSorted()
    .join('\n')
}

/** As table-sizes.ts has perl print it. */
function sizesOf({ tables }: Ruleset): string {
  return ['filter', 'mangle', 'nat']
    .map((table) => {
      let entries = 1
      for (const [name, { rules }] of tables.get(table) ?? []) {
        entries += rules.length + (name.startsWith('KUBE-') ? 2 : 1)
      }
      return `${table}${' 0'.repeat(11)} ${entries} ${entries * 200}\n`
    })
    .join('')
}

describe.for(['nft', 'legacy'] as const)('looking at iptables-%s', (variant) => {
  const program = createCompiler(CONFIG, NODE, 'ipv4')(manyServices(4, 2))
  const service =
    [...(link(program).tables.get('nat')?.keys() ?? [])].find((name) => name.startsWith('KUBE-SVC-')) ?? ''

  test('notices each of many damages at once, though reading is slow', async () => {
    const { host, syncer, foreignWrite, look } = createPlace(variant)
    await syncer.sync(program, NEVER)
    await look()
    for (let damage = 0; damage < 60; damage += 1) {
      foreignWrite(`*nat\n-F ${damage % 2 === 0 ? 'KUBE-SERVICES' : service}\nCOMMIT\n`)
      expect((await look()).findings, `damage ${damage}`).not.toEqual([])
      expect((await syncer.sync(program, NEVER)).drift).not.toEqual([])
      expectDesired(host, program)
    }
  })

  test('reads once for a damage, and nothing after its repair', async () => {
    const { syncer, foreignWrite, look, reads } = createPlace(variant)
    await syncer.sync(program, NEVER)
    await look()
    await look()
    const before = reads()
    foreignWrite('*nat\n-F KUBE-SERVICES\nCOMMIT\n')
    await look()
    await syncer.sync(program, NEVER)
    expect((await look()).findings).toEqual([])
    expect((await look()).findings).toEqual([])
    expect(reads() - before).toBe(1)
  })

  test('takes nothing for repaired that a stranger did between the reading and the repair', async () => {
    const { host, syncer, foreignWrite, look } = createPlace(variant)
    await syncer.sync(program, NEVER)
    await look()
    foreignWrite('*nat\n-F KUBE-SERVICES\nCOMMIT\n')
    await look()
    foreignWrite(`*nat\n-F ${service}\nCOMMIT\n`)
    await syncer.sync(program, NEVER)
    expect((await look()).findings).not.toEqual([])
    await syncer.sync(program, NEVER)
    expectDesired(host, program)
  })

  test('gives up a look that does not end, and syncs go on', async () => {
    const { host, syncer, foreignWrite, look, now, readEndlessly } = createPlace(variant)
    const compiler = createCompiler(CONFIG, NODE, 'ipv4')
    await syncer.sync(compiler(manyServices(4, 2)), NEVER)
    await look()
    readEndlessly()
    foreignWrite('*nat\n-A OUTPUT -m comment --comment foreign -j KUBE-MARK-MASQ\nCOMMIT\n')
    const before = now()
    await expect(look()).rejects.toThrow(/-save/)
    expect(now() - before).toBeLessThan(30_000)
    const next = compiler(manyServices(5, 2))
    expect((await syncer.sync(next, NEVER)).kind).toBe('partial')
    expectDesired(host, next)
  })

  test('does not read all the time because strangers write elsewhere all the time', async () => {
    const { syncer, foreignWrite, look, reads } = createPlace(variant)
    await syncer.sync(program, NEVER)
    await look()
    for (let write = 0; write < 600; write += 1) {
      foreignWrite(`*filter\n-A INPUT -s 192.0.2.1/32 -j ACCEPT\nCOMMIT\n`)
      await look()
    }
    // The first sync, and with iptables-nft the looks until the chains are known, which is five looks after our last write.
    // iptables-legacy can't tell whose its entries are: 15 s that add up at most, and 5% of 660 s.
    expect(reads()).toBeLessThan(variant === 'nft' ? 7 : 52)
  })
})
