// What lint finds: nothing of severity error in what a real kube-proxy wrote, and each kind where it is.
import { describe, expect, test } from 'vitest'
import { type Family, parseSave } from '../../src/index.ts'
import { type Finding, formatFinding, isAtLeast } from '../../src/lint/finding.ts'
import { lintRules } from '../../src/lint/lint.ts'
import { endpointsOf } from '../../src/lint/lint-balance.ts'
import { listCases, readCase } from '../support/golden-case.ts'
import { edit, goldenText } from '../support/rule-text.ts'

const WEB = goldenText('own/story-scale', 'iptables-save.2')
const LOCAL = goldenText('own/external-policy-local')
const LAST_JUMP = /-A KUBE-SERVICES .*-j KUBE-NODEPORTS\n/

function lint(text: string, family: Family = 'ipv4'): readonly Finding[] {
  const { ruleset, issues } = parseSave(text, family)
  expect(issues).toEqual([])
  return lintRules(ruleset)
}

/** What stands in the finding of a kind; fails when there are several or none. */
function only(findings: readonly Finding[], kind: Finding['kind']): Finding {
  const found = findings.filter((finding) => finding.kind === kind)
  const [first] = found
  if (first !== undefined && found.length === 1) return first
  throw new Error(`one ${kind} was expected: ${findings.map(formatFinding).join('\n')}`)
}

describe('recorded rules', () => {
  test.each(listCases())('%s: nothing of severity error is found, with the cluster beside them', (name) => {
    const isStory = name.startsWith('own/story-')
    const snapshot = isStory ? undefined : readCase(name).snapshot
    for (const [family, prefix] of [
      ['ipv4', 'iptables-save'],
      ['ipv6', 'ip6tables-save'],
    ] as const) {
      const file = isStory ? `${prefix}.1` : prefix
      const { ruleset } = parseSave(goldenText(name, file), family)
      const known = snapshot === undefined ? undefined : endpointsOf(snapshot, family)
      const errors = lintRules(ruleset, known).filter(({ severity }) => isAtLeast(severity, 'error'))
      expect(errors.map(formatFinding)).toEqual([])
    }
  })

  test('with a sound cluster nothing is found at all', () => {
    expect(lint(WEB)).toEqual([])
    expect(lint(LOCAL)).toEqual([])
  })
})

describe('references', () => {
  test('a jump to a chain that is not there', () => {
    const finding = only(lint(WEB.replaceAll(/^[:].*KUBE-SEP-CXXR.*\n|^-A KUBE-SEP-CXXR.*\n/gm, '')), 'missing-chain')
    expect(finding).toMatchObject({ severity: 'error', table: 'nat', chain: 'KUBE-SVC-67NZLRHBNDSAWJRO', rule: 3 })
    expect(finding.owner).toBe('shop/web:http')
    expect(finding.message).toContain('KUBE-SEP-CXXRTNR2DI2TYC6R')
  })

  test('targets of extensions are no missing chains', () => {
    expect(lint(edit(WEB, '-A PREROUTING', '-A PREROUTING -j LOG\n-A PREROUTING -j TRACE\n-A PREROUTING'))).toEqual([])
  })

  test('a chain of a Service that no rule jumps to', () => {
    const without = edit(WEB, /-A KUBE-SERVICES -d 10\.96\.1\.10.*\n/, '')
    expect(only(lint(without), 'unreferenced-chain')).toMatchObject({
      severity: 'warning',
      chain: 'KUBE-SVC-67NZLRHBNDSAWJRO',
      owner: 'shop/web:http',
    })
  })

  test('a chain of somebody else that no rule jumps to, when it has rules', () => {
    const chain = edit(WEB, '*nat\n', '*nat\n:CNI-OLD -\n')
    expect(lint(chain)).toEqual([])
    expect(only(lint(edit(chain, /COMMIT\n$/, '-A CNI-OLD -j RETURN\nCOMMIT\n')), 'unreferenced-chain')).toMatchObject({
      severity: 'notice',
      chain: 'CNI-OLD',
    })
  })

  test('a base chain without its jump', () => {
    const finding = only(lint(edit(WEB, /-A PREROUTING .*\n/, '')), 'missing-jump')
    expect(finding).toMatchObject({ severity: 'error', table: 'nat', chain: 'PREROUTING' })
    expect(finding.message).toContain('KUBE-SERVICES')
  })
})

