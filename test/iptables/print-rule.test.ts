import { describe, expect, test } from 'vitest'
import { printRule } from '../../src/iptables/print-rule.ts'
import type { Match, Rule, Target } from '../../src/iptables/rule.ts'
import type { Cidr, Ip } from '../../src/model/address.ts'

function comment(text: string): Match {
  return { kind: 'comment', text }
}

function printed(rule: Partial<Rule>, family: 'ipv4' | 'ipv6' = 'ipv4'): string {
  return printRule({ matches: [], ...rule }, family)
}

describe('a rule is printed as iptables-save 1.8.9 prints it', () => {
  test('its header comes first, in fixed order', () => {
    const rule: Rule = {
      protocol: { value: 'tcp', not: true },
      outInterface: { value: 'lo', not: true },
      inInterface: { value: 'eth+', not: true },
      destination: { value: '10.96.0.1/32' as Cidr },
      source: { value: '10.0.0.0/8' as Cidr, not: true },
      matches: [comment('x')],
      target: { kind: 'drop' },
    }
    expect(printed(rule)).toBe(
      '! -s 10.0.0.0/8 -d 10.96.0.1/32 ! -i eth+ ! -o lo ! -p tcp -m comment --comment x -j DROP',
    )
  })

  test('a network of all addresses is left out, as the kernel does not keep it', () => {
    expect(printed({ source: { value: '0.0.0.0/0' as Cidr }, target: { kind: 'accept' } })).toBe('-j ACCEPT')
    expect(printed({ destination: { value: '::/0' as Cidr }, target: { kind: 'accept' } }, 'ipv6')).toBe('-j ACCEPT')
  })

  test('a rule without any condition or effect is empty', () => {
    expect(printed({})).toBe('')
  })

  // Each right side was read from iptables-save.
  test.for([
    ['plain_word-1', 'plain_word-1'],
    ['-s', '-s'],
    ['ns1/svc1:p80', '"ns1/svc1:p80"'],
    ['', '""'],
    ['!', '"!"'],
    ['a "q" b', String.raw`"a \"q\" b"`],
    [String.raw`back\slash`, String.raw`"back\\slash"`],
    ["it's", String.raw`"it\'s"`],
    ['ünïcode — x', '"ünïcode — x"'],
    ['a;b$c`d#e!f', '"a;b$c`d#e!f"'],
    ['two  blanks ', '"two  blanks "'],
  ] as const)('the comment %j is written %s', ([text, word]) => {
    expect(printed({ matches: [comment(text)] })).toBe(`-m comment --comment ${word}`)
  })

  test.for<[Match, string]>([
    [{ kind: 'ports', protocol: 'tcp' }, '-m tcp'],
    [
      {
        kind: 'ports',
        protocol: 'udp',
        source: { value: { from: 5, to: 65_535 }, not: true },
        destination: { value: { from: 53, to: 53 } },
      },
      '-m udp ! --sport 5:65535 --dport 53',
    ],
    [{ kind: 'addrtype', destination: { value: 'LOCAL' } }, '-m addrtype --dst-type LOCAL'],
    [{ kind: 'addrtype', source: { value: 'LOCAL', not: true } }, '-m addrtype ! --src-type LOCAL'],
    [
      { kind: 'conntrack', states: { value: ['RELATED', 'ESTABLISHED', 'DNAT'], not: true } },
      '-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT',
    ],
    [{ kind: 'mark', mark: { value: { value: 0x4000, mask: 0x4000 }, not: true } }, '-m mark ! --mark 0x4000/0x4000'],
    [{ kind: 'mark', mark: { value: { value: 5, mask: 0xffffffff } } }, '-m mark --mark 0x5'],
    [{ kind: 'statistic', threshold: 715_827_883 }, '-m statistic --mode random --probability 0.33333333349'],
    [{ kind: 'statistic', threshold: 2 ** 19 }, '-m statistic --mode random --probability 0.00024414062'],
    [{ kind: 'statistic', threshold: 3 * 2 ** 19 }, '-m statistic --mode random --probability 0.00073242188'],
    [{ kind: 'statistic', threshold: 2 ** 31 }, '-m statistic --mode random --probability 1.00000000000'],
    [
      { kind: 'recent', name: 'KUBE-SEP-A', action: { kind: 'set' } },
      '-m recent --set --name KUBE-SEP-A --mask 255.255.255.255 --rsource',
    ],
    [
      { kind: 'recent', name: 'A', action: { kind: 'check', seconds: 10_800, reap: true } },
      '-m recent --rcheck --seconds 10800 --reap --name A --mask 255.255.255.255 --rsource',
    ],
    [{ kind: 'nfacct', name: 'ct_state' }, '-m nfacct --nfacct-name  ct_state'],
    [
      { kind: 'set', set: { value: { name: 'S', directions: 'dst,dst' }, not: true } },
      '-m set ! --match-set S dst,dst',
    ],
    [
      { kind: 'ipvs', protocol: 132, address: '203.0.113.100' as Ip, port: 53 },
      '-m ipvs --vproto 132 --vaddr 203.0.113.100 --vport 53',
    ],
    [{ kind: 'physdev', isIn: true }, '-m physdev --physdev-is-in'],
    [{ kind: 'physdev', isIn: false }, '-m physdev ! --physdev-is-in'],
    [{ kind: 'unknown', words: ['-m', 'ipvs', '--vproto', '6'] }, '-m ipvs --vproto 6'],
  ])('%j', ([match, text]) => {
    expect(printed({ matches: [match] })).toBe(text)
  })

  test.for<[Target, string]>([
    [{ kind: 'jump', chain: 'KUBE-SERVICES' }, '-j KUBE-SERVICES'],
    [{ kind: 'goto', chain: 'KUBE-SERVICES' }, '-g KUBE-SERVICES'],
    [{ kind: 'return' }, '-j RETURN'],
    [{ kind: 'reject', with: 'icmp-port-unreachable' }, '-j REJECT --reject-with icmp-port-unreachable'],
    [{ kind: 'dnat', to: '10.0.0.1:80' }, '-j DNAT --to-destination 10.0.0.1:80'],
    [{ kind: 'masquerade', randomFully: true }, '-j MASQUERADE --random-fully'],
    [{ kind: 'mark', xmark: { value: 0x4000, mask: 0 } }, '-j MARK --set-xmark 0x4000/0x0'],
    [{ kind: 'mark', xmark: { value: 0, mask: 0xffffffff } }, '-j MARK --set-xmark 0x0/0xffffffff'],
    [{ kind: 'unknown', words: ['-j', 'LOG', '--log-prefix', '"a b"'] }, '-j LOG --log-prefix "a b"'],
  ])('%j', ([target, text]) => {
    expect(printed({ target })).toBe(text)
  })

  test('the mask of recent has the width of the family', () => {
    const matches: Match[] = [{ kind: 'recent', name: 'A', action: { kind: 'set' } }]
    expect(printed({ matches }, 'ipv6')).toBe(
      '-m recent --set --name A --mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource',
    )
  })
})

