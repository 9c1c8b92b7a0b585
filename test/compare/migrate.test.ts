// What changes for whom when a node moves to another mode or proxy.
import { describe, expect, test } from 'vitest'
import { describeMigration } from '../../src/compare/migrate.ts'
import type { Migration } from '../../src/compare/migration.ts'
import { compile } from '../../src/index.ts'
import { readCase } from '../support/golden-case.ts'

function migrate(to: Migration, name: string) {
  const { snapshot, config, node } = readCase(name)
  const { servicePorts, settings } = compile(snapshot, config, node, 'ipv4')
  return describeMigration(to, [{ servicePorts, settings, config }])
}

const said = (to: Migration, name: string) => [...migrate(to, name).services.values()].flat().join('\n')

describe('from iptables to IPVS', () => {
  test.each([
    [
      'own/node-port',
      /processes on the node that use 127\.0\.0\.1:\d+: until now they reach an endpoint; then they reach nothing/,
    ],
    [
      'own/no-endpoints',
      /clients, while no endpoint serves: until now they get a REJECT at once; then they meet a virtual server without real servers/,
    ],
    [
      'own/external-policy-local-none-here',
      /clients from outside \(externalTrafficPolicy Local.*have their packets dropped; then they are sent to endpoints on other nodes, and not masqueraded/,
    ],
    [
      'own/external-policy-local',
      /until now they reach every endpoint; then they reach the endpoints of this node only/,
    ],
    ['own/affinity', /clients with session affinity \(600 s/],
    ['own/external-ip', /hosts that look for .*kube-ipvs0, and every node answers ARP/],
  ])('%s', (name, statement) => {
    expect(said('ipvs', name)).toMatch(statement)
  })

  test('a Service with nothing special has no statement of its own', () => {
    expect([...migrate('ipvs', 'own/cluster-ip').services.keys()]).toEqual([])
  })

  test('localhost node ports that are off change nothing', () => {
    expect(said('ipvs', 'recorded/config-variants-no-localhost-nodeports')).not.toContain('127.0.0.1')
  })

  test('for every Service: the scheduler, pings, other ports', () => {
    const general = migrate('ipvs', 'own/cluster-ip').general.join('\n')
    expect(general).toContain(
      'choice of an endpoint: until now by chance, with an equal share for each; then by IPVS scheduler rr',
    )
    expect(general).toMatch(/ping of a cluster IP: .*then rejected by the node/)
    expect(general).not.toContain('loadBalancerSourceRanges')
    expect(migrate('ipvs', 'own/source-ranges').general).toContain(
      'loadBalancerSourceRanges let in the same clients in both modes',
    )
  })

  test('rules that reject stay behind, and how many', () => {
    const left = migrate('ipvs', 'own/no-endpoints').left.join('\n')
    expect(left).toMatch(/\d+ rules that reject or drop .* stay in force/)
    expect(left).toContain('sluice run --cleanup')
    expect(migrate('ipvs', 'own/cluster-ip').left.join('\n')).not.toContain('stay in force')
  })
})

describe('from IPVS to iptables', () => {
  test('the same is said the other way round', () => {
    expect(said('iptables', 'own/no-endpoints')).toMatch(
      /until now they meet a virtual server without real servers.*; then they get a REJECT at once/,
    )
  })

  test('the interface, the servers and the sets stay behind', () => {
    const left = migrate('iptables', 'own/cluster-ip').left.join('\n')
    expect(left).toContain('kube-ipvs0')
    expect(left).toContain('virtual servers')
  })
})

describe('from kube-proxy to sluice', () => {
  test('UDP flows end and claims are decided, and nothing else changes', () => {
    const udp = [...migrate('sluice', 'own/udp-and-sctp').services.values()].flat()
    expect(udp.filter((statement) => statement.includes('UDP clients'))).toHaveLength(1)
    expect(udp).toHaveLength(1)
    expect(said('sluice', 'own/conflict')).toContain('with sluice the names do')
    expect(migrate('sluice', 'own/cluster-ip')).toMatchObject({ general: [], services: new Map() })
  })

  test('nothing is left behind, but both must not run', () => {
    expect(migrate('sluice', 'own/cluster-ip').left.join('\n')).toContain('stop kube-proxy first')
  })
})
