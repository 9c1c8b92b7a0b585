// The figures of a Program are counted without compiling it; here they are compared with what is compiled.
import { fc } from '@fast-check/vitest'
import { expect, test } from 'vitest'
import { compile, link } from '../../src/index.ts'
import { measureProgram } from '../../src/iptables/statistics.ts'
import { arbitrarySnapshot } from '../support/arbitrary-cluster.ts'
import { arbitrarySetting } from '../support/arbitrary-node.ts'

const family = fc.constantFrom('ipv4' as const, 'ipv6' as const)

test('chains and rules are as many as are compiled', () => {
  fc.assert(
    fc.property(arbitrarySnapshot(), arbitrarySetting(), family, (snapshot, { config, node }, ofFamily) => {
      const program = compile(snapshot, config, node, ofFamily)
      const { tables } = link(program)
      const figures = measureProgram(program)
      const chains = [...tables.values()].flatMap((table) => [...table.values()])
      expect(figures.chains).toBe(chains.filter((chain) => chain.policy === undefined).length)
      for (const [table, rules] of figures.rules) {
        const all = [...(tables.get(table)?.values() ?? [])]
        expect(rules).toBe(all.reduce((sum, chain) => sum + chain.rules.length, 0))
      }
    }),
    { numRuns: 300 },
  )
})
