// What the tests of the syncer know about Services, disturbances and what must be left of both.
import * as fc from 'fast-check'
import { expect } from 'vitest'
import { canonicalise, defaultProxyConfig, link, type Program, type ServiceEntry } from '../../src/index.ts'
import { printRule } from '../../src/iptables/print-rule.ts'
import type { Chain, Rule, Ruleset } from '../../src/iptables/rule.ts'
import type { SyncEvent } from '../../src/sync/sync-event.ts'
import { createSyncer, type Syncer } from '../../src/sync/syncer.ts'
import type { FakeFailure, FakeHost } from './fake-host.ts'
import { plainNode, serviceEntry } from './many-services.ts'

const SERVICES = 6
export const NODE = plainNode()
export const CONFIG = defaultProxyConfig()
export const NEVER = new AbortController().signal

/** A cluster of few Services of every shape. */
export const entries: fc.Arbitrary<readonly ServiceEntry[]> = fc
  .array(arbitraryEntry(), { maxLength: SERVICES })
  .map((all) => [...new Map(all.map((entry) => [entry.key, entry])).values()])

function arbitraryEntry(): fc.Arbitrary<ServiceEntry> {
  return fc
    .record({
      index: fc.integer({ min: 0, max: SERVICES - 1 }),
      endpoints: fc.subarray(['10.1.0.1', '10.1.0.2', '10.1.0.3']),
      nodePort: fc.boolean(),
      balanced: fc.boolean(),
      ranges: fc.boolean(),
      local: fc.boolean(),
      affinity: fc.boolean(),
    })
    .map(({ index, endpoints, nodePort, balanced, ranges, local, affinity }) =>
      serviceEntry(index, endpoints, 'ipv4', {
        type: 'LoadBalancer',
        ports: [{ name: 'p', protocol: 'tcp', port: 80, ...(nodePort && { nodePort: 30_000 + index }) }],
        loadBalancerIPs: balanced ? [`203.0.113.${index}` as never] : [],
        loadBalancerSourceRanges: ranges ? ['198.51.100.0/24' as never] : [],
        externalTrafficPolicy: local ? 'Local' : 'Cluster',
        ...(local && { healthCheckNodePort: 31_000 + index }),
        ...(affinity && { affinitySeconds: 10_800 }),
      }),
    )
}

export type Step =
  | { readonly kind: 'desire'; readonly entries: readonly ServiceEntry[] }
  | { readonly kind: 'sync' | 'restart' | 'read back' | 'check' }
  | { readonly kind: 'outside'; readonly seed: number }

export const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: entries.map((all): Step => ({ kind: 'desire', entries: all })) },
    { weight: 4, arbitrary: fc.constant<Step>({ kind: 'sync' }) },
    { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'restart' }, { kind: 'read back' }, { kind: 'check' }) },
    { weight: 3, arbitrary: fc.nat().map((seed): Step => ({ kind: 'outside', seed })) },
  ),
  { minLength: 1, maxLength: 20 },
)

/** One in ten commands fails: before it did anything, after it did all, or with its helper. */
export function seededFailures(seed: number): () => FakeFailure {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    const failures: readonly FakeFailure[] = ['before', 'after', 'part', 'locked', 'timeout', 'gone']
    return (state >> 8) % 10 === 0 ? (failures[(state >> 16) % failures.length] ?? 'none') : 'none'
  }
}

export function startSyncer(
  host: FakeHost,
  onEvent: (event: SyncEvent) => void = () => {},
  clock = { now: 0 },
): Syncer {
  return createSyncer({ hands: host, family: 'ipv4', variant: 'nft', now: () => clock.now, onEvent })
}

