import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  chunkOf,
  compile,
  createCompiler,
  diffPrograms,
  link,
  type Program,
  printRestore,
  printSave,
} from '../../src/index.ts'
import { nameServiceChains } from '../../src/iptables/names.ts'
import { compileEntries, countEntries } from '../../src/iptables/service-entries.ts'
import { FAMILIES } from '../../src/model/address.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { applyRestore } from '../support/apply-restore.ts'
import { arbitrarySnapshot } from '../support/arbitrary-cluster.ts'
import { applyEdits, arbitraryEdits } from '../support/arbitrary-edit.ts'
import { arbitrarySetting } from '../support/arbitrary-node.ts'

/** The rules after the change, as text: it has the chains by name, and keeps the order of the rules in each. */
function changed(before: Program, desired: Program): string {
  return printSave(applyRestore(link(before), printRestore(diffPrograms(desired, before))))
}

/** Two clusters, one of which came from the other by edits or has nothing to do with it. */
const pairOfSnapshots: fc.Arbitrary<readonly [Snapshot, Snapshot]> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(arbitrarySnapshot(), arbitraryEdits())
      .map(([first, edits]) => [first, applyEdits(first, edits)] as const),
  },
  { weight: 1, arbitrary: fc.tuple(arbitrarySnapshot(), arbitrarySnapshot()) },
)

describe.each(FAMILIES)('the change from one program of %s rules to another', (family) => {
  test('turns the rules of the first into exactly those of the second', () => {
    fc.assert(
      fc.property(arbitrarySetting(), pairOfSnapshots, ({ config, node }, [first, second]) => {
        const compiler = createCompiler(config, node, family)
        const before = compiler(first)
        const desired = compiler(second)
        expect(changed(before, desired)).toBe(printSave(link(desired)))
      }),
      { numRuns: 200 },
    )
  })

  test('does so when the node and the configuration change as well', () => {
    fc.assert(
      fc.property(arbitrarySetting(), arbitrarySetting(), pairOfSnapshots, (one, other, [first, second]) => {
        const before = compile(first, one.config, one.node, family)
        const desired = compile(second, other.config, other.node, family)
        expect(changed(before, desired)).toBe(printSave(link(desired)))
      }),
      { numRuns: 100 },
    )
  })

  test('is empty between equal programs, of one compiler or two', () => {
    fc.assert(
      fc.property(arbitrarySetting(), arbitrarySnapshot(), ({ config, node }, snapshot) => {
        const compiler = createCompiler(config, node, family)
        const program = compiler(snapshot)
        for (const other of [
          program,
          compiler(snapshot),
          compiler(structuredClone(snapshot)),
          compile(snapshot, config, node, family),
        ]) {
          expect(printRestore(diffPrograms(program, other))).toBe('')
          expect(diffPrograms(program, other).tables.size).toBe(0)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('mentions no chain of a ServicePort that did not change', () => {
    fc.assert(
      fc.property(arbitrarySetting(), arbitrarySnapshot(), arbitraryEdits(), ({ config, node }, first, edits) => {
        const compiler = createCompiler(config, node, family)
        const before = compiler(first)
        const desired = compiler(applyEdits(first, edits))
        // All endpoint rules change at the threshold of large clusters.
        fc.pre(before.settings === desired.settings)
        const words = new Set(printRestore(diffPrograms(desired, before)).split(/[\s:"]+/))
        for (const port of desired.servicePorts.filter((candidate) => before.servicePorts.includes(candidate))) {
          for (const { name } of chunkOf(desired, port).chains) expect(words.has(name)).toBe(false)
        }
      }),
      { numRuns: 100 },
    )
  })
})

test.each(FAMILIES)('the number of %s lines in shared chains is known without compiling them', (family) => {
  fc.assert(
    fc.property(arbitrarySetting(), arbitrarySnapshot(), ({ config, node }, snapshot) => {
      const { servicePorts, settings } = compile(snapshot, config, node, family)
      for (const servicePort of servicePorts) {
        const counted = new Map<string, number>()
        for (const { table, chain } of compileEntries({
          servicePort,
          settings,
          names: nameServiceChains(servicePort),
        })) {
          counted.set(`${table} ${chain}`, (counted.get(`${table} ${chain}`) ?? 0) + 1)
        }
        const known = Object.entries(countEntries(servicePort, settings)).filter(([, lines]) => lines !== 0)
        expect(new Map(known)).toEqual(counted)
      }
    }),
    { numRuns: 200 },
  )
})
