// The syncer on real iptables, in private network namespaces: what it keeps up to date step by step is what a fresh
// kernel gets in one step. Without root or tools the tests are skipped, but not in CI, where CI=true.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
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
import { FAMILIES, type Family } from '../../src/model/address.ts'
import type { SyncEvent } from '../../src/sync/sync-event.ts'
import { createSyncer, type Syncer, type SyncLimits } from '../../src/sync/syncer.ts'
import { type IptablesVariant, toolsOf } from '../../src/sync/variant.ts'
import { manyServices, plainNode, serviceEntry, snapshotOf } from '../support/many-services.ts'
import { createNetworkNamespace, type NetworkNamespace } from '../support/network-namespace.ts'
import { createNodeHands } from '../support/node-hands.ts'

const LOCK = path.join(tmpdir(), `sluice-syncer-xtables-${process.pid}.lock`)
const ENV = { ...process.env, XTABLES_LOCKFILE: LOCK }
const NEVER = new AbortController().signal
const CONFIG = defaultProxyConfig()
const NODE = plainNode()
const FOREIGN_COMMENT = 'foreign'

afterAll(() => rmSync(LOCK, { force: true }))

describe.for(['nft', 'legacy'] as const)('with iptables-%s', (variant) => {
  let namespace: NetworkNamespace | undefined
  let problem: string | undefined

  beforeAll(async () => {
    try {
      namespace = await createNetworkNamespace()
      const { status, stderr } = namespace.run([toolsOf(variant, 'ipv4').restore, '--noflush'], '*nat\nCOMMIT\n', ENV)
      if (status !== 0) problem = `iptables-${variant}-restore in a namespace: ${stderr}`
    } catch (error) {
      problem = String(error)
    }
  })
  afterAll(() => namespace?.close())

  function place(skip: (note: string) => void): NetworkNamespace {
    if (namespace !== undefined && problem === undefined) return namespace
    if (process.env['CI'] === 'true') throw new Error(`this test must run in CI, and ${problem}`)
    process.stderr.write(`SKIPPED: syncer with iptables-${variant}: ${problem}\n`)
    skip(problem ?? 'no namespace')
    throw new Error('skipped')
  }

  describe.for(FAMILIES)('and %s', (family) => {
    test('a kernel kept up to date step by step is that of one step, and foreign rules stay', async ({ skip }) => {
      const here = place(skip)
      clear(here, variant, family)
      addForeignRules(here, variant, family)
      const foreign = foreignLines(here, variant, family)
      const compiler = createCompiler(CONFIG, NODE, family)
      const syncer = startSyncer(here, variant, family)
      for (const [step, program] of randomPrograms(compiler, family, 12).entries()) {
        // Another program changes rules between our steps; the probe or the next reading finds it.
        if (step % 4 === 3) breakSomething(here, variant, family, step)
        if (step % 4 === 3) await syncer.readBack(NEVER)
        const report = await syncer.sync(program, NEVER)
        expect(report.isolated).toEqual([])
        expect((await syncer.check(NEVER)).findings).toEqual([])
        expect(ownRules(here, variant, family)).toEqual(rulesOf(program))
        expect(foreignLines(here, variant, family)).toEqual(foreign)
        expect((await startSyncer(here, variant, family).sync(program, NEVER)).kind).toBe('none')
      }
    })

    test('finds a flush, a deleted canary and a removed jump with the cheap look', async ({ skip }) => {
      const here = place(skip)
      clear(here, variant, family)
      const tool = toolsOf(variant, family).run
      const program = createCompiler(CONFIG, NODE, family)(manyServices(3, 2, family))
      const syncer = startSyncer(here, variant, family)
      await syncer.sync(program, NEVER)
      const injuries: readonly (readonly string[])[] = [
        [tool, '-t', 'nat', '-F'],
        [tool, '-t', 'mangle', '-X', 'KUBE-PROXY-CANARY'],
        [tool, '-t', 'nat', '-D', 'PREROUTING', '1'],
        [tool, '-t', 'filter', '-D', 'FORWARD', '2'],
      ]
      for (const injury of injuries) {
        expect((await syncer.check(NEVER)).findings).toEqual([])
        expect(here.run(injury, '', ENV).stderr).toBe('')
        expect((await syncer.check(NEVER)).findings.length).toBeGreaterThan(0)
        expect((await syncer.sync(program, NEVER)).drift?.length).toBeGreaterThan(0)
        expect(withoutOrderOfBase(ownRules(here, variant, family))).toEqual(withoutOrderOfBase(rulesOf(program)))
      }
    })

    test('programs all but the Service that the kernel refuses', async ({ skip }) => {
      const here = place(skip)
      clear(here, variant, family)
      // xt_recent takes no more than 2^31 - 1 seconds; iptables itself does not look at the name of a chain's list.
      const host = family === 'ipv4' ? '10.1.0.' : 'fd00:10::'
      const all = Array.from({ length: 9 }, (_, index) =>
        serviceEntry(index, [`${host}${index + 1}`], family, index === 4 ? { affinitySeconds: -5 } : {}),
      )
      const compiler = createCompiler(CONFIG, NODE, family)
      const report = await startSyncer(here, variant, family).sync(compiler(snapshotOf(all)), NEVER)
      expect(report.isolated).toEqual(['bench/svc00004:p tcp'])
      const others = compiler(snapshotOf(all.filter((_, index) => index !== 4)))
      expect(ownRules(here, variant, family)).toEqual(rulesOf(others))
    })
  })

  test('a cold start of 300 Services keeps the rules that were there, in an otherwise unused kernel too', async ({
    skip,
  }) => {
    const here = place(skip)
    const program = createCompiler(CONFIG, NODE, 'ipv4')(manyServices(300, 5))
    for (const hasForeign of [false, true]) {
      clear(here, variant, 'ipv4')
      if (hasForeign) addForeignRules(here, variant, 'ipv4')
      const foreign = foreignLines(here, variant, 'ipv4')
      await startSyncer(here, variant, 'ipv4').sync(program, NEVER)
      expect(ownRules(here, variant, 'ipv4')).toEqual(rulesOf(program))
      expect(foreignLines(here, variant, 'ipv4')).toEqual(foreign)
    }
  })

  test('a lock that is held for a while is waited for', async ({ skip }) => {
    const here = place(skip)
    clear(here, variant, 'ipv4')
    const holder = spawn('flock', [LOCK, 'sh', '-c', 'echo held; read until_closed'], { stdio: 'pipe' })
    await once(holder.stdout, 'data')
    const program = createCompiler(CONFIG, NODE, 'ipv4')(manyServices(3, 2))
    const events: SyncEvent[] = []
    const onEvent = (event: SyncEvent) => {
      events.push(event)
      if (event.kind === 'restore failed') holder.stdin.end()
    }
    const report = await startSyncer(here, variant, 'ipv4', onEvent).sync(program, NEVER)
    holder.stdin.end()
    expect(report.isolated).toEqual([])
    // iptables-nft takes no lock, and did not wait for its end.
    expect(events.some(({ kind }) => kind === 'restore failed')).toBe(variant === 'legacy')
    if (holder.exitCode === null) await once(holder, 'exit')
    expect(ownRules(here, variant, 'ipv4')).toEqual(rulesOf(program))
  })

  test('batches arrive where everything at once does', async ({ skip }) => {
    const here = place(skip)
    clear(here, variant, 'ipv4')
    addForeignRules(here, variant, 'ipv4')
    const foreign = foreignLines(here, variant, 'ipv4')
    const program = createCompiler(CONFIG, NODE, 'ipv4')(manyServices(100, 3))
    const events: SyncEvent[] = []
    // No restore of more than 600 lines ends in time.
    const limits = { restoreMs: (lines: number) => (lines > 600 ? 1 : 60_000), batchSize: 100 }
    const syncer = startSyncer(here, variant, 'ipv4', (event) => events.push(event), limits)
    await syncer.sync(program, NEVER)
    expect(events.filter(({ kind }) => kind === 'batch').length).toBeGreaterThan(4)
    expect(ownRules(here, variant, 'ipv4')).toEqual(rulesOf(program))
    expect(foreignLines(here, variant, 'ipv4')).toEqual(foreign)
  })
})

