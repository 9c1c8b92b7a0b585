import { describe, expect, test } from 'vitest'
import type { GivenFlag } from '../../../src/kube/config/proxy-flag-values.ts'
import { applyFlags } from '../../../src/kube/config/proxy-flags.ts'
import { formatIssue } from '../../../src/model/issue.ts'

type Given = Readonly<Record<string, GivenFlag>>

function refuse(flags: Given): readonly string[] {
  const { config, issues } = applyFlags(new Map(Object.entries(flags)))
  expect(config).toBeUndefined()
  return issues.filter(({ severity }) => severity === 'error').map(formatIssue)
}

describe('bad values', () => {
  test.each<[Given, string]>([
    [{ 'iptables-masquerade-bit': 'x' }, 'strconv.ParseInt: parsing "x": invalid syntax: use a whole number'],
    [{ 'iptables-masquerade-bit': '4294967296' }, 'strconv.ParseInt: parsing "4294967296": value out of range'],
    [{ 'masquerade-all': 'yes' }, 'strconv.ParseBool: parsing "yes": invalid syntax: use true or false'],
    [{ 'kube-api-qps': 'x' }, 'strconv.ParseFloat: parsing "x": invalid syntax'],
    [{ 'config-sync-period': '5' }, 'time: missing unit in duration "5": use numbers with units, such as 30s'],
    [{ 'bind-address': '1.2.3.4:80' }, '"1.2.3.4:80" is not a valid IP address: use an IP address without a port'],
    [{ 'healthz-bind-address': 'fd00::1:x' }, '"fd00::1:x" is not in a valid format (ip or ip:port)'],
    [{ 'healthz-bind-address': 'host:80' }, '"host" is not a valid IP address'],
    [{ 'healthz-bind-address': '1.2.3.4:x' }, '"x" is not a valid number'],
    [{ 'feature-gates': 'Foo' }, 'malformed pair, expect string=bool: use Name=true,Other=false'],
    [{ 'feature-gates': 'Foo=maybe' }, 'invalid value of Foo: maybe, err: strconv.ParseBool: parsing "maybe"'],
    [{ vmodule: 'x' }, 'syntax error: expect comma-separated list of filename=N'],
    [{ 'log-text-info-buffer-size': 'big' }, 'quantities must be a number and a suffix'],
  ])('%j is refused with the text of kube-proxy', (flags, reason) => {
    const [[name, value] = []] = Object.entries(flags)
    expect(refuse(flags)).toEqual([
      expect.stringContaining(
        `command line: --${name}: invalid argument ${JSON.stringify(value)} for "--${name}" flag: ${reason}`,
      ),
    ])
  })

  test('-v is spelled with one dash', () => {
    expect(refuse({ v: 'x' })).toEqual([expect.stringContaining('invalid argument "x" for "-v" flag')])
  })

  test('a flag without its value is refused', () => {
    expect(refuse({ 'proxy-mode': true })).toEqual([
      'command line: --proxy-mode: flag needs an argument: --proxy-mode: write --proxy-mode=VALUE',
    ])
  })

  test('an unknown flag is refused', () => {
    expect(refuse({ 'no-such-flag': 'x' })).toEqual([expect.stringContaining('unknown flag: --no-such-flag')])
  })

  test('a blank host name is refused', () => {
    expect(refuse({ 'hostname-override': '  ' })).toEqual([
      expect.stringContaining('empty hostname-override is invalid'),
    ])
  })

  test('an empty --cluster-cidr is not the same as none', () => {
    expect(refuse({ 'cluster-cidr': '' })).toEqual([
      expect.stringMatching(/^command line: --cluster-cidr: .*ClusterCIDRs\[0\]: Invalid value: "":/),
    ])
  })

  test('what validation refuses is reported at its flag', () => {
    expect(
      refuse({
        'iptables-masquerade-bit': '40',
        'feature-gates': 'MultiCIDRServiceAllocator=false',
        'nodeport-addresses': '10.0.0.0/8,x',
        'proxy-mode': 'userspace',
      }),
    ).toEqual([
      expect.stringMatching(/^command line: --feature-gates: .*feature is locked to true/),
      expect.stringMatching(/^command line: --iptables-masquerade-bit: 40 is not allowed/),
      expect.stringMatching(/^command line: --proxy-mode: "userspace" is not allowed: use iptables, ipvs, nftables/),
      expect.stringMatching(/^command line: --nodeport-addresses: "x" is not allowed/),
    ])
  })
})
