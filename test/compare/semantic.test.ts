// What a difference means, in words, and what is no difference.
import { describe, expect, test } from 'vitest'
import { edit, goldenText, statements } from '../support/rule-text.ts'

const TWO = goldenText('own/story-scale', 'iptables-save.1')
const THREE = goldenText('own/story-scale', 'iptables-save.2')
const NONE = goldenText('own/story-scale', 'iptables-save.3')
const DEFAULT = goldenText('recorded/config-variants-default')
const RANGES = goldenText('own/source-ranges')

describe('no difference is', () => {
  test('another bit of the masquerade mark', () => {
    expect(statements(DEFAULT, goldenText('recorded/config-variants-masquerade-bit-7'))).toEqual({})
  })

  test('a mark that is cleared instead of flipped where it is known to be set', () => {
    expect(statements(DEFAULT, edit(DEFAULT, '--set-xmark 0x4000/0x0', '--set-xmark 0x0/0x4000'))).toEqual({})
  })

  test.each([
    ['comments of endpoints, which large clusters go without', /-m comment --comment "[^"]* -> [^"]*" /g],
    ['any comment of a fixed rule', /-m comment --comment "kubernetes [^"]*" /g],
    ['a counter', /-m nfacct --nfacct-name {2}\S+ /g],
    ['the canaries', /:KUBE-PROXY-CANARY - \[0:0\]\n|:KUBE-PROXY-CANARY -\n/g],
  ])('%s', (_, pattern) => {
    const without = DEFAULT.replaceAll(pattern, '')
    expect(without).not.toBe(DEFAULT)
    expect(statements(DEFAULT, without)).toEqual({})
  })

  test('the line that counts node ports on localhost', () => {
    expect(statements(DEFAULT, edit(DEFAULT, /-A KUBE-NODEPORTS -d 127.*\n/, ''))).toEqual({})
  })

  test('a chain that no rule leads to', () => {
    const extra = edit(DEFAULT, '*nat\n', '*nat\n:KUBE-SEP-AAAAAAAAAAAAAAAA -\n')
    expect(statements(DEFAULT, edit(extra, /COMMIT\n$/, '-A KUBE-SEP-AAAAAAAAAAAAAAAA -j DROP\nCOMMIT\n'))).toEqual({})
  })

  test('the order of node port jumps that lead to the same place', () => {
    const jump = '-A KUBE-SERVICES -d 192.168.1.63/32 -j KUBE-NODEPORTS\n'
    const other = '-A KUBE-SERVICES -d 10.0.0.63/32 -j KUBE-NODEPORTS\n'
    const tail = /-A KUBE-SERVICES .*KUBE-NODEPORTS\n/
    expect(statements(edit(DEFAULT, tail, jump + other), edit(DEFAULT, tail, other + jump))).toEqual({})
  })
})

