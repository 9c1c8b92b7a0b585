// What Services come to in IPVS mode, counted against what kube-proxy made of recorded clusters.
import { describe, expect, test } from 'vitest'
import type { Coefficients } from '../../src/estimate/coefficient-types.ts'
import { COEFFICIENTS } from '../../src/estimate/coefficients.ts'
import { estimateIpvsCosts, measureIpvsAmounts, objectsOf, scaleIpvsAmounts } from '../../src/estimate/ipvs.ts'
import { makeSnapshot } from '../../src/estimate/synthetic.ts'
import { compileIpvs } from '../../src/ipvs/compile.ts'
import { ipvsFiles, readIpvsCase } from '../support/ipvs-side.ts'

const lines = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0

test.each(['recorded/random-003', 'recorded/loadbalancer', 'own/story-scale'])('%s: as many as there are', (name) => {
  const suffix = name.includes('story') ? '.1' : ''
  const { snapshot, config, node } = readIpvsCase(name, suffix)
  const files = ipvsFiles(name, suffix)
  const amounts = (['ipv4', 'ipv6'] as const).map((family) =>
    measureIpvsAmounts(compileIpvs(snapshot, config, node, family)),
  )
  const sum = (what: 'setEntries' | 'virtualServers' | 'realServers' | 'addresses') =>
    amounts.reduce((total, each) => total + each[what], 0)
  expect(sum('virtualServers')).toBe(lines(files['ipvsadm-save'], /^-A /gm))
  expect(sum('realServers')).toBe(lines(files['ipvsadm-save'], /^-a /gm))
  expect(sum('setEntries')).toBe(lines(files['ipset-save'], /^add /gm))
  expect(sum('addresses')).toBe(lines(files['kube-ipvs0-addresses'], /\n/g))
})

describe('N Services that are alike', () => {
  const { config, node } = readIpvsCase('own/story-scale', '.1')
  const program = (services: number) =>
    compileIpvs(makeSnapshot({ services, endpoints: 5, type: 'ClusterIP' }), config, node, 'ipv4')

  test('are multiplied, and the rules around them are not', () => {
    const { payloadBytes, ...scaled } = scaleIpvsAmounts(program(100), 10)
    const { payloadBytes: counted, ...whole } = measureIpvsAmounts(program(1_000))
    expect(scaled).toEqual(whole)
    // Numbers in addresses have more digits.
    expect(payloadBytes / counted).toBeCloseTo(1, 1)
    expect(objectsOf({ ...scaled, payloadBytes })).toBe(1_000 * (2 + 1 + 5 + 1))
  })

  test('have costs only where they were measured', () => {
    const amounts = measureIpvsAmounts(program(10))
    const line = (base: number, perRule: number) => ({ base, perRule })
    const ipvs = { measuredIn: 'x', firstSyncMs: line(10, 2), changeMs: line(5, 0), agentBytes: line(1_000, 1) }
    const { ipvs: _, ...bare } = COEFFICIENTS
    const measured: Coefficients = { ...bare, ipvs }
    expect(estimateIpvsCosts('ipv4', amounts, bare).costs).toBeUndefined()
    expect(estimateIpvsCosts('ipv4', amounts, measured).costs).toEqual({
      firstSyncMs: 10 + 2 * 90,
      changeMs: 5,
      agentBytes: 1_090,
    })
  })
})