describe('what could leave its place in a line is never printed', () => {
  test.for(['a\nCOMMIT', 'a\u0000', '\r', 'a\tb', '\u001B[2J', '\u007F', '\u0085'])('the comment %j throws', (text) => {
    expect(() => printed({ matches: [comment(text)] })).toThrow(/control character/)
  })

  test.for(['a\n-X', 'a b', 'a"b', '', 'a\u0000'])('the word %j throws wherever it stands', (word) => {
    const rules: Partial<Rule>[] = [
      { target: { kind: 'jump', chain: word } },
      { target: { kind: 'dnat', to: word } },
      { target: { kind: 'reject', with: word } },
      { inInterface: { value: word } },
      { protocol: { value: word } },
      { matches: [{ kind: 'recent', name: word, action: { kind: 'set' } }] },
      { matches: [{ kind: 'set', set: { value: { name: word, directions: 'dst' } } }] },
      { matches: [{ kind: 'addrtype', source: { value: word } }] },
    ]
    for (const rule of rules) expect(() => printed(rule)).toThrow(/cannot be a word/)
  })

  test('unknown words with a newline throw', () => {
    expect(() => printed({ matches: [{ kind: 'unknown', words: ['-m', 'a\nCOMMIT'] }] })).toThrow(/control character/)
    expect(() => printed({ target: { kind: 'unknown', words: ['-j', 'A\n'] } })).toThrow(/control character/)
  })
})
