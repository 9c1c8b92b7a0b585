import { describe, expect, test } from 'vitest'
import { chooseVariant, toolsOf } from '../../src/sync/variant.ts'

const ABSENT = { installed: false, saved: '' }
const saved = (...lines: readonly string[]) => ({
  installed: true,
  saved: ['*mangle', ...lines, 'COMMIT', ''].join('\n'),
})
const EMPTY = saved()
const HINT = saved(':KUBE-IPTABLES-HINT - [0:0]')
const ONE_RULE = saved('-A INPUT -j ACCEPT')
const TWO_RULES = saved('-A INPUT -j ACCEPT', '-A INPUT -j DROP')

describe('the iptables of a host', () => {
  test.each([
    ['the hint of the kubelet in nft counts more than rules in legacy', HINT, TWO_RULES, 'nft'],
    ['the hint of the kubelet in legacy counts more than rules in nft', TWO_RULES, HINT, 'legacy'],
    ['the older hint counts too', EMPTY, saved(':KUBE-KUBELET-CANARY - [0:0]'), 'legacy'],
    ['without a hint the variant with more rules is used', ONE_RULE, TWO_RULES, 'legacy'],
    ['with as many rules in both it is nft', ONE_RULE, ONE_RULE, 'nft'],
    ['without any rules it is nft', EMPTY, EMPTY, 'nft'],
    ['only what is installed can be used', ABSENT, EMPTY, 'legacy'],
    ['nft alone is used without a look at rules', EMPTY, ABSENT, 'nft'],
    ['what the kernel does not support is not used: nft', { ...EMPTY, unsupported: true }, EMPTY, 'legacy'],
    ['what the kernel does not support is not used: legacy', ONE_RULE, { ...EMPTY, unsupported: true }, 'nft'],
    [
      'where neither answers, as without privileges, it is nft',
      { ...EMPTY, unsupported: true },
      { ...EMPTY, unsupported: true },
      'nft',
    ],
  ] as const)('%s', (_name, nft, legacy, variant) => {
    expect(chooseVariant(nft, legacy)?.variant).toBe(variant)
  })

  test('is what a flag says, when it is installed', () => {
    expect(chooseVariant(HINT, EMPTY, 'legacy')?.variant).toBe('legacy')
    expect(chooseVariant(HINT, ABSENT, 'legacy')).toBeUndefined()
  })

  test('is none where none is installed', () => {
    expect(chooseVariant(ABSENT, ABSENT)).toBeUndefined()
  })

  test('a chain that only begins like the hint is none', () => {
    expect(chooseVariant(ONE_RULE, saved(':KUBE-KUBELET-CANARY-X - [0:0]'))?.variant).toBe('nft')
  })

  test('each family and variant has its own programs', () => {
    expect(toolsOf('legacy', 'ipv6')).toEqual({
      run: 'ip6tables-legacy',
      save: 'ip6tables-legacy-save',
      restore: 'ip6tables-legacy-restore',
    })
  })
})
