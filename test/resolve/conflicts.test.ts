import { describe, expect, test } from 'vitest'
import { compile, defaultProxyConfig, describeNode, findConflicts, formatIssue } from '../../src/index.ts'
import type { Ip } from '../../src/model/address.ts'
import type { Service, ServicePortSpec } from '../../src/model/snapshot.ts'
import { entryOf, snapshotOf } from '../support/arbitrary-cluster.ts'

const PORT: ServicePortSpec = { name: 'p80', protocol: 'tcp', port: 80 }

function service(name: string, changes: Partial<Service> = {}): Service {
  return {
    namespace: 'ns1',
    name,
    type: 'LoadBalancer',
    clusterIPs: { ipv4: `172.30.0.${name.charCodeAt(0)}` as Ip },
    ports: [PORT],
    externalIPs: [],
    listsExternalIPs: false,
    loadBalancerIPs: [],
    loadBalancerSourceRanges: [],
    externalTrafficPolicy: 'Local',
    internalTrafficPolicy: 'Cluster',
    ...changes,
  }
}

function conflicts(...services: readonly Service[]): readonly string[] {
  const config = defaultProxyConfig()
  const { facts } = describeNode('node1', undefined, config, undefined)
  const { servicePorts } = compile(snapshotOf(services.map((each) => entryOf(each, []))), config, facts, 'ipv4')
  const issues = findConflicts(servicePorts)
  expect(issues.filter(({ severity }) => severity !== 'notice')).toEqual([])
  return issues.map(formatIssue)
}

function told(claim: string, second: string, first: string): string {
  const object = second.split(':')[0] ?? ''
  return `Service ${object}: ${claim} of ${second} is also claimed by ${first}, whose rules come first: give one of them another address or port`
}

describe('two Services that claim one address and port are reported', () => {
  const ip = '192.0.2.1' as Ip

  test('by external IPs', () => {
    expect(conflicts(service('b', { externalIPs: [ip] }), service('a', { externalIPs: [ip] }))).toEqual([
      told('192.0.2.1:80/tcp', 'ns1/b:p80', 'ns1/a:p80'),
    ])
  })

  test('across kinds of addresses', () => {
    const both = conflicts(
      service('a', { clusterIPs: { ipv4: ip } }),
      service('b', { externalIPs: [ip] }),
      service('c', { loadBalancerIPs: [ip] }),
    )
    expect(both).toEqual([
      told('192.0.2.1:80/tcp', 'ns1/b:p80', 'ns1/a:p80'),
      told('192.0.2.1:80/tcp', 'ns1/c:p80', 'ns1/a:p80'),
    ])
  })

  test('by node ports, and by a health check node port, which is TCP', () => {
    const nodePort = (name: string, protocol: 'tcp' | 'udp', number: number) =>
      service(name, { ports: [{ ...PORT, protocol, nodePort: number }] })
    expect(conflicts(nodePort('a', 'tcp', 30_000), nodePort('b', 'tcp', 30_000))).toEqual([
      told('node port 30000/tcp', 'ns1/b:p80', 'ns1/a:p80'),
    ])
    expect(conflicts(nodePort('a', 'tcp', 30_000), service('b', { healthCheckNodePort: 30_000 }))).toEqual([
      told('node port 30000/tcp', 'ns1/b:p80', 'ns1/a:p80'),
    ])
    expect(conflicts(nodePort('a', 'udp', 30_000), service('b', { healthCheckNodePort: 30_000 }))).toEqual([])
  })
})

describe('no conflict is', () => {
  const ip = '192.0.2.1' as Ip

  test('another port or protocol at one address', () => {
    const ports = (changes: Partial<ServicePortSpec>) => ({ externalIPs: [ip], ports: [{ ...PORT, ...changes }] })
    expect(
      conflicts(service('a', ports({})), service('b', ports({ protocol: 'udp' })), service('c', ports({ port: 81 }))),
    ).toEqual([])
  })

  test('one Service that names an address twice, or one health check for several ports', () => {
    const ports = [PORT, { ...PORT, name: 'p81', port: 81 }]
    expect(
      conflicts(service('a', { ports, externalIPs: [ip, ip], loadBalancerIPs: [ip], healthCheckNodePort: 32_000 })),
    ).toEqual([])
  })

  test('a health check node port that has no effect', () => {
    const changes: Partial<Service> = { healthCheckNodePort: 32_000, externalTrafficPolicy: 'Cluster' }
    expect(conflicts(service('a', changes), service('b', changes))).toEqual([])
  })
})