describe('in words is said', () => {
  test('that an endpoint was added, and the share that each gets now', () => {
    expect(statements(TWO, THREE)).toEqual({
      'Service shop/web': ['shop/web:http: endpoint 10.244.2.5:8080 added; each endpoint now gets 1/3 instead of 1/2'],
    })
    expect(statements(THREE, TWO)).toEqual({
      'Service shop/web': [
        'shop/web:http: endpoint 10.244.2.5:8080 removed; each endpoint now gets 1/2 instead of 1/3',
      ],
    })
  })

  test('that an endpoint was replaced', () => {
    const replaced = TWO.replaceAll('10.244.1.5', '10.244.1.77')
    expect(statements(TWO, replaced)['Service shop/web']).toEqual([
      'shop/web:http: endpoint 10.244.1.77:8080 added; endpoint 10.244.1.5:8080 removed',
    ])
  })

  test('that shares changed, by endpoint', () => {
    expect(statements(TWO, edit(TWO, '0.50000000000', '0.25000000000'))['Service shop/web']).toEqual([
      'shop/web:http: 10.244.1.5:8080 now gets 1/4 instead of 1/2, 10.244.3.5:8080 now gets 75.00% instead of 1/2',
    ])
  })

  test('that nobody serves any more', () => {
    expect(statements(TWO, NONE)['Service shop/web']).toEqual([
      'shop/web:http: no longer 10.96.1.10:80 goes to any endpoint',
      'shop/web:http: no longer traffic to 10.96.1.10:80 is masqueraded unless it is from 10.244.0.0/16',
      'shop/web:http: now 10.96.1.10:80 in the filter is rejected',
      'shop/web:http: endpoints 10.244.1.5:8080, 10.244.3.5:8080 removed; none is left',
    ])
  })

  test('that part of the traffic goes nowhere', () => {
    const last = /(-A KUBE-SVC-\S+ .*10\.244\.3\.5:8080") (-j \S+)/
    const half = edit(TWO, last, '$1 -m statistic --mode random --probability 0.50000000000 $2')
    expect(statements(TWO, half)['Service shop/web']?.[0]).toBe(
      'shop/web:http: now part of the traffic goes to no endpoint: 25.00%',
    )
  })

  test('that source ranges changed', () => {
    const [, range = ''] = /-A KUBE-FW-\S+ -s (\S+)/.exec(RANGES) ?? []
    const said = Object.values(statements(RANGES, edit(RANGES, `-s ${range}`, '-s 192.0.2.0/24'))).flat()
    expect(said.join('\n')).toMatch(/source ranges let in .*192\.0\.2\.0\/24.*; before, it let in /)
  })

  test('that session affinity has another time', () => {
    const text = goldenText('own/affinity')
    const [, seconds = ''] = /--seconds (\d+)/.exec(text) ?? []
    const said = Object.values(statements(text, text.replaceAll(`--seconds ${seconds}`, '--seconds 5'))).flat()
    expect(said.join('\n')).toContain(
      `session affinity keeps a client at its endpoint for 5 s; before, it keeps a client at its endpoint for ${seconds} s`,
    )
  })

  test('which fixed rule changed', () => {
    expect(statements(DEFAULT, goldenText('recorded/config-variants-conntrack-liberal'))).toEqual({
      'fixed rules': ['filter KUBE-FORWARD: no longer -m conntrack --ctstate INVALID: is dropped'],
    })
  })

  test('that of two Services with one address the other one answers now', () => {
    const text = goldenText('own/conflict')
    const lines = text.split('\n')
    const claims = lines.filter((line) => line.startsWith('-A KUBE-SERVICES -d 198.51.100.10/32'))
    const [first = '', second = ''] = claims
    const swapped = lines.map((line) => (line === first ? second : line === second ? first : line)).join('\n')
    expect(statements(text, swapped)).toEqual({
      'Service shop/old': [
        '198.51.100.10 80/tcp is claimed by shop/old and shop/new: now shop/old comes first and answers',
      ],
    })
  })

  test('that rules of others stand in another order', () => {
    const rules = ['-A PREROUTING -s 10.9.0.0/16 -j ACCEPT', '-A PREROUTING -s 10.9.1.0/24 -j RETURN']
    const one = edit(DEFAULT, '-A PREROUTING', `${rules.join('\n')}\n-A PREROUTING`)
    const other = edit(DEFAULT, '-A PREROUTING', `${rules.toReversed().join('\n')}\n-A PREROUTING`)
    expect(statements(one, other)['rules of others']?.[0]).toContain('the same rules stand in another order')
  })
})

describe('no rule is overlooked', () => {
  /** Rules that do nothing by themselves. */
  const WITHOUT_EFFECT = [
    /will be dropped by KUBE-PROXY-FIREWALL/,
    /^-A KUBE-NODEPORTS -d 127\.0\.0\.0\/8 .*nfacct/,
    // Its chain has no rules in this dump.
    /^-A (?:INPUT|FORWARD|OUTPUT) .*-j KUBE-(?:NODEPORTS|SERVICES|EXTERNAL-SERVICES|PROXY-FIREWALL|FIREWALL)$/,
  ]

  test.each([
    ['recorded/config-variants-default', 'iptables-save', 'ipv4'],
    ['recorded/dual-stack', 'ip6tables-save', 'ipv6'],
    ['own/source-ranges', 'iptables-save', 'ipv4'],
    ['own/external-policy-local', 'iptables-save', 'ipv4'],
    ['own/affinity', 'iptables-save', 'ipv4'],
  ] as const)('%s: each one that is taken away is said', (name, file, family) => {
    const text = goldenText(name, file)
    const lines = text.split('\n')
    const silent = lines.filter((line, at) => {
      // A jump to a chain without rules.
      if (line.endsWith('-j KUBE-NODEPORTS') && !text.includes('\n-A KUBE-NODEPORTS ')) return false
      if (!line.startsWith('-A ') || WITHOUT_EFFECT.some((pattern) => pattern.test(line))) return false
      return Object.keys(statements(text, lines.toSpliced(at, 1).join('\n'), family)).length === 0
    })
    expect(silent).toEqual([])
  })
})
