// Another program writes to the same tables all the time, while sluice starts cold, rewrites everything, and makes small
// changes: none of its rules is ever lost, and sluice's rules are right in the end. SLUICE_LONG=1 makes at least 1,000
// foreign writes for each variant, else it is about 100. Without root or tools it is skipped, but not with CI=true.
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  canonicalise,
  createCompiler,
  defaultProxyConfig,
  link,
  type Program,
  parseSave,
  printRule,
} from '../../src/index.ts'
import type { Ruleset } from '../../src/iptables/rule.ts'
import type { SyncEvent } from '../../src/sync/sync-event.ts'
import { createSyncer, type SyncLimits } from '../../src/sync/syncer.ts'
import { toolsOf } from '../../src/sync/variant.ts'
import { startForeignWriter } from '../support/foreign-writer.ts'
import { endpointIps, manyServices, plainNode, serviceEntry, snapshotOf } from '../support/many-services.ts'
import { createNetworkNamespace, type NetworkNamespace } from '../support/network-namespace.ts'
import { createNodeHands } from '../support/node-hands.ts'

const LONG = process.env['SLUICE_LONG'] === '1'
const WRITES = LONG ? 1_000 : 100
/**
 * Large enough that a cold start takes longer than the pause between two foreign writes. With iptables-nft not more:
 * iptables-nft-save begins again whenever somebody writes while it reads, so where reading takes longer than the pause
 * it never ends, whoever asks for it: at 2,000 Services it was ended after 120 s.
 */
const SERVICES = { nft: 200, legacy: 400 } as const
/** Chains; all have 8 lines at most. */
const BATCH_SIZE = 300
const TIMEOUT_MS = LONG ? 1_800_000 : 600_000
const LOCK = path.join(tmpdir(), `sluice-foreign-xtables-${process.pid}.lock`)
const ENV = { ...process.env, XTABLES_LOCKFILE: LOCK }
const NEVER = new AbortController().signal

afterAll(() => rmSync(LOCK, { force: true }))

