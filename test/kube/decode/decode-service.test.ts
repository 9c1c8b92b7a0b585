import { describe, expect, it } from 'vitest'
import { decodeService } from '../../../src/kube/decode/decode.ts'
import type { Service } from '../../../src/model/snapshot.ts'
import { rawService } from '../../support/raw-objects.ts'

const AT = { source: 'f.yaml' }

function decode(spec: Record<string, unknown> = {}, more: Record<string, unknown> = {}): Service {
  const { object, issues } = decodeService(rawService(spec, more), AT)
  expect(issues).toEqual([])
  if (object === undefined) throw new Error('no Service')
  return object
}

describe('a Service', () => {
  it('gets the defaults of the API', () => {
    expect(decode()).toEqual({
      namespace: 'shop',
      name: 'web',
      type: 'ClusterIP',
      clusterIPs: { ipv4: '172.30.0.41' },
      ports: [{ name: '', protocol: 'tcp', port: 80 }],
      externalIPs: [],
      listsExternalIPs: false,
      loadBalancerIPs: [],
      loadBalancerSourceRanges: [],
      externalTrafficPolicy: 'Cluster',
      internalTrafficPolicy: 'Cluster',
    })
  })

  it('is in the namespace default when it names none', () => {
    const { object } = decodeService(rawService({}, { metadata: { name: 'web' } }), AT)
    expect(object?.namespace).toBe('default')
  })

  it('takes null for absent, as the API does', () => {
    const nothing = { type: null, clusterIPs: null, ipFamilies: null, externalIPs: null, sessionAffinity: null }
    expect(decode({ ...nothing, healthCheckNodePort: null }, { status: null })).toEqual(decode())
    expect(decode({ ports: [{ port: 80, name: null, protocol: null, nodePort: null }] })).toEqual(decode())
  })

  it('keeps what its ports say', () => {
    const ports = [
      { name: 'dns', port: 53, protocol: 'UDP', nodePort: 30053, targetPort: 'dns', appProtocol: 'x' },
      { name: 'sctp', port: 65535, protocol: 'SCTP', nodePort: 0 },
    ]
    expect(decode({ type: 'NodePort', ports }).ports).toEqual([
      { name: 'dns', protocol: 'udp', port: 53, nodePort: 30053 },
      { name: 'sctp', protocol: 'sctp', port: 65535 },
    ])
  })

  it.each([
    ['the only one when there are no families', {}, { ipv4: '172.30.0.41' }],
    ['the only one, of IPv6', { clusterIP: 'FD00::0:1' }, { ipv6: 'fd00::1' }],
    [
      'one by family',
      { clusterIP: 'fd00::1', clusterIPs: ['fd00::1', '172.30.0.041'], ipFamilies: ['IPv6', 'IPv4'] },
      { ipv6: 'fd00::1', ipv4: '172.30.0.41' },
    ],
    [
      'only those that have a family',
      { clusterIPs: ['172.30.0.41', 'fd00::1'], ipFamilies: ['IPv4'] },
      { ipv4: '172.30.0.41' },
    ],
    ['only those there are', { clusterIPs: ['172.30.0.41'], ipFamilies: ['IPv4', 'IPv6'] }, { ipv4: '172.30.0.41' }],
    ['clusterIP where clusterIPs is left out', { ipFamilies: ['IPv4'] }, { ipv4: '172.30.0.41' }],
    ['none when headless', { clusterIP: 'None', clusterIPs: ['None'], ipFamilies: ['IPv4'] }, {}],
    ['none for an external name', { type: 'ExternalName', externalName: 'example.com' }, {}],
  ])('takes as cluster IPs %s', (_what, spec, expected) => {
    expect(decode(spec).clusterIPs).toEqual(expected)
  })

  it('keeps external IPs in order, of both families, and ignores blank ones', () => {
    const { externalIPs, listsExternalIPs } = decode({ externalIPs: ['192.0.2.2', ' ', 'fd00::2', '192.0.2.1'] })
    expect(externalIPs).toEqual(['192.0.2.2', 'fd00::2', '192.0.2.1'])
    expect(listsExternalIPs).toBe(true)
  })

  it('lists external IPs even when none of them can be read', () => {
    const { object, issues } = decodeService(rawService({ externalIPs: ['x', ''] }), AT)
    expect(object).toMatchObject({ externalIPs: [], listsExternalIPs: true })
    expect(issues).toHaveLength(1)
  })

  it('serves the load-balancer addresses that are to be served by the node', () => {
    const ingress = [
      { ip: '192.0.2.9' },
      { hostname: 'lb.example.com' },
      { ip: '192.0.2.8', ipMode: 'Proxy' },
      { ip: '192.0.2.7', ipMode: 'VIP' },
      { ip: '192.0.2.6', ipMode: null },
      { ip: '' },
    ]
    expect(decode({}, { status: { loadBalancer: { ingress } } }).loadBalancerIPs).toEqual([
      '192.0.2.9',
      '192.0.2.7',
      '192.0.2.6',
    ])
  })

  it('trims and masks source ranges and keeps both families and all sizes', () => {
    const given = [' 203.0.113.000/025 ', 'fd00::1/64', '0.0.0.0/0', '', '10.1.2.3/8\t']
    expect(decode({ loadBalancerSourceRanges: given }).loadBalancerSourceRanges).toEqual([
      '203.0.113.0/25',
      'fd00::/64',
      '0.0.0.0/0',
      '10.0.0.0/8',
    ])
  })

  it('has affinity seconds only with ClientIP affinity', () => {
    const sessionAffinityConfig = { clientIP: { timeoutSeconds: 60 } }
    expect(decode({ sessionAffinityConfig })).not.toHaveProperty('affinitySeconds')
    expect(decode({ sessionAffinity: 'None', sessionAffinityConfig })).not.toHaveProperty('affinitySeconds')
    expect(decode({ sessionAffinity: 'ClientIP', sessionAffinityConfig }).affinitySeconds).toBe(60)
    expect(decode({ sessionAffinity: 'ClientIP' }).affinitySeconds).toBe(10_800)
  })

  it('keeps policies and the health check port whatever its type is', () => {
    expect(
      decode({ externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local', healthCheckNodePort: 31000 }),
    ).toMatchObject({ externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local', healthCheckNodePort: 31000 })
    expect(decode({ healthCheckNodePort: 0 })).not.toHaveProperty('healthCheckNodePort')
  })
})
