// What N Services with E endpoints come to: counts against rules that are really compiled, costs against coefficients.
import { describe, expect, test } from 'vitest'
import type { Coefficients } from '../../src/estimate/coefficient-types.ts'
import { COEFFICIENTS } from '../../src/estimate/coefficients.ts'
import { estimateCosts, measureAmounts, scaleAmounts } from '../../src/estimate/estimate.ts'
import { makeSnapshot, type Shape } from '../../src/estimate/synthetic.ts'
import { compile, decodeProxyConfig, describeNode, link, printPayload } from '../../src/index.ts'

const CONFIG = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nclusterCIDR: 10.128.0.0/9\n'

function programOf(shape: Shape) {
  const { config } = decodeProxyConfig(CONFIG, 'config')
  if (config === undefined) throw new Error('the configuration is invalid')
  const { facts } = describeNode('node1', undefined, config, undefined)
  return compile(makeSnapshot(shape), config, facts, 'ipv4')
}

describe('amounts', () => {
  test.each([
    ['ClusterIP', 3, 2],
    ['ClusterIP', 2, 0],
    ['NodePort', 4, 1],
    ['LoadBalancer', 5, 7],
  ] as const)(
    'of %s Services, %i with %i endpoints, are those of the rules themselves',
    (type, services, endpoints) => {
      const program = programOf({ services, endpoints, type })
      let rules = 0
      let chains = 0
      for (const table of link(program).tables.values()) {
        for (const [name, chain] of table) {
          rules += chain.rules.length
          if (name.startsWith('KUBE-')) chains += 1
        }
      }
      const amounts = measureAmounts(program)
      expect(amounts).toMatchObject({ services, endpoints: services * endpoints, rules, chains, setEntries: 0 })
      expect(amounts.payloadBytes).toBe(Buffer.byteLength(printPayload(program)))
    },
  )

  // Spec oracle: 10 ClusterIP Services with 10 endpoints have 325 nat rules beside the jumps, of which nat has 3.
  test('of 10 Services with 10 endpoints are those that kube-proxy counts', () => {
    const { rulesByTable } = measureAmounts(programOf({ services: 10, endpoints: 10, type: 'ClusterIP' }))
    expect(rulesByTable['nat']).toBe(325 + 3)
  })

  test('of ten times as many Services are those of so many compiled', () => {
    const shape: Shape = { services: 20, endpoints: 3, type: 'NodePort' }
    const scaled = scaleAmounts(programOf(shape), 10)
    const whole = measureAmounts(programOf({ ...shape, services: 200 }))
    const { payloadBytes, ...counts } = scaled
    const { payloadBytes: wholeBytes, ...wholeCounts } = whole
    expect(counts).toEqual(wholeCounts)
    // Names and addresses with more digits.
    expect(Math.abs(payloadBytes / wholeBytes - 1)).toBeLessThan(0.03)
  })
})

describe('costs', () => {
  const line = (base: number, perRule: number) => ({ base, perRule })
  const variant = {
    firstSyncMs: line(100, 0.5),
    changeMs: line(10, 0),
    readBackMs: line(0, 0.1),
    kernelBytes: line(0, 200),
  }
  const coefficients: Coefficients = {
    measuredOn: 'paper',
    agentBytes: line(1_000_000, 10),
    iptables: { nft: variant, legacy: { ...variant, changeMs: line(0, 1) } },
  }

  test('follow the coefficients, by variant', () => {
    const amounts = { ...measureAmounts(programOf({ services: 1, endpoints: 1, type: 'ClusterIP' })), rules: 1000 }
    expect(estimateCosts('ipv4', amounts, coefficients)).toMatchObject({
      mode: 'iptables',
      agentBytes: 1_010_000,
      costs: {
        nft: { firstSyncMs: 600, changeMs: 10, readBackMs: 100, kernelBytes: 200_000 },
        legacy: { firstSyncMs: 600, changeMs: 1000 },
      },
    })
  })

  test('that are checked in were measured, and grow with the rules', () => {
    const { nft, legacy } = COEFFICIENTS.iptables
    for (const { firstSyncMs, readBackMs, kernelBytes } of [nft, legacy]) {
      expect(Math.min(firstSyncMs.perRule, readBackMs.perRule, kernelBytes.perRule)).toBeGreaterThan(0)
    }
    expect(COEFFICIENTS.agentBytes.base).toBeGreaterThan(1e6)
  })
})
