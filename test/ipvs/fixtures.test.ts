// What kube-proxy's own generator wanted in IPVS mode, before any kernel: rules, sets, virtual servers and addresses.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { canonicalise, link, printSave, type Ruleset } from '../../src/index.ts'
import { createIpvsCompiler } from '../../src/ipvs/compile.ts'
import { linkIpvs } from '../../src/ipvs/link.ts'
import { createIpvsLinker } from '../../src/ipvs/linker.ts'
import type { IpvsState, LinkedSet } from '../../src/ipvs/program.ts'
import { realServerKey, type VirtualServer } from '../../src/ipvs/virtual-server.ts'
import { formatEndpoint } from '../../src/model/address.ts'
import { applyRestore } from '../support/apply-restore.ts'
import {
  baseChains,
  createFixtureCluster,
  type FixtureConfig,
  familyOfFixture,
  readFixtureConfig,
  readFixtures,
} from '../support/kube-proxy-fixture.ts'

const FOLDER = path.join(import.meta.dirname, '..', 'data', 'kube-proxy-ipvs-fixtures')

/** What belongs to the fixture of the same name; each text as its lines. */
interface IpvsFixture {
  readonly config?: Partial<FixtureConfig>
  readonly steps: readonly Expected[]
}

interface Expected {
  readonly ipsets: readonly string[]
  readonly 'iptables-restore': readonly string[]
  readonly 'kube-ipvs0-addresses': readonly string[]
  readonly 'virtual-servers': readonly string[]
}

const fixtures = readFixtures().map((fixture) => {
  const text = readFileSync(path.join(FOLDER, `${fixture.name}.json`), 'utf8')
  const wanted = JSON.parse(text) as IpvsFixture
  return { ...fixture, config: { ...fixture.config, ...wanted.config }, expected: wanted.steps }
})

test('all 33 fixtures with 38 steps have expectations', () => {
  expect(fixtures).toHaveLength(33)
  expect(fixtures.flatMap((fixture) => fixture.expected)).toHaveLength(38)
})

describe.each(fixtures)('$name', ({ config, steps, expected }) => {
  const family = familyOfFixture(config)
  const { proxy, node } = readFixtureConfig(config)
  const takeStep = createFixtureCluster()
  const compile = createIpvsCompiler(proxy, node, family)
  const linkNext = createIpvsLinker()
  let kernel: Ruleset = { family, tables: baseChains() }

  const titled = steps.map((step, index) => ({ step, index, title: step.note ?? `step ${index + 1}` }))
  test.each(titled)('$title', ({ step, index }) => {
    const wanted = expected[index]
    if (wanted === undefined) throw new Error('this step has no expectation')
    const program = compile(takeStep(step))
    kernel = applyRestore(kernel, `${wanted['iptables-restore'].join('\n')}\n`)
    for (const state of [linkIpvs(program), linkNext(program).state]) {
      expect(printOwnChains(link(state.rules))).toBe(printOwnChains(kernel))
      expect([...state.sets.values()].map(showSet).toSorted()).toEqual(wanted.ipsets)
      expect(showServers(state)).toEqual(wanted['virtual-servers'])
      expect([...state.addresses].toSorted().join(' ')).toBe(wanted['kube-ipvs0-addresses'].join(' '))
    }
  })
})

/** Base chains are not in the texts: kube-proxy makes sure of jumps by commands of their own. */
function printOwnChains({ family, tables }: Ruleset): string {
  const own = [...tables].map(([name, chains]) => {
    const kept = [...chains].filter(([chain]) => chain.startsWith('KUBE-'))
    return [name, new Map(kept)] as const
  })
  return printSave(canonicalise({ family, tables: new Map(own) }))
}

function showSet({ header, entries }: LinkedSet): string {
  return `${header.name} ${header.type} [${[...entries.keys()].toSorted().join(' ')}]`
}

function showServers(state: IpvsState): readonly string[] {
  return [...state.virtualServers.values()].map(({ virtualServer }) => showServer(virtualServer)).toSorted()
}

function showServer(virtualServer: VirtualServer): string {
  const { protocol, address, port, scheduler, schedulerFlags, persistenceSeconds, realServers } = virtualServer
  const name = `${formatEndpoint(address, port)}/${protocol.toUpperCase()}`
  const flags = (persistenceSeconds === undefined ? 0 : 1) | (schedulerFlags.includes('mh-port') ? 0x10 : 0)
  const targets = realServers.map((server) => `${realServerKey(server)}/w${server.weight}`).toSorted()
  return `${name} sched=${scheduler} flags=0x${flags.toString(16)} timeout=${persistenceSeconds ?? 0} rs=[${targets.join(' ')}]`
}
