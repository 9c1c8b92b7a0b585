import { expect, test } from 'vitest'
import { type Ip, parseCidr } from '../../src/model/address.ts'
import type { Service } from '../../src/model/snapshot.ts'
import { resolveServicePorts } from '../../src/resolve/service-ports.ts'

test('source ranges of the other family, and any /0, filter nothing', () => {
  const service: Service = {
    namespace: 'ns1',
    name: 'svc1',
    type: 'LoadBalancer',
    clusterIPs: { ipv4: '172.30.0.41' as Ip },
    ports: [{ name: 'p80', protocol: 'tcp', port: 80 }],
    externalIPs: [],
    listsExternalIPs: false,
    loadBalancerIPs: ['192.0.2.1' as Ip],
    loadBalancerSourceRanges: [],
    externalTrafficPolicy: 'Cluster',
    internalTrafficPolicy: 'Cluster',
  }
  const context = {
    nodeName: 'node1',
    zone: 'za',
    family: 'ipv4' as const,
    nodeIP: '192.168.1.63' as Ip,
    allowExternalIPs: true,
  }
  const rangesOf = (...texts: readonly string[]) => {
    const loadBalancerSourceRanges = texts.flatMap((text) => parseCidr(text) ?? [])
    const [port] = resolveServicePorts({ ...service, loadBalancerSourceRanges }, [], context)
    return [port?.sourceRanges, port?.nodeInSourceRanges]
  }
  expect(rangesOf('fd00::/8')).toEqual([[], false])
  expect(rangesOf('203.0.113.0/25', '0.0.0.0/0')).toEqual([[], false])
  expect(rangesOf('203.0.113.0/25', '::/0')).toEqual([['203.0.113.0/25'], false])
  expect(rangesOf('203.0.113.0/25', '192.168.0.0/16')).toEqual([['203.0.113.0/25', '192.168.0.0/16'], true])
})
