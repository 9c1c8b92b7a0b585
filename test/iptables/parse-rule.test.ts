import { describe, expect, test } from 'vitest'
import { parseRule, parseSavedRule } from '../../src/iptables/parse-rule.ts'
import { printRule } from '../../src/iptables/print-rule.ts'

describe('what people give to iptables-restore means what the kernel keeps', () => {
  // Each right side was read from iptables-save after restoring the left side.
  test.for([
    [
      '-m comment --comment "ns1/svc1:p80 cluster IP" -m tcp -p tcp -d 172.30.0.41 --dport 80 -j KUBE-SVC-A',
      '-d 172.30.0.41/32 -p tcp -m comment --comment "ns1/svc1:p80 cluster IP" -m tcp --dport 80 -j KUBE-SVC-A',
    ],
    [
      '-m comment --comment ns1/svc1:p80 -s 10.0.0.1 -j KUBE-MARK-MASQ',
      '-s 10.0.0.1/32 -m comment --comment "ns1/svc1:p80" -j KUBE-MARK-MASQ',
    ],
    ['-m comment --comment "plain"', '-m comment --comment plain'],
    ['-m comment --comment pre"quo ted"', '-m comment --comment "prequo ted"'],
    [String.raw`-m comment --comment "mid\dle"`, '-m comment --comment middle'],
    ["-m comment --comment it's", String.raw`-m comment --comment "it\'s"`],
    ['-m mark ! --mark 0x00004000/0x00004000 -j RETURN', '-m mark ! --mark 0x4000/0x4000 -j RETURN'],
    ['-m mark --mark 0/0xffffffff', '-m mark --mark 0x0'],
    ['-j MARK --or-mark 0x00004000', '-j MARK --set-xmark 0x4000/0x4000'],
    ['-j MARK --xor-mark 0x00004000', '-j MARK --set-xmark 0x4000/0x0'],
    ['-j MARK --set-mark 5', '-j MARK --set-xmark 0x5/0xffffffff'],
    ['-j MARK --set-mark 0x5/0x3', '-j MARK --set-xmark 0x5/0x7'],
    ['-j MARK --and-mark 0x5', '-j MARK --set-xmark 0x0/0xfffffffa'],
    ['-j REJECT', '-j REJECT --reject-with icmp-port-unreachable'],
    [
      '-m statistic --mode random --probability 0.3333333333 -j A',
      '-m statistic --mode random --probability 0.33333333349 -j A',
    ],
    ['-m statistic --mode random --probability 0.0002441406', '-m statistic --mode random --probability 0.00024414062'],
    ['-m recent --name A --set', '-m recent --set --name A --mask 255.255.255.255 --rsource'],
    [
      '-m recent --name A --rcheck --seconds 10800 --reap -j A',
      '-m recent --rcheck --seconds 10800 --reap --name A --mask 255.255.255.255 --rsource -j A',
    ],
    ['-m conntrack ! --ctstate DNAT,INVALID', '-m conntrack ! --ctstate INVALID,DNAT'],
    ['-p tcp --dport :90 ! --sport 5:', '-p tcp -m tcp ! --sport 5:65535 --dport 0:90'],
    ['-p tcp -m tcp --dport 0:65535', '-p tcp -m tcp'],
    ['-s 0.0.0.0/0 -d 10.1.2.3/8 -p all -i + -j ACCEPT', '-d 10.0.0.0/8 -j ACCEPT'],
    ['-m comment --comment -s --jump ACCEPT --source 1.2.3.4', '-s 1.2.3.4/32 -m comment --comment -s -j ACCEPT'],
    [
      '-s 1.2.3.4 -m ipvs --vaddr 1.2.3.4 --vproto tcp --vport 80 -j DROP',
      '-s 1.2.3.4/32 -m ipvs --vproto 6 --vaddr 1.2.3.4 --vport 80 -j DROP',
    ],
    ['-m ipvs --vport 53 --vproto sctp --vaddr 203.0.113.100', '-m ipvs --vproto 132 --vaddr 203.0.113.100 --vport 53'],
    [
      '-m set --match-set KUBE-EXTERNAL-IP dst,dst -m physdev ! --physdev-is-in -j ACCEPT',
      '-m set --match-set KUBE-EXTERNAL-IP dst,dst -m physdev ! --physdev-is-in -j ACCEPT',
    ],
    ['-m nfacct --nfacct-name localhost_nps_accepted_pkts', '-m nfacct --nfacct-name  localhost_nps_accepted_pkts'],
  ] as const)('%s', ([given, saved]) => {
    const rule = parseRule(given, 'ipv4')
    expect(rule.matches.filter((match) => match.kind === 'unknown')).toEqual([])
    expect(printRule(rule, 'ipv4')).toBe(saved)
  })

  test('defaults are those of the family', () => {
    expect(parseRule('-j REJECT', 'ipv6').target).toEqual({ kind: 'reject', with: 'icmp6-port-unreachable' })
    expect(parseRule('-s fd00::1', 'ipv6').source).toEqual({ value: 'fd00::1/128' })
  })

  test('an address of the other family is not taken for one of this', () => {
    expect(parseRule('-s fd00::1 -j DROP', 'ipv4').source).toBeUndefined()
  })

  test('an extension without options is no chain', () => {
    expect(parseRule('-j LOG', 'ipv4').target).toEqual({ kind: 'unknown', words: ['-j', 'LOG'] })
    expect(parseRule('-j FOO', 'ipv4').target).toEqual({ kind: 'jump', chain: 'FOO' })
  })
})

