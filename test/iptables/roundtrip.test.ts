import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseSave } from '../../src/iptables/parse.ts'
import { parseRule, parseSavedRule } from '../../src/iptables/parse-rule.ts'
import { canonicalise, printSave } from '../../src/iptables/print.ts'
import { printRule } from '../../src/iptables/print-rule.ts'
import type { Match } from '../../src/iptables/rule.ts'
import { quote, splitWords, unquote } from '../../src/iptables/words.ts'
import { FAMILIES } from '../../src/model/address.ts'
import { arbitraryRule, commentText } from '../support/arbitrary-rule.ts'

describe('generated rules', () => {
  test.for(FAMILIES)('of %s print and parse back to themselves', (family) => {
    fc.assert(
      fc.property(arbitraryRule(family, ['KUBE-A', 'KUBE-B']), (rule) => {
        const text = printRule(rule, family)
        expect(parseSavedRule(text, family)).toEqual(rule)
        expect(parseRule(text, family)).toEqual(rule)
      }),
      { numRuns: 2000 },
    )
  })

  test('any text is one word, and comes back', () => {
    fc.assert(
      fc.property(commentText, commentText, (first, second) => {
        const words = splitWords(`-A ${quote(first)} ${quote(second)}`)
        expect(words?.map(unquote)).toEqual(['-A', first, second])
      }),
      { numRuns: 2000 },
    )
  })

  test('any line at all comes back to the byte', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        ' ',
        '"',
        '\\',
        '!',
        '-s',
        '-m',
        'comment',
        '--comment',
        '-j',
        'DROP',
        '-p tcp',
        '--dport',
        '80',
        'X',
      ),
      fc.string({ maxLength: 5 }),
    )
    const line = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(' ').replaceAll(/\p{Cc}/gu, ''))
    fc.assert(
      fc.property(line, (text) => {
        expect(printRule(parseSavedRule(text, 'ipv4'), 'ipv4')).toBe(text)
      }),
      { numRuns: 5000 },
    )
  })
})

const RECORDED = path.join(import.meta.dirname, '../../rules-golden/recorded')
const FILES = [
  ['iptables-save', 'ipv4'],
  ['ip6tables-save', 'ipv6'],
] as const

describe('rules that kube-proxy put into a kernel', () => {
  const saves = readdirSync(RECORDED).flatMap((folder) =>
    ['iptables', 'ipvs'].flatMap((mode) =>
      FILES.map(([file, family]) => ({ file: path.join(RECORDED, folder, mode, file), family })).filter(({ file }) =>
        existsSync(file),
      ),
    ),
  )

  test('are there', () => {
    expect(saves.length).toBeGreaterThanOrEqual(228)
  })

  test('come back to the byte, line by line, and are understood but for two matches of IPVS mode', () => {
    const unknown = new Set<string>()
    for (const { file, family } of saves) {
      const lines = readFileSync(file, 'utf8').split('\n')
      for (const line of lines.filter((text) => text.startsWith('-A '))) {
        const text = line.slice(line.indexOf(' ', 3) + 1)
        // Not parseSavedRule, which always gives the line back.
        const rule = parseRule(text, family)
        expect(printRule(rule, family)).toBe(text)
        for (const match of rule.matches) if (isUnknown(match)) unknown.add(match.words[1] ?? '')
        expect(rule.target?.kind).not.toBe('unknown')
      }
    }
    expect([...unknown].filter((name) => name !== 'ipvs' && name !== 'physdev')).toEqual([])
  })

  test('are in canonical form as whole files', () => {
    for (const { file, family } of saves) {
      const text = readFileSync(file, 'utf8')
      const { ruleset, issues } = parseSave(text, family)
      expect(issues).toEqual([])
      expect({ file, text: printSave(ruleset) }).toEqual({ file, text })
      expect({ file, text: printSave(canonicalise(ruleset)) }).toEqual({ file, text })
    }
  })
})

function isUnknown(match: Match): match is Extract<Match, { kind: 'unknown' }> {
  return match.kind === 'unknown'
}