/** Something that other programs and people do. Foreign rules are marked, so that they can be told. */
export function disturb(host: FakeHost, seed: number): void {
  const foreign = `-m comment --comment "foreign ${seed}" -j ACCEPT`
  const ours = [...(host.ruleset().tables.get('nat')?.keys() ?? [])].filter((name) => name.startsWith('KUBE-'))
  const victim = ours[seed % Math.max(1, ours.length)]
  const payloads = [
    `*filter\n-I INPUT 1 ${foreign}\nCOMMIT\n`,
    `*nat\n-A PREROUTING ${foreign}\nCOMMIT\n`,
    `*nat\n:FOREIGN - [0:0]\n-A FOREIGN ${foreign}\nCOMMIT\n`,
    ...(victim === undefined
      ? []
      : [
          `*nat\n-A ${victim} -m comment --comment intruder -j ACCEPT\nCOMMIT\n`,
          `*nat\n-F ${victim}\nCOMMIT\n`,
          `*nat\n:KUBE-SVC-STALE - [0:0]\n:KUBE-SEP-STALE - [0:0]\n-A KUBE-SVC-STALE -j KUBE-SEP-STALE\nCOMMIT\n`,
          `*nat\n-A POSTROUTING -m comment --comment "foreign ${seed}" -j ${victim}\nCOMMIT\n`,
          flush(host.ruleset(), seed % 2 === 0 ? 'nat' : 'filter'),
        ]),
  ]
  try {
    host.restore(payloads[seed % payloads.length] ?? '')
  } catch {
    // Refused like anybody else's.
  }
}

/** All of a table but foreign rules. */
export function flush({ tables }: Ruleset, name: string): string {
  const chains = [...(tables.get(name) ?? new Map<string, Chain>())]
  const lines = chains.flatMap(([chain, { rules }]) =>
    rules.filter((rule) => !isForeign(rule)).map((rule) => `-D ${chain} ${printRule(rule, 'ipv4')}`),
  )
  return `*${name}\n${lines.join('\n')}\nCOMMIT\n`
}

function isForeign(rule: Rule): boolean {
  return printRule(rule, 'ipv4').includes('foreign')
}

/** In canonical order, by table and chain, foreign rules left out; of chains that are empty otherwise only those of ours. */
export function ownRules(ruleset: Ruleset): Map<string, readonly string[]> {
  const chains = new Map<string, readonly string[]>()
  for (const [table, all] of canonicalise(ruleset).tables) {
    for (const [name, { rules }] of all) {
      const own = rules.filter((rule) => !isForeign(rule)).map((rule) => printRule(rule, 'ipv4'))
      if (name.startsWith('KUBE-') || own.length > 0) chains.set(`${table} ${name}`, own)
    }
  }
  return chains
}

export function foreignRules(ruleset: Ruleset): readonly string[] {
  return [...ruleset.tables].flatMap(([table, chains]) =>
    [...chains].flatMap(([name, { rules }]) =>
      rules.filter(isForeign).map((rule) => `${table} ${name} ${printRule(rule, 'ipv4')}`),
    ),
  )
}

/** A stale chain that a foreign rule refers to is emptied and stays, and a desired chain is there with its rules. */
export function expectDesired(host: FakeHost, program: Program): void {
  const expected = ownRules(link(program))
  const actual = ownRules(host.ruleset())
  const referred = foreignRules(host.ruleset()).map((rule) => rule.split('-j ')[1])
  for (const [key, rules] of actual) {
    const isEmptied = rules.length === 0 && referred.includes(key.split(' ')[1])
    if (isEmptied && !expected.has(key)) actual.delete(key)
  }
  expect(byKey(actual)).toEqual(byKey(expected))
}

export async function syncUntilQuiet(syncer: Syncer, program: Program): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    try {
      const report = await syncer.sync(program, NEVER)
      if (report.isolated.length === 0) return
    } catch {
      // The next one reads the kernel.
    }
  }
  throw new Error('the syncer does not arrive')
}

function byKey(chains: ReadonlyMap<string, readonly string[]>): Map<string, readonly string[]> {
  return new Map([...chains].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

export function mentionedChains(payloads: readonly string[]): readonly string[] {
  let table = ''
  return payloads.flatMap((payload) =>
    payload.split('\n').flatMap((line) => {
      if (line.startsWith('*')) table = line.slice(1)
      const name = /^(?::|-[AIDX] )(\S+)/.exec(line)?.[1]
      return name === undefined ? [] : [`${table} ${name}`]
    }),
  )
}