describe('reach', () => {
  test('our jump behind a rule that takes everything', () => {
    const finding = only(lint(edit(WEB, '-A PREROUTING', '-A PREROUTING -j ACCEPT\n-A PREROUTING')), 'unreachable-rule')
    expect(finding).toMatchObject({ severity: 'error', table: 'nat', chain: 'PREROUTING', rule: 2 })
  })

  test('our jump behind a chain that takes everything', () => {
    const chain = edit(WEB, '*nat\n', '*nat\n:ALL -\n')
    const jump = edit(chain, '-A PREROUTING', '-A PREROUTING -j ALL\n-A PREROUTING')
    expect(only(lint(edit(jump, /COMMIT\n$/, '-A ALL -j ACCEPT\nCOMMIT\n')), 'unreachable-rule').rule).toBe(2)
    expect(lint(edit(jump, /COMMIT\n$/, '-A ALL -s 10.0.0.0/8 -j ACCEPT\nCOMMIT\n'))).toEqual([])
  })

  test('a rule for part of what an earlier one takes', () => {
    const rules = '-A INPUT -s 10.1.0.0/16 -p tcp -j ACCEPT\n-A INPUT -s 10.1.2.0/24 -p tcp -m tcp --dport 80 -j DROP\n'
    const finding = only(lint(edit(WEB, '-A INPUT', `${rules}-A INPUT`)), 'shadowed-rule')
    expect(finding).toMatchObject({ severity: 'notice', chain: 'INPUT', rule: 2 })
    expect(finding.message).toContain('rule 1')
  })

  test.each([
    ['is for another port', '-p tcp -m tcp --dport 80 -j ACCEPT', '-p tcp -m tcp --dport 81 -j DROP'],
    ['is for another network', '-s 10.1.0.0/16 -j ACCEPT', '-s 10.0.0.0/8 -j DROP'],
    ['goes on behind it', '-s 10.1.0.0/16 -j LOG', '-s 10.1.0.0/16 -j DROP'],
    ['is left to chance', '-m statistic --mode random --probability 0.50000000000 -j ACCEPT', '-j DROP'],
    ['is not understood', '-m limit --limit 1/sec -j ACCEPT', '-j RETURN'],
  ])('nothing, where the earlier rule %s', (_, first, second) => {
    const kinds = lint(
      edit(WEB, '*filter\n', '*filter\n:X -\n')
        .replace('-A INPUT', `-A INPUT -j X\n-A INPUT`)
        .replace(/COMMIT\n\*mangle/, `-A X ${first}\n-A X ${second}\nCOMMIT\n*mangle`),
    )
    expect(kinds.filter(({ chain }) => chain === 'X')).toEqual([])
  })
})

describe('balance', () => {
  test('chances that leave part of the connections out', () => {
    const last = /(-A KUBE-SVC-\S+ .*10\.244\.3\.5:8080") (-j \S+)/
    const half = edit(WEB, last, '$1 -m statistic --mode random --probability 0.50000000000 $2')
    const finding = only(lint(half), 'chances-do-not-add-up')
    expect(finding).toMatchObject({ severity: 'error', owner: 'shop/web:http' })
    expect(finding.message).toContain('16.67%')
  })

  test('shares that are not equal', () => {
    const finding = only(lint(edit(WEB, '0.33333333349', '0.25000000000')), 'uneven-chances')
    expect(finding).toMatchObject({ severity: 'warning', owner: 'shop/web:http' })
    expect(finding.message).toContain('25.00%')
  })

  test('1,200 endpoints with chances of 31 bits are equal', () => {
    expect(
      lint(goldenText('recorded/large-cluster-1200-endpoints')).filter(({ kind }) => kind === 'uneven-chances'),
    ).toEqual([])
  })

  test('an address that is no endpoint, one that does not serve, and a Service that is gone', () => {
    const { ruleset } = parseSave(WEB, 'ipv4')
    const web = new Map([
      ['10.244.1.5:8080', true],
      ['10.244.2.5:8080', false],
    ])
    const findings = lintRules(ruleset, new Map([['shop/web', web]]))
    const about = findings.map(({ kind, severity, owner, message }) => [
      kind,
      severity,
      owner,
      message.split(' ')[3] ?? '',
    ])
    expect(about).toContainEqual(['not-an-endpoint', 'error', 'shop/web:http', '10.244.3.5:8080,'])
    expect(findings.find(({ kind }) => kind === 'endpoint-does-not-serve')?.message).toContain('10.244.2.5:8080')
    expect(findings.filter(({ message }) => message.includes('no such Service')).map(({ owner }) => owner)).toEqual([
      'shop/api:http',
    ])
  })
})

describe('order', () => {
  test('a rule behind the jump to the node ports', () => {
    const rule = /(-A KUBE-SERVICES -d 10\.96\.1\.10.*\n)([\s\S]*?)(-A KUBE-SERVICES .*-j KUBE-NODEPORTS\n)/
    const finding = only(lint(edit(WEB, rule, '$2$3$1')), 'out-of-order')
    expect(finding).toMatchObject({ severity: 'error', chain: 'KUBE-SERVICES' })
    expect(finding.message).toContain('1 rule stands behind it')
    expect(lint(edit(WEB, LAST_JUMP, ''))).toEqual([])
  })

  test('masquerading of all traffic', () => {
    const moved = /(-A KUBE-POSTROUTING .*-j RETURN\n)([\s\S]*?)(-A KUBE-POSTROUTING .*-j MASQUERADE.*\n)/
    expect(only(lint(edit(WEB, moved, '$2$3$1')), 'out-of-order').chain).toBe('KUBE-POSTROUTING')
  })

  test('a mark that comes too late', () => {
    const swapped = edit(WEB, /(-A KUBE-SEP-CXXR.*KUBE-MARK-MASQ\n)(-A KUBE-SEP-CXXR.*\n)/, '$2$1')
    expect(only(lint(swapped), 'out-of-order')).toMatchObject({ owner: 'shop/web:http', rule: 2 })
  })
})

describe('claims', () => {
  test('of two Services to one address and port, and to one node port', () => {
    const findings = lint(goldenText('own/conflict')).filter(({ kind }) => kind === 'conflicting-claim')
    expect(findings.map(({ severity, chain, owner }) => [severity, chain, owner])).toEqual([
      ['warning', 'KUBE-SERVICES', 'shop/old:http'],
      ['warning', 'KUBE-NODEPORTS', 'shop/old:http'],
    ])
    expect(findings[0]?.message).toContain('198.51.100.10 80/tcp is also claimed by shop/new:http')
  })

  test('to one port by two protocols are no conflict', () => {
    expect(lint(goldenText('own/udp-and-sctp'))).toEqual([])
  })
})
