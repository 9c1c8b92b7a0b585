import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  canonicalise,
  compile,
  link,
  type Program,
  parseSave,
  printPayload,
  printSave,
  type Ruleset,
} from '../../src/index.ts'
import { isServiceChain } from '../../src/iptables/names.ts'
import { parseRule } from '../../src/iptables/parse-rule.ts'
import { type Chain, jumpTarget } from '../../src/iptables/rule.ts'
import { FAMILIES, type Family } from '../../src/model/address.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { applyRestore } from '../support/apply-restore.ts'
import { arbitrarySnapshot } from '../support/arbitrary-cluster.ts'
import { arbitrarySetting, type Setting } from '../support/arbitrary-node.ts'

/** A property of every program. */
function forAnyProgram(
  family: Family,
  numRuns: number,
  check: (program: Program, given: Setting & { snapshot: Snapshot }) => void,
): void {
  fc.assert(
    fc.property(arbitrarySetting(), arbitrarySnapshot(), (setting, snapshot) => {
      check(compile(snapshot, setting.config, setting.node, family), { ...setting, snapshot })
    }),
    { numRuns },
  )
}

function jumpsOf(ruleset: Ruleset, table: string): readonly string[] {
  return [...(ruleset.tables.get(table)?.values() ?? [])].flatMap(({ rules }) =>
    rules.flatMap((rule) => jumpTarget(rule) ?? []),
  )
}

function chainsOf(ruleset: Ruleset, table: string): readonly string[] {
  return [...(ruleset.tables.get(table)?.keys() ?? [])]
}

describe.each(FAMILIES)('any program of %s rules', (family) => {
  test('jumps only to chains of the same table', () => {
    forAnyProgram(family, 150, (program) => {
      const ruleset = link(program)
      for (const table of ruleset.tables.keys()) {
        const chains = new Set(chainsOf(ruleset, table))
        expect(jumpsOf(ruleset, table).filter((target) => !chains.has(target))).toEqual([])
      }
    })
  })

  test('has no chain of a Service that nothing refers to, while external IPs are allowed', () => {
    forAnyProgram(family, 150, (program, { config }) => {
      fc.pre(config.featureGates['AllowServiceExternalIPs'] !== false)
      expect(orphansOf(link(program))).toEqual([])
    })
  })

  test('has no such chain but KUBE-EXT when they are not', () => {
    forAnyProgram(family, 100, (program) => {
      const orphans = orphansOf(link(program))
      expect(orphans.filter((chain) => !chain.startsWith('KUBE-EXT-'))).toEqual([])
    })
  })

  test('has no chain of a Service that is empty', () => {
    forAnyProgram(family, 100, (program) => {
      const nat = link(program).tables.get('nat') ?? new Map<string, Chain>()
      const empty = [...nat].filter(([name, { rules }]) => isServiceChain(name) && rules.length === 0)
      expect(empty).toEqual([])
    })
  })

  test('has the jumps to node ports at the end of nat KUBE-SERVICES, and nowhere else in nat', () => {
    forAnyProgram(family, 150, (program) => {
      const rules = link(program).tables.get('nat')?.get('KUBE-SERVICES')?.rules ?? []
      const { nodePortAddresses } = program.settings
      const count = nodePortAddresses === 'local' ? 1 : nodePortAddresses.length
      const isJump = rules.map((rule) => jumpTarget(rule) === 'KUBE-NODEPORTS')
      expect(isJump).toEqual(isJump.map((_, index) => index >= isJump.length - count))
      expect(jumpsOf(link(program), 'nat').filter((target) => target === 'KUBE-NODEPORTS')).toHaveLength(count)
    })
  })

  test('loads from its payload into an empty machine as exactly its rules', () => {
    forAnyProgram(family, 150, (program) => {
      // applyRestore refuses a jump to a chain that no line before has made, as iptables-legacy does.
      const loaded = applyRestore({ family, tables: new Map() }, printPayload(program))
      expect(printSave(loaded)).toBe(printSave(link(program)))
      expect(new Set(loaded.tables.keys())).toEqual(new Set(link(program).tables.keys()))
    })
  })

  test('has a payload that declares every chain once, before its rules and before jumps to it', () => {
    forAnyProgram(family, 100, (program) => {
      for (const lines of printPayload(program)
        .split('COMMIT\n')
        .map((table) => table.split('\n'))) {
        const declared = lines.flatMap((line) => /^:(\S+) - \[0:0\]$/.exec(line)?.[1] ?? [])
        expect(declared).toEqual([...new Set(declared)])
        const places = new Map(declared.map((name) => [name, lines.indexOf(`:${name} - [0:0]`)]))
        const early = lines.filter((line, index) =>
          chainsNamed(line, family).some((name) => (places.get(name) ?? Number.POSITIVE_INFINITY) > index),
        )
        expect(early).toEqual([])
      }
    })
  })

  test('comes back the same from its saved text', () => {
    forAnyProgram(family, 150, (program) => {
      const ruleset = link(program)
      const { ruleset: read, issues } = parseSave(printSave(ruleset), family)
      expect(issues).toEqual([])
      expect(printSave(read)).toBe(printSave(ruleset))
      expect(read).toEqual(ruleset)
    })
  })

  test('is in canonical order already', () => {
    forAnyProgram(family, 100, (program) => {
      const text = printSave(canonicalise(link(program)))
      expect(printSave(canonicalise(parseSave(text, family).ruleset))).toBe(text)
      expect(text).toBe(printSave(link(program)))
    })
  })
})

function orphansOf(ruleset: Ruleset): readonly string[] {
  const referred = new Set(jumpsOf(ruleset, 'nat'))
  return chainsOf(ruleset, 'nat').filter((chain) => isServiceChain(chain) && !referred.has(chain))
}

/** The chain of ours that a rule line is for, and the one that it jumps to. */
function chainsNamed(line: string, family: Family): readonly string[] {
  const [, chain = '', rule = ''] = /^-[AI] (\S+) ?(.*)$/.exec(line) ?? []
  const target = rule === '' ? undefined : jumpTarget(parseRule(rule, family))
  return [chain, target ?? ''].filter((name) => name.startsWith('KUBE'))
}
