// Two sides' rules, compared as texts.
import { describe, expect, test } from 'vitest'
import { compareRules } from '../../src/compare/compare.ts'
import { readRuleText, textOfRuleset } from '../../src/compare/rule-text.ts'
import { explainDifferences } from '../../src/compare/semantic.ts'
import { compile, type Family, link } from '../../src/index.ts'
import { listCases, readCase } from '../support/golden-case.ts'
import { differences, edit, goldenText, rulesOf } from '../support/rule-text.ts'

const SCALE = goldenText('own/story-scale', 'iptables-save.2')
const FILES: readonly (readonly [Family, string])[] = [
  ['ipv4', 'iptables-save'],
  ['ipv6', 'ip6tables-save'],
]

/** The rules of shared chains in the opposite order of Services, as kube-proxy may have written them. */
function inOtherOrder(text: string): string {
  const lines = text.split('\n')
  const isShared = (line: string) => /^-A KUBE-(?:SERVICES|NODEPORTS|EXTERNAL-SERVICES|PROXY-FIREWALL) .*\//.test(line)
  const names = (line: string) => /--comment "?(\S+?\/[^ "]+)/.exec(line)?.[1] ?? ''
  for (let at = 0; at < lines.length; at += 1) {
    const end = lines.findIndex(
      (line, index) => index >= at && (!isShared(line) || line.split(' ')[1] !== lines[at]?.split(' ')[1]),
    )
    if (end <= at) continue
    lines.splice(at, end - at, ...lines.slice(at, end).toSorted((a, b) => (names(a) > names(b) ? -1 : 1)))
    at = end - 1
  }
  return lines.join('\n')
}

describe("kube-proxy's own rules", () => {
  test.each(listCases().filter((name) => name.startsWith('recorded/')))(
    '%s: are no difference to ours, whatever the order of Services',
    (name) => {
      const { snapshot, config, node } = readCase(name)
      for (const [family, file] of FILES) {
        const ours = textOfRuleset(link(compile(snapshot, config, node, family)))
        const theirs = rulesOf(inOtherOrder(goldenText(name, file)), family)
        const found = compareRules(ours, theirs, { foreign: false })
        expect(found).toEqual([])
        expect(explainDifferences(ours, theirs, found)).toEqual([])
      }
    },
  )

  test('really stood in another order in that test', () => {
    const text = goldenText('recorded/random-000')
    expect(inOtherOrder(text)).not.toBe(text)
    expect(inOtherOrder(text).split('\n').toSorted()).toEqual(text.split('\n').toSorted())
  })
})

describe('a difference', () => {
  test('is told by Service and then by chain', () => {
    const found = differences(goldenText('own/story-scale', 'iptables-save.1'), SCALE)
    expect(found.map(({ group }) => group)).toEqual([{ kind: 'service', service: 'shop/web' }])
    expect(found[0]?.chains.map(({ table, chain, change }) => `${table} ${chain} ${change}`)).toEqual([
      'nat KUBE-SEP-CXXRTNR2DI2TYC6R added',
      'nat KUBE-SVC-67NZLRHBNDSAWJRO changed',
    ])
  })

  test('belongs to the Service that leads to the chain, where rules have no comments', () => {
    const short = SCALE.replaceAll(/-m comment --comment "shop\/web:http(?: -> \S+)?" /g, '')
    const found = differences(
      short,
      edit(short, '--to-destination 10.244.2.5:8080', '--to-destination 10.244.2.9:8080'),
    )
    expect(found.map(({ group }) => group)).toEqual([{ kind: 'service', service: 'shop/web' }])
  })

  test('in a chain that nothing tells of is nobody known', () => {
    const extra = edit(SCALE, ':KUBE-SEP-CXXR', ':KUBE-SEP-AAAAAAAAAAAAAAAA - [0:0]\n:KUBE-SEP-CXXR')
    expect(differences(SCALE, extra).map(({ group }) => group.kind)).toEqual(['unknown'])
  })

  test('in jumps and fixed chains is no Service', () => {
    const without = edit(SCALE, /-A PREROUTING .*\n/, '')
    expect(differences(SCALE, without).map(({ group }) => group.kind)).toEqual(['fixed'])
    const mark = edit(SCALE, '--set-xmark 0x4000/0x4000', '--set-xmark 0x80/0x80')
    expect(differences(SCALE, mark).map(({ group }) => group.kind)).toEqual(['fixed'])
  })

  test('in rules of others counts only when asked for', () => {
    const other = edit(SCALE, ':KUBE-SEP-CXXR', ':CNI-MASQ - [0:0]\n:KUBE-KUBELET-CANARY - [0:0]\n:KUBE-SEP-CXXR')
    const more = edit(other, '-A PREROUTING', '-A PREROUTING -s 10.0.0.0/8 -j CNI-MASQ\n-A PREROUTING')
    expect(differences(SCALE, more, false)).toEqual([])
    const [found] = differences(SCALE, more)
    expect(found?.group.kind).toBe('foreign')
    expect(found?.chains.map(({ chain }) => chain)).toEqual(['CNI-MASQ', 'KUBE-KUBELET-CANARY', 'PREROUTING'])
  })
})

describe('a text', () => {
  test.each([
    ['is cut off', SCALE.slice(0, -'COMMIT\n'.length)],
    ['has counters', SCALE.replaceAll('\n-A ', '\n[1:2] -A ')],
    ['has a rule of a chain that is not there', edit(SCALE, /:KUBE-MARK-MASQ .*\n/, '')],
    ['has restore commands', edit(SCALE, '-A KUBE-MARK-MASQ', '-I KUBE-MARK-MASQ')],
    ['has a control character', edit(SCALE, 'shop/web', 'shop\u001b/web')],
    ['has the rules of a chain apart', `${SCALE.slice(0, -'COMMIT\n'.length)}-A KUBE-SERVICES -j RETURN\nCOMMIT\n`],
  ])('that %s is left to the parser', (_, text) => {
    expect(readRuleText(text, 'ipv4')).toBeUndefined()
  })

  test('of iptables-save is read', () => {
    expect(readRuleText(SCALE, 'ipv4')?.tables.get('nat')?.size).toBeGreaterThan(5)
    expect(readRuleText('', 'ipv4')?.tables.size).toBe(0)
  })
})
