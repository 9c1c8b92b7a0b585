import { describe, expect, test } from 'vitest'
import { diffRulesets } from '../../src/iptables/diff.ts'
import { parseSave } from '../../src/iptables/parse.ts'
import { printSave } from '../../src/iptables/print.ts'
import { printRestore } from '../../src/iptables/restore.ts'
import type { Ruleset } from '../../src/iptables/rule.ts'
import { applyRestore, RestoreRefused } from '../support/apply-restore.ts'
import { comparable } from '../support/comparable-rules.ts'

function nat(...lines: readonly string[]): Ruleset {
  const { ruleset, issues } = parseSave(`*nat\n${lines.join('\n')}\nCOMMIT\n`, 'ipv4')
  expect(issues).toEqual([])
  return ruleset
}

function payload(desired: Ruleset, actual: Ruleset, ...rivals: readonly string[]): string {
  const isShared = (_table: string, chain: string): boolean => chain === 'KUBE-SERVICES'
  return printRestore(diffRulesets(desired, actual, { isShared, rivals: new Set(rivals) }))
}

function shared(...comments: readonly string[]): Ruleset {
  return nat(':KUBE-SERVICES -', ...comments.map((name) => line('-A KUBE-SERVICES', name).trimEnd()))
}

/** Small letters are names of Services, `a2` the second line of `a`; capitals are lines of nobody. */
function line(command: string, name: string): string {
  const [service = '', number = ''] = name
  return service === service.toLowerCase()
    ? `${command} -m comment --comment "ns/${service}:p ${number}" -j DROP\n`
    : `${command} -m comment --comment ${name} -j ACCEPT\n`
}

