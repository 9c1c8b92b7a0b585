// What kube-proxy's own generator wrote for iptables-restore, before any kernel: the same rules, chain by chain.
import { describe, expect, test } from 'vitest'
import { canonicalise, compile, link, type Program, printSave, type Ruleset } from '../../src/index.ts'
import { compileStatic } from '../../src/iptables/static.ts'
import { applyRestore } from '../support/apply-restore.ts'
import {
  baseChains,
  createFixtureCluster,
  type FixtureConfig,
  familyOfFixture,
  readFixtureConfig,
  readFixtures,
} from '../support/kube-proxy-fixture.ts'

const fixtures = readFixtures()

test('all 33 fixtures with 38 texts are here', () => {
  expect(fixtures).toHaveLength(33)
  expect(fixtures.flatMap((fixture) => fixture.steps)).toHaveLength(38)
})

describe.each(fixtures)('$name', ({ config, steps }) => {
  const family = familyOfFixture(config)
  const { proxy, node } = readFixtureConfig(config)
  const takeStep = createFixtureCluster()
  let kernel: Ruleset = { family, tables: baseChains() }

  test.each(steps.map((step, index) => ({ ...step, title: step.note ?? `step ${index + 1}` })))('$title', (step) => {
    const snapshot = takeStep(step)
    kernel = applyRestore(kernel, step.expected['iptables-restore'])
    const program = withLocalhostNodePorts(compile(snapshot, proxy, node, family), config)
    expect(printServiceTables(link(program))).toBe(printServiceTables(kernel))
  })
})

/**
 * The fixtures were made with this decision given, past the check of nodePortAddresses that comes before it; the recorded
 * case config-variants-nodeport-cidr shows the same addresses with the check.
 */
function withLocalhostNodePorts(program: Program, { localhostNodePorts }: FixtureConfig): Program {
  const settings = { ...program.settings, localhostNodePorts: localhostNodePorts && program.family === 'ipv4' }
  return { ...program, settings, static: compileStatic(settings) }
}

/** filter and nat without base chains and canaries, which the texts do not have. */
function printServiceTables({ family, tables }: Ruleset): string {
  const kept = ['filter', 'nat'].map((name) => {
    const chains = [...(tables.get(name) ?? [])].filter(
      ([chain]) => chain.startsWith('KUBE-') && chain !== 'KUBE-PROXY-CANARY',
    )
    return [
      name,
      new Map(chains.filter(([chain, { rules }]) => chain !== 'KUBE-FIREWALL' || rules.length > 0)),
    ] as const
  })
  return printSave(canonicalise({ family, tables: new Map(kept) }))
}