describe('what is not understood stays', () => {
  test.for([
    '-m ipvs --vproto 6',
    '-m ipvs --vproto 6 --vaddr 1.2.3.4 ! --vport 80',
    '-m ipvs --vproto 6 --vaddr 1.2.3.0/24 --vport 80',
    '-m ipvs --vproto 6 --vaddr fd00::1 --vport 80',
    '-m ipvs --vproto 256 --vaddr 1.2.3.4 --vport 80',
    '-m ipvs --vproto 6 --vaddr 1.2.3.4 --vport 65536',
    '-m ipvs --vproto 6 --vaddr 1.2.3.4 --vport 80 --vdir ORIGINAL',
    '-m physdev --physdev-is-out',
    '-m physdev --physdev-is-in --physdev-in eth0',
  ])('%s', (text) => {
    const rule = parseRule(text, 'ipv4')
    expect(rule.matches.map((match) => match.kind)).toEqual(['unknown'])
    expect(printRule(rule, 'ipv4')).toBe(text)
  })

  test('word by word, beside what is understood', () => {
    expect(parseRule('-s 10.0.0.0/8 -m limit --limit 5/min -j KUBE-X', 'ipv4')).toEqual({
      source: { value: '10.0.0.0/8' },
      matches: [{ kind: 'unknown', words: ['-m', 'limit', '--limit', '5/min'] }],
      target: { kind: 'jump', chain: 'KUBE-X' },
    })
  })

  test.for([
    '-m recent --set --name a b --mask 255.255.255.255 --rsource -j KUBE-X',
    '-p ipencap -f',
    '-i eth 0 -j DROP',
    '-s 10.0.0.0/255.0.255.0 -j ACCEPT',
    '-m string --string "-j KUBE-X" --algo bm',
    '-m comment --comment "a\ttab" -j KUBE-X',
    '-m mark --mark 0x00004000/0x4000 -j KUBE-X',
    '-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT',
    '-m foo --bar -s 1.2.3.4/32 -j KUBE-X',
    '-j REJECT',
    '-j',
    '! ! -s 1.2.3.4/32',
    '-m comment --comment "open',
    '  -j  DROP ',
    '',
  ])('a saved line comes back to the byte: %s', (line) => {
    expect(printRule(parseSavedRule(line, 'ipv4'), 'ipv4')).toBe(line)
  })

  test('its jump is known all the same', () => {
    expect(parseSavedRule('-i eth 0 -j KUBE-X', 'ipv4').target).toEqual({ kind: 'jump', chain: 'KUBE-X' })
  })
})