function startSyncer(
  namespace: NetworkNamespace,
  variant: IptablesVariant,
  family: Family,
  onEvent: (event: SyncEvent) => void = () => {},
  limits: Partial<SyncLimits> = {},
): Syncer {
  const hands = createNodeHands(namespace.prefix, ENV)
  return createSyncer({ hands, family, variant, now: () => performance.now(), onEvent, limits })
}

/** Endpoints, Services, ports and policies that come and go, from a fixed seed. */
function randomPrograms(
  compiler: (snapshot: ReturnType<typeof snapshotOf>) => Program,
  family: Family,
  count: number,
): readonly Program[] {
  let state = 7
  const random = (below: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return (state >> 8) % below
  }
  const host = family === 'ipv4' ? '10.1.0.' : 'fd00:10::'
  const vip = family === 'ipv4' ? '203.0.113.' : '2001:db8::'
  const entryOf = (index: number) => {
    const endpoints = Array.from({ length: random(4) }, (_, endpoint) => `${host}${endpoint + 1}`)
    return serviceEntry(index, endpoints, family, {
      type: 'LoadBalancer',
      ports: [{ name: 'p', protocol: 'tcp', port: 80, ...(random(2) === 0 && { nodePort: 30_000 + index }) }],
      loadBalancerIPs: random(2) === 0 ? [`${vip}${index + 1}` as never] : [],
      loadBalancerSourceRanges:
        random(2) === 0 ? [(family === 'ipv4' ? '198.51.100.0/24' : 'fd00:99::/64') as never] : [],
      externalTrafficPolicy: random(2) === 0 ? 'Local' : 'Cluster',
      ...(random(3) === 0 && { affinitySeconds: 10_800 }),
      ...(random(3) === 0 && { healthCheckNodePort: 31_000 + index }),
    })
  }
  const entries = new Map(Array.from({ length: 20 }, (_, index) => [index, entryOf(index)]))
  return Array.from({ length: count }, () => {
    for (let change = random(5); change >= 0; change -= 1) {
      const index = random(24)
      if (random(4) === 0) entries.delete(index)
      else entries.set(index, entryOf(index))
    }
    return compiler(snapshotOf([...entries.values()]))
  })
}

