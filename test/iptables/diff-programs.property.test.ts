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
import { diffKernel } from '../../src/iptables/diff-kernel.ts'
import { readKernelText } from '../../src/iptables/kernel-text.ts'
import { nameServiceChains } from '../../src/iptables/names.ts'
import type { Ruleset } from '../../src/iptables/rule.ts'
import { compileEntries, countEntries } from '../../src/iptables/service-entries.ts'
import { FAMILIES } from '../../src/model/address.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { findRivals } from '../../src/resolve/conflicts.ts'
import { applyRestore } from '../support/apply-restore.ts'
import { arbitrarySnapshot } from '../support/arbitrary-cluster.ts'
import { applyEdits, arbitraryEdits } from '../support/arbitrary-edit.ts'
import { arbitrarySetting } from '../support/arbitrary-node.ts'
import { comparable } from '../support/comparable-rules.ts'
import { printKernel } from '../support/fake-host.ts'

function changed(before: Program, desired: Program): Ruleset {
  return applyRestore(link(before), printRestore(diffPrograms(desired, before)))
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
        expect(comparable(changed(before, desired), printSave)).toBe(comparable(link(desired), printSave))
      }),
      { numRuns: 200 },
    )
  })

  test('does so when the node and the configuration change as well', () => {
    fc.assert(
      fc.property(arbitrarySetting(), arbitrarySetting(), pairOfSnapshots, (one, other, [first, second]) => {
        const before = compile(first, one.config, one.node, family)
        const desired = compile(second, other.config, other.node, family)
        expect(comparable(changed(before, desired), printSave)).toBe(comparable(link(desired), printSave))
      }),
      { numRuns: 100 },
    )
  })

  test('does so whatever order the ServicePorts came in, change after change', () => {
    fc.assert(
      fc.property(
        arbitrarySetting(),
        arbitrarySnapshot(),
        fc.array(arbitraryEdits(), { minLength: 2, maxLength: 5 }),
        ({ config, node }, first, edits) => {
          const compiler = createCompiler(config, node, family)
          let snapshot = first
          let program = compiler(snapshot)
          let kernel = link(program)
          for (const edit of edits) {
            snapshot = applyEdits(snapshot, edit)
            const desired = compiler(snapshot)
            // With other settings the order in the kernel is not known from the program, and the kernel is read.
            const change =
              desired.settings === program.settings
                ? diffPrograms(desired, program)
                : diffKernel(desired, readKernelText(printKernel(kernel)))
            kernel = applyRestore(kernel, printRestore(change))
            program = desired
            expect(comparable(kernel, printSave)).toBe(comparable(link(desired), printSave))
            expect(diffKernel(desired, readKernelText(printKernel(kernel))).findings).toEqual([])
          }
        },
      ),
      { numRuns: 150 },
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

  test('mentions no chain of a ServicePort that did not change and has no rival', () => {
    fc.assert(
      fc.property(arbitrarySetting(), arbitrarySnapshot(), arbitraryEdits(), ({ config, node }, first, edits) => {
        const compiler = createCompiler(config, node, family)
        const before = compiler(first)
        const desired = compiler(applyEdits(first, edits))
        // All endpoint rules change at the threshold of large clusters.
        fc.pre(before.settings === desired.settings)
        const words = new Set(printRestore(diffPrograms(desired, before)).split(/[\s:"]+/))
        const rivals = findRivals(desired.servicePorts)
        for (const port of desired.servicePorts) {
          if (!before.servicePorts.includes(port) || rivals.has(port)) continue
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
