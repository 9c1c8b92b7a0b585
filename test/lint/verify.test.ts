// The kernel against the cluster, and rules of others in the way.
import { describe, expect, test } from 'vitest'
import { compile, type Ip, parseSave } from '../../src/index.ts'
import { lintForeign, type ServiceTraffic } from '../../src/lint/lint-foreign.ts'
import { findBoundAddresses, verifyRules } from '../../src/lint/verify.ts'
import { readCase } from '../support/golden-case.ts'
import { edit, goldenText, rulesOf } from '../support/rule-text.ts'

const WEB = goldenText('own/story-scale', 'iptables-save.2')
const verify = (actual: string) => verifyRules(rulesOf(actual), rulesOf(WEB))

describe('rules', () => {
  test('that are as they should be are no finding', () => {
    expect(verify(WEB)).toEqual([])
  })

  test('that are missing are told by Service, with what a sync would do', () => {
    const [finding, ...others] = verify(goldenText('own/story-scale', 'iptables-save.1'))
    expect(others).toEqual([])
    expect(finding).toMatchObject({
      severity: 'error',
      kind: 'changed-rules',
      service: 'shop/web',
      details: [
        'to be right: shop/web:http: endpoint 10.244.2.5:8080 added; each endpoint now gets 1/3 instead of 1/2',
      ],
    })
    expect(finding?.message).toContain('4 missing, 1 too many')
  })

  test('of a whole Service that is missing are so called', () => {
    const gone = WEB.split('\n').filter(
      (line) => !line.includes('shop/web') && !/^:KUBE-(?:SVC-67NZ|SEP-(?:34ZZ|CXXR|FT7X))/.test(line),
    )
    expect(verify(gone.join('\n'))).toMatchObject([{ severity: 'error', kind: 'missing-rules', service: 'shop/web' }])
  })

  test('of a Service that is gone are left over', () => {
    const old = edit(WEB, '*nat\n', '*nat\n:KUBE-SVC-AAAAAAAAAAAAAAAA -\n')
    const rule =
      '-A KUBE-SERVICES -d 10.96.9.9/32 -p tcp -m comment --comment "shop/old:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-AAAAAAAAAAAAAAAA\n'
    expect(verify(edit(old, '-A KUBE-SERVICES', `${rule}-A KUBE-SERVICES`))).toMatchObject([
      { severity: 'warning', kind: 'extra-rules', service: 'shop/old' },
    ])
  })

  test('in another form are a notice', () => {
    const short = WEB.replaceAll(/-m comment --comment "shop\/web:http -> \S+" /g, '')
    expect(verify(short)).toMatchObject([{ severity: 'notice', kind: 'other-form', service: 'shop/web' }])
  })

  test('of the node that are missing are told too', () => {
    expect(verify(edit(WEB, /-A POSTROUTING .*\n/, ''))).toMatchObject([{ severity: 'error', owner: 'fixed rules' }])
  })
})

describe('rules of others', () => {
  const traffic: ServiceTraffic = {
    addresses: new Set(['10.96.1.10', '10.244.1.5'] as Ip[]),
    ports: new Set([80, 8080]),
  }
  const ruleset = (text: string) => parseSave(text, 'ipv4').ruleset
  const foreign = (text: string) => lintForeign(ruleset(text), ruleset(WEB), traffic)

  test('where there are none, none are found', () => {
    expect(foreign(WEB)).toEqual([])
  })

  test.each([
    ['nat', 'PREROUTING', '-p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8000'],
    ['nat', 'PREROUTING', '-d 10.96.0.0/16 -j ACCEPT'],
    ['nat', 'OUTPUT', '-j RETURN'],
    ['filter', 'FORWARD', '-d 10.244.1.5/32 -j DROP'],
  ])('before our jumps in %s %s are found: %s', (table, chain, rule) => {
    const start = table === 'nat' ? WEB.indexOf('*nat') : WEB.indexOf('*filter')
    const text = WEB.slice(0, start) + edit(WEB.slice(start), `-A ${chain} `, `-A ${chain} ${rule}\n-A ${chain} `)
    expect(foreign(text)).toMatchObject([
      { kind: 'foreign-rule-before', severity: 'warning', table, chain, rule: 1, text: rule },
    ])
  })

  test.each([
    '-p tcp -m tcp --dport 22 -j ACCEPT',
    '-d 172.16.0.0/12 -j DROP',
    '-i lo -j ACCEPT',
    '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-p icmp -j ACCEPT',
    '-j LOG',
  ])('that leave Services alone are not: %s', (rule) => {
    const start = WEB.indexOf('*filter')
    const text = WEB.slice(0, start) + edit(WEB.slice(start), '-A FORWARD ', `-A FORWARD ${rule}\n-A FORWARD `)
    expect(foreign(text)).toEqual([])
  })

  test('behind our jumps are not', () => {
    expect(foreign(edit(WEB, /(-A PREROUTING .*\n)/, '$1-A PREROUTING -j ACCEPT\n'))).toEqual([])
  })

  test('that only lead to a chain are found when that chain may end the way', () => {
    const jump = edit(edit(WEB, '*nat\n', '*nat\n:CNI -\n'), '-A PREROUTING', '-A PREROUTING -j CNI\n-A PREROUTING')
    expect(foreign(edit(jump, /COMMIT\n$/, '-A CNI -j RETURN\nCOMMIT\n'))).toEqual([])
    expect(foreign(edit(jump, /COMMIT\n$/, '-A CNI -p tcp -j ACCEPT\nCOMMIT\n'))).toHaveLength(1)
  })

  test('in our chains are found', () => {
    const rule = '-s 198.51.100.7/32 -j DROP'
    expect(foreign(edit(WEB, '-A KUBE-SERVICES', `-A KUBE-SERVICES ${rule}\n-A KUBE-SERVICES`))).toMatchObject([
      { kind: 'foreign-rule-inside', severity: 'warning', text: rule },
    ])
  })
})

test('a cluster IP that is an address of the node is found once', () => {
  const { snapshot, config, node } = readCase('own/several-ports')
  const { servicePorts } = compile(snapshot, config, node, 'ipv4')
  const port = servicePorts.find(({ service }) => service.startsWith('shop/'))
  if (port === undefined) throw new Error('the case has no Service of shop')
  const { clusterIP } = port
  expect(findBoundAddresses(servicePorts, node.host.addresses)).toEqual([])
  expect(findBoundAddresses(servicePorts, [...node.host.addresses, clusterIP])).toMatchObject([
    { kind: 'service-address-on-node', severity: 'warning', service: port.service },
  ])
})