describe('the change between two sets of rules', () => {
  test('is empty when nothing differs', () => {
    expect(payload(shared('a', 'b'), shared('a', 'b'))).toBe('')
  })

  test('rewrites a private chain whole', () => {
    const before = nat(':KUBE-SVC-A -', ':KUBE-SVC-B -', '-A KUBE-SVC-A -j ACCEPT', '-A KUBE-SVC-B -j ACCEPT')
    const after = nat(
      ':KUBE-SVC-A -',
      ':KUBE-SVC-B -',
      '-A KUBE-SVC-A -j ACCEPT',
      '-A KUBE-SVC-B -j DROP',
      '-A KUBE-SVC-B -j RETURN',
    )
    expect(payload(after, before)).toBe(
      '*nat\n:KUBE-SVC-B - [0:0]\n-A KUBE-SVC-B -j DROP\n-A KUBE-SVC-B -j RETURN\nCOMMIT\n',
    )
  })

  test('makes chains before it jumps to them, and deletes those of gone services last', () => {
    const before = nat(
      ':KUBE-SERVICES -',
      ':KUBE-SVC-A -',
      ':KUBE-SEP-A -',
      ':KUBE-MARK-MASQ -',
      '-A KUBE-SERVICES -m comment --comment "ns/a:p cluster IP" -j KUBE-SVC-A',
      '-A KUBE-SERVICES -s 10.0.0.1/32 -j RETURN',
      '-A KUBE-SVC-A -j KUBE-SEP-A',
      '-A KUBE-SEP-A -j ACCEPT',
    )
    const after = nat(
      ':KUBE-SERVICES -',
      ':KUBE-SVC-B -',
      '-A KUBE-SERVICES -m comment --comment "ns/b:p cluster IP" -j KUBE-SVC-B',
      '-A KUBE-SERVICES -s 10.0.0.1/32 -j RETURN',
      '-A KUBE-SVC-B -j ACCEPT',
    )
    expect(payload(after, before)).toBe(`*nat
:KUBE-SVC-B - [0:0]
:KUBE-SEP-A - [0:0]
:KUBE-SVC-A - [0:0]
-A KUBE-SVC-B -j ACCEPT
-D KUBE-SERVICES -m comment --comment "ns/a:p cluster IP" -j KUBE-SVC-A
-I KUBE-SERVICES 1 -m comment --comment "ns/b:p cluster IP" -j KUBE-SVC-B
-X KUBE-SEP-A
-X KUBE-SVC-A
COMMIT
`)
  })

  test('empties a chain of a gone service that a chain of somebody else refers to', () => {
    const before = nat(':KUBE-SVC-A -', ':OTHER -', '-A KUBE-SVC-A -j ACCEPT', '-A OTHER -j KUBE-SVC-A')
    expect(payload(nat(':KUBE-SERVICES -'), before)).toBe('*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-A - [0:0]\nCOMMIT\n')
  })

  test('takes single lines in a shared chain, and puts what is new at its top', () => {
    const before = shared('a', 'b', 'c', 'd', 'e', 'J')
    const after = shared('a', 'c', 'x', 'd', 'e', 'y', 'J')
    const edits = line('-D KUBE-SERVICES', 'b') + line('-I KUBE-SERVICES 1', 'y') + line('-I KUBE-SERVICES 1', 'x')
    expect(payload(after, before)).toBe(`*nat\n${edits}COMMIT\n`)
  })

  test('is empty when only the order of Services is another', () => {
    expect(payload(shared('a', 'b', 'b2', 'c', 'J'), shared('b', 'c', 'a', 'b2', 'J'))).toBe('')
  })

  test('keeps the order of lines of one Service', () => {
    const edits = line('-D KUBE-SERVICES', 'b2') + line('-I KUBE-SERVICES 1', 'b2')
    expect(payload(shared('a', 'b2', 'b', 'c'), shared('a', 'b', 'b2', 'c'))).toBe(`*nat\n${edits}COMMIT\n`)
  })

  test('puts a line of one Service above a later one of it only with those that stand above it', () => {
    const edits = line('-D KUBE-SERVICES', 'b') + line('-I KUBE-SERVICES 1', 'b2') + line('-I KUBE-SERVICES 1', 'b')
    expect(payload(shared('a', 'b', 'b2', 'b3', 'c'), shared('a', 'b', 'b3', 'c'))).toBe(`*nat\n${edits}COMMIT\n`)
  })

  test('keeps the order of Services that are rivals', () => {
    const edits = line('-D KUBE-SERVICES', 'b') + line('-I KUBE-SERVICES 1', 'b')
    const rivals = ['ns/b:p', 'ns/d:p']
    expect(payload(shared('a', 'b', 'c', 'd'), shared('a', 'd', 'c', 'b'), ...rivals)).toBe(`*nat\n${edits}COMMIT\n`)
    expect(payload(shared('a', 'b', 'c', 'd'), shared('a', 'd', 'c', 'b'))).toBe('')
  })

  test.for([
    [['J', 'a', 'b'], 'J'],
    [['a', 'J', 'b'], 'J'],
  ] as const)('puts the lines of nobody last again: %j', ([from, misplaced]) => {
    const edits = line('-D KUBE-SERVICES', misplaced) + line('-I KUBE-SERVICES 3', misplaced)
    expect(payload(shared('a', 'b', 'J'), shared(...from))).toBe(`*nat\n${edits}COMMIT\n`)
  })

  test("deletes a stranger's line, wherever it stands", () => {
    const edits = line('-D KUBE-SERVICES', 'X') + line('-D KUBE-SERVICES', 'Y')
    expect(payload(shared('a', 'b', 'J'), shared('X', 'a', 'b', 'J', 'Y'))).toBe(`*nat\n${edits}COMMIT\n`)
  })

  test('rewrites a shared chain when that takes fewer lines', () => {
    expect(payload(shared('x'), shared('a', 'b', 'c'))).toBe(
      `*nat\n:KUBE-SERVICES - [0:0]\n${line('-A KUBE-SERVICES', 'x')}COMMIT\n`,
    )
  })

  // -D takes the first of equal rules, wherever the superfluous one stands.
  test.for([
    [['a', 'a'], ['a']],
    [
      ['a', 'b', 'a', 'c'],
      ['a', 'b', 'c'],
    ],
    [
      ['a', 'a2', 'a', 'c'],
      ['a2', 'a', 'c'],
    ],
    [
      ['J', 'a', 'J', 'J'],
      ['a', 'J'],
    ],
    [
      ['a', 'b', 'a', 'b', 'c', 'd', 'e', 'f'],
      ['a', 'b', 'c', 'd', 'e', 'f'],
    ],
    [
      ['a', 'b', 'c'],
      ['a', 'b', 'b', 'c'],
    ],
  ] as const)('brings %j to %j though rules repeat', ([from, to]) => {
    const after = applyRestore(shared(...from), payload(shared(...to), shared(...from)))
    const rules = (set: Ruleset) => JSON.stringify(set.tables.get('nat')?.get('KUBE-SERVICES'))
    expect(comparable(after, rules)).toBe(comparable(shared(...to), rules))
  })

  test('inserts what a base chain lacks at its top, in order, and touches nothing else there', () => {
    const before = nat(':OUTPUT ACCEPT', ':KUBE-A -', ':KUBE-B -', '-A OUTPUT -j ACCEPT', '-A OUTPUT -j KUBE-A')
    const after = nat(
      ':OUTPUT DROP',
      ':KUBE-A -',
      ':KUBE-B -',
      '-A OUTPUT -j KUBE-B',
      '-A OUTPUT -j KUBE-A',
      '-A OUTPUT -j RETURN',
    )
    expect(payload(after, before)).toBe('*nat\n-I OUTPUT 1 -j KUBE-B\n-I OUTPUT 2 -j RETURN\nCOMMIT\n')
  })

  test('does not need a table to be there', () => {
    const desired = nat(':OUTPUT ACCEPT', ':KUBE-A -', '-A OUTPUT -j KUBE-A')
    const empty: Ruleset = { family: 'ipv4', tables: new Map() }
    const after = applyRestore(empty, payload(desired, empty))
    expect(printSave(after)).toContain('-A OUTPUT -j KUBE-A')
    expect(payload(desired, after)).toBe('')
  })

  test('is found at once when the objects are the same', () => {
    const rules = new Proxy([], {
      get: () => {
        throw new Error('the rules of an unchanged chain were read')
      },
    })
    const one: Ruleset = { family: 'ipv4', tables: new Map([['nat', new Map([['KUBE-SERVICES', { rules }]])]]) }
    const two: Ruleset = { family: 'ipv4', tables: new Map([['nat', new Map([['KUBE-SERVICES', { rules }]])]]) }
    expect(payload(one, two)).toBe('')
  })
})