describe.for(['nft', 'legacy'] as const)('beside a program that writes with iptables-%s', (variant) => {
  let namespace: NetworkNamespace | undefined
  let problem: string | undefined
  const services = SERVICES[variant]
  const { save, restore } = toolsOf(variant, 'ipv4')
  const compiler = createCompiler(defaultProxyConfig(), plainNode(), 'ipv4')

  beforeAll(async () => {
    try {
      namespace = await createNetworkNamespace()
      const { status, stderr } = namespace.run([restore, '--noflush'], '*nat\nCOMMIT\n*filter\nCOMMIT\n', ENV)
      if (status !== 0) problem = `${restore} in a namespace: ${stderr}`
    } catch (error) {
      problem = String(error)
    }
  })
  afterAll(() => namespace?.close())

  function place(skip: (note: string) => void): NetworkNamespace {
    if (namespace !== undefined && problem === undefined) return namespace
    if (process.env['CI'] === 'true') throw new Error(`this test must run in CI, and ${problem}`)
    process.stderr.write(`SKIPPED: foreign writers with iptables-${variant}: ${problem}\n`)
    skip(problem ?? 'no namespace')
    throw new Error('skipped')
  }

  function startSyncer(here: NetworkNamespace, limits: Partial<SyncLimits> = {}) {
    const events: SyncEvent[] = []
    const hands = createNodeHands(here.prefix, ENV)
    const onEvent = (event: SyncEvent) => void events.push(event)
    return {
      events,
      syncer: createSyncer({ hands, family: 'ipv4', variant, now: () => performance.now(), onEvent, limits }),
    }
  }

  /** Takes our rules away, and nobody else's. */
  function removeOurs(here: NetworkNamespace): void {
    const text = here.run([save], '', ENV).stdout
    const tables = text
      .split('*')
      .slice(1)
      .map((part) => {
        const lines = part.split('\n')
        const chains = lines
          .filter((line) => line.startsWith(':KUBE-'))
          .map((line) => line.slice(1).split(' ', 1)[0] ?? '')
        const jumps = lines
          .filter((line) => /^-A (?!KUBE-).* -j KUBE-/.test(line))
          .map((line) => line.replace(/^-A/, '-D'))
        const heads = chains.map((chain) => `:${chain} - [0:0]`)
        return [`*${lines[0]}`, ...heads, ...jumps, ...chains.map((chain) => `-X ${chain}`), 'COMMIT'].join('\n')
      })
    const { stderr, status } = here.run([restore, '-w', '60', '--noflush'], `${tables.join('\n')}\n`, ENV)
    expect(`${status} ${stderr}`).toBe('0 ')
  }

  function changed(round: number): Program {
    const entries = manyServices(services, 5).services.map((entry, index) =>
      index % 97 === round % 97 ? serviceEntry(index, endpointIps(index + services, 5)) : entry,
    )
    return compiler(snapshotOf(entries.filter((_, index) => index !== round)))
  }

  test(`no rule is lost in at least ${WRITES} foreign writes`, { timeout: TIMEOUT_MS }, async ({ skip }) => {
    const here = place(skip)
    const writer = await startForeignWriter(here, { variant, pause: '0.1', env: ENV })
    const done = { coldStarts: 0, updates: 0, rewrites: 0 }
    const tell = createTeller(variant)
    let last = compiler(manyServices(services, 5))
    let { syncer } = startSyncer(here)
    for (let round = 0; writer.writes < WRITES || round < 4; round += 1) {
      const phase = PHASES[round % PHASES.length] ?? 'updates'
      const before = performance.now()
      if (phase === 'coldStarts') {
        removeOurs(here)
        syncer = startSyncer(here).syncer
      } else if (phase === 'rewrites') {
        here.run([toolsOf(variant, 'ipv4').run, '-w', '60', '-t', 'nat', '-F', 'KUBE-SERVICES'], '', ENV)
        syncer.forget()
      }
      done[phase] += 1
      last = changed(round)
      const prepared = performance.now()
      await syncer.sync(last, NEVER)
      tell(`round ${round}, ${phase}`, writer.writes, [prepared - before, performance.now() - prepared])
    }
    const written = writer.writes
    const lasting = await writer.stop()
    expect(writer.complaints).toEqual([])
    expect(foreignRules(here.run([save], '', ENV).stdout)).toEqual(lasting.toSorted())
    expect(ownRules(here.run([save], '', ENV).stdout)).toEqual(describeOwn(link(last)))
    expect(written).toBeGreaterThanOrEqual(WRITES)
    process.stderr.write(`foreign writes with iptables-${variant}: ${written}, beside ${JSON.stringify(done)}\n`)
  })

  // Whether a large restore ever gets through beside the loop is a matter of luck, so that it does not is arranged too.
  test.for([
    {
      limits: 'what a large restore takes when it is alone',
      restoreMs: (lines: number) => 500 + lines / 10,
      fewestBatches: 0,
    },
    {
      limits: 'enough for small restores only',
      restoreMs: (lines: number) => (lines > 8 * BATCH_SIZE ? 1 : 30_000),
      fewestBatches: 3,
    },
  ])(
    'beside a tight loop everything is programmed, with a limit of $limits',
    { timeout: TIMEOUT_MS },
    async ({ restoreMs, fewestBatches }, { skip }) => {
      const here = place(skip)
      removeOurs(here)
      const writer = await startForeignWriter(here, { variant, pause: '0', env: ENV })
      const { syncer, events } = startSyncer(here, { restoreMs, batchSize: BATCH_SIZE })
      const program = compiler(manyServices(services, 5))
      for (let attempts = 0; ; attempts += 1) {
        try {
          await syncer.sync(program, NEVER)
          break
        } catch (error) {
          // As the daemon does: it tries again after a failure.
          if (attempts === 5) throw error
        }
      }
      const lasting = await writer.stop()
      expect(writer.complaints).toEqual([])
      const saved = here.run([save], '', ENV).stdout
      expect(foreignRules(saved)).toEqual(lasting.toSorted())
      expect(ownRules(saved)).toEqual(describeOwn(link(program)))
      const batches = events.filter(({ kind }) => kind === 'batch').length
      expect(batches).toBeGreaterThanOrEqual(fewestBatches)
      process.stderr.write(`a tight loop of iptables-${variant}: ${writer.writes} foreign writes, ${batches} batches\n`)
    },
  )
})

const PHASES = ['coldStarts', 'updates', 'rewrites', 'updates'] as const
const TELL_EVERY_MS = 5_000

/** Says how far a test has come, now and then. */
function createTeller(variant: string): (what: string, writes: number, took: readonly number[]) => void {
  const started = performance.now()
  let told = started
  return (what, writes, [preparing = 0, syncing = 0]) => {
    const now = performance.now()
    if (now - told < TELL_EVERY_MS) return
    told = now
    const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
    process.stderr.write(
      `iptables-${variant}, after ${seconds(now - started)}: ${writes} of ${WRITES} foreign writes; ${what}: ` +
        `${seconds(preparing)} to prepare, ${seconds(syncing)} to sync\n`,
    )
  }
}

/** Rules that do not lead to us and are in no chain of ours, sorted: chains come in the order of their hash. */
function foreignRules(saved: string): readonly string[] {
  return saved
    .split('\n')
    .filter((line) => line.startsWith('-A ') && line.includes('192.0.2.'))
    .toSorted()
}

function ownRules(saved: string): ReadonlyMap<string, readonly string[]> {
  return describeOwn(parseSave(saved, 'ipv4').ruleset)
}

/** By table and chain in canonical order; in base chains, where the foreign rules are, without them and in any order. */
function describeOwn(ruleset: Ruleset): ReadonlyMap<string, readonly string[]> {
  const chains: [string, readonly string[]][] = []
  for (const [table, all] of canonicalise(ruleset).tables) {
    for (const [name, { rules }] of all) {
      const texts = rules.map((rule) => printRule(rule, ruleset.family))
      if (name.startsWith('KUBE-')) chains.push([`${table} ${name}`, texts])
      else {
        const ours = texts.filter((text) => text.includes('-j KUBE-'))
        if (ours.length > 0) chains.push([`${table} ${name}`, ours.toSorted()])
      }
    }
  }
  return new Map(chains.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