function breakSomething(here: NetworkNamespace, variant: IptablesVariant, family: Family, step: number): void {
  const tool = toolsOf(variant, family).run
  const { stdout } = here.run([tool, '-t', 'nat', '-S'], '', ENV)
  const chains = stdout.split('\n').filter((line) => line.startsWith('-N KUBE-SVC'))
  const chain = chains[step]?.slice('-N '.length)
  here.run([tool, '-t', 'nat', '-F', chain ?? 'KUBE-SERVICES'], '', ENV)
  here.run([tool, '-t', 'filter', '-A', 'KUBE-FORWARD', '-j', 'RETURN'], '', ENV)
  here.run([tool, '-t', 'nat', '-D', 'KUBE-SERVICES', '2'], '', ENV)
  here.run([tool, '-t', 'nat', '-N', 'KUBE-SVC-AAAAAAAAAAAAAAAA'], '', ENV)
}

function clear(here: NetworkNamespace, variant: IptablesVariant, family: Family): void {
  if (variant === 'nft') {
    here.run(['nft', 'flush', 'ruleset'])
    return
  }
  for (const table of ['mangle', 'filter', 'nat']) {
    here.run([toolsOf(variant, family).run, '-t', table, '-F'], '', ENV)
    here.run([toolsOf(variant, family).run, '-t', table, '-X'], '', ENV)
  }
}

function addForeignRules(here: NetworkNamespace, variant: IptablesVariant, family: Family): void {
  const rule = (number: number) => `-m comment --comment "${FOREIGN_COMMENT} ${number}" -j ACCEPT`
  const payload = [
    '*filter',
    ':FOREIGN - [0:0]',
    `-A FOREIGN ${rule(1)}`,
    `-A INPUT ${rule(2)}`,
    `-A FORWARD ${rule(3)}`,
    'COMMIT',
    '*nat',
    `-A PREROUTING ${rule(4)}`,
    `-A POSTROUTING ${rule(5)}`,
    'COMMIT',
    '',
  ]
  const { status, stderr } = here.run([toolsOf(variant, family).restore, '--noflush'], payload.join('\n'), ENV)
  expect(stderr).toBe('')
  expect(status).toBe(0)
}

function foreignLines(here: NetworkNamespace, variant: IptablesVariant, family: Family): readonly string[] {
  const lines = here.run([toolsOf(variant, family).save], '', ENV).stdout.split('\n')
  return lines.filter((line) => line.includes(FOREIGN_COMMENT))
}

/** The rules of our chains, in canonical order, and ours in base chains, by table and chain. */
function ownRules(here: NetworkNamespace, variant: IptablesVariant, family: Family): Map<string, readonly string[]> {
  return describeOwn(parseSave(here.run([toolsOf(variant, family).save], '', ENV).stdout, family).ruleset)
}

function rulesOf(program: Program): Map<string, readonly string[]> {
  return describeOwn(link(program))
}

function describeOwn(ruleset: Ruleset): Map<string, readonly string[]> {
  const chains: [string, readonly string[]][] = []
  for (const [table, all] of canonicalise(ruleset).tables) {
    for (const [name, { rules }] of all) {
      const texts = rules
        .map((rule) => printRule(rule, ruleset.family))
        .filter((text) => !text.includes(FOREIGN_COMMENT))
      if (name.startsWith('KUBE-') || texts.length > 0) chains.push([`${table} ${name}`, texts])
    }
  }
  return new Map(chains.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** A jump that was put back stands at the top. */
function withoutOrderOfBase(chains: Map<string, readonly string[]>): Map<string, readonly string[]> {
  return new Map([...chains].map(([key, rules]) => [key, key.includes('KUBE-') ? rules : rules.toSorted()]))
}