describe('the restore of the tests refuses what the kernel refuses', () => {
  test.for([
    ['-A KUBE-A -j KUBE-MISSING', 'no chain by the name of KUBE-MISSING'],
    ['-A KUBE-MISSING -j DROP', 'no chain by the name of KUBE-MISSING'],
    ['-A KUBE-A -j OUTPUT', 'OUTPUT is a base chain'],
    ['-X KUBE-B', 'chain KUBE-B is referred to by KUBE-A'],
    ['-X KUBE-A', 'chain KUBE-A is not empty'],
    ['-X OUTPUT', 'is a base chain'],
    ['-D KUBE-A -j DROP', 'bad rule'],
    ['-I KUBE-A 3 -j DROP', 'index of insertion too big'],
    ['-Z KUBE-A', 'unknown command'],
    [':KUBE-45678901234567890123456789 - [0:0]', 'too long'],
  ] as const)('%s', ([refused, reason]) => {
    const before = nat(':KUBE-A -', ':KUBE-B -', '-A KUBE-A -j KUBE-B')
    const apply = (): Ruleset => applyRestore(before, `*nat\n:KUBE-C - [0:0]\n${refused}\nCOMMIT\n`)
    expect(apply).toThrow(RestoreRefused)
    expect(apply).toThrow(`line 3 failed: ${reason === 'is a base chain' ? 'OUTPUT ' : ''}`)
    expect(apply).toThrow(reason)
    expect(before.tables.get('nat')?.has('KUBE-C')).toBe(false)
  })

  test('an unknown table, and a payload without COMMIT', () => {
    const before = nat(':KUBE-A -')
    expect(() => applyRestore(before, '*tables\nCOMMIT\n')).toThrow('table tables')
    expect(() => applyRestore(before, '*nat\n:KUBE-C - [0:0]\n')).toThrow('COMMIT expected')
  })

  test('tables before the refused one stay changed', () => {
    const before = nat(':KUBE-A -')
    const refused = refusalOf(() => applyRestore(before, '*nat\n-X KUBE-A\nCOMMIT\n*filter\n-X KUBE-A\nCOMMIT\n'))
    expect(refused?.line).toBe(5)
    expect(refused?.ruleset.tables.get('nat')?.has('KUBE-A')).toBe(false)
  })
})

function refusalOf(apply: () => Ruleset): RestoreRefused | undefined {
  try {
    apply()
    return undefined
  } catch (error) {
    if (error instanceof RestoreRefused) return error
    throw error
  }
}
