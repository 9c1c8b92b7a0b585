import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile, defaultProxyConfig, type Program, printRestore } from '../../src/index.ts'
import { diffKernel } from '../../src/iptables/diff-kernel.ts'
import { readKernelText } from '../../src/iptables/kernel-text.ts'
import type { Ruleset } from '../../src/iptables/rule.ts'
import { type ChangeStep, halveStep, splitChange } from '../../src/iptables/split-change.ts'
import { applyRestore } from '../support/apply-restore.ts'
import { printKernel } from '../support/fake-host.ts'
import { plainNode, snapshotOf } from '../support/many-services.ts'
import { entries } from '../support/syncer-model.ts'

const NOTHING = applyRestore({ family: 'ipv4', tables: new Map() }, '*mangle\nCOMMIT\n*filter\nCOMMIT\n*nat\nCOMMIT\n')
const program = entries.map((all) => compile(snapshotOf(all), defaultProxyConfig(), plainNode(), 'ipv4'))

/** A kernel that holds a program, or no rules at all. */
function kernelOf(held: Program | undefined): Ruleset {
  return held === undefined ? NOTHING : applyRestore(NOTHING, printRestore(differenceTo(held, NOTHING)))
}

function differenceTo(desired: Program, kernel: Ruleset) {
  return diffKernel(desired, readKernelText(printKernel(kernel)))
}

describe('a change in small steps', () => {
  test('leads to the same rules as the whole, and no step is refused', () => {
    fc.assert(
      fc.property(
        program,
        fc.option(program, { nil: undefined }),
        fc.integer({ min: 1, max: 9 }),
        (desired, held, size) => {
          const before = kernelOf(held)
          const change = differenceTo(desired, before)
          const after = splitChange(change, desired, size).reduce(
            (kernel, step) => applyRestore(kernel, printRestore(step.change())),
            before,
          )
          expect(differenceTo(desired, after).findings).toEqual([])
          expect(chainCount(after)).toBe(chainCount(applyRestore(before, printRestore(change))))
        },
      ),
    )
  })

  test('may be interrupted and repeated, as far as it says so, and in halves', () => {
    fc.assert(
      fc.property(
        program,
        fc.option(program, { nil: undefined }),
        fc.infiniteStream(fc.nat(2)),
        (desired, held, luck) => {
          const before = kernelOf(held)
          const steps: ChangeStep[] = [...splitChange(differenceTo(desired, before), desired, 6)]
          let kernel = before
          for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
            kernel = applyRestore(kernel, printRestore(step.change()))
            // It was done, but nobody knows.
            const halves = luck.next().value === 0 ? halveStep(step) : undefined
            if (halves !== undefined) steps.unshift(...halves)
          }
          expect(differenceTo(desired, kernel).findings).toEqual([])
        },
      ),
    )
  })
})

function chainCount({ tables }: Ruleset): number {
  return [...tables.values()].reduce((sum, table) => sum + table.size, 0)
}
