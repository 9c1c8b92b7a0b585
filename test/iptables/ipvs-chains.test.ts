import { describe, expect, test } from 'vitest'
import { IPVS_JUMPS, RETIRED_BY_IPTABLES, RETIRED_BY_IPVS } from '../../src/iptables/ipvs-chains.ts'
import { printRule } from '../../src/iptables/print-rule.ts'
import type { Retired } from '../../src/iptables/program.ts'
import { BASE_CHAIN_JUMPS } from '../../src/iptables/static.ts'

function chains({ chains: retired }: Retired): readonly string[] {
  return retired.map(({ table, name }) => `${table} ${name}`).toSorted()
}

function jumps({ jumps: retired }: Pick<Retired, 'jumps'>): readonly string[] {
  return retired.map(({ table, chain, rule }) => `${table} ${chain} ${printRule(rule, 'ipv4')}`)
}

describe('changing modes', () => {
  test('to IPVS removes the chains that it does not have, and not KUBE-FIREWALL', () => {
    expect(chains(RETIRED_BY_IPVS)).toEqual([
      'filter KUBE-EXTERNAL-SERVICES',
      'filter KUBE-NODEPORTS',
      'filter KUBE-PROXY-CANARY',
      'filter KUBE-SERVICES',
      'mangle KUBE-PROXY-CANARY',
      'nat KUBE-NODEPORTS',
      'nat KUBE-PROXY-CANARY',
    ])
  })

  test('to iptables removes the chains that it does not have', () => {
    expect(chains(RETIRED_BY_IPTABLES)).toEqual([
      'filter KUBE-IPVS-FILTER',
      'filter KUBE-IPVS-OUT-FILTER',
      'filter KUBE-NODE-PORT',
      'filter KUBE-SOURCE-RANGES-FIREWALL',
      'nat KUBE-LOAD-BALANCER',
      'nat KUBE-NODE-PORT',
    ])
  })

  test('removes the jumps of one mode alone, and keeps those to KUBE-FIREWALL', () => {
    expect(jumps(RETIRED_BY_IPTABLES)).toEqual([
      'filter INPUT -m comment --comment "kubernetes health check rules" -j KUBE-NODE-PORT',
      'filter INPUT -m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL',
      'filter FORWARD -m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL',
      'filter INPUT -m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-FILTER',
      'filter OUTPUT -m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-OUT-FILTER',
    ])
    const retired = jumps(RETIRED_BY_IPVS)
    expect(retired).toHaveLength(8)
    expect(retired.filter((line) => line.includes('KUBE-FIREWALL'))).toEqual([])
    const shared = jumps({ jumps: IPVS_JUMPS }).filter((line) => jumps({ jumps: BASE_CHAIN_JUMPS }).includes(line))
    expect(shared).toHaveLength(4)
    expect(retired.filter((line) => shared.includes(line))).toEqual([])
  })
})
