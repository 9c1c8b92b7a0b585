import { describe, expect, test } from 'vitest'
import { settingsFor } from '../../src/iptables/settings.ts'
import { defaultProxyConfig } from '../../src/kube/config/proxy-config.ts'
import { type Cidr, type Ip, parseCidr, parseIp } from '../../src/model/address.ts'
import type { DetectLocalMode, ProxyConfig } from '../../src/model/config.ts'
import type { Node } from '../../src/model/snapshot.ts'
import { describeNode, localDetector, nodePortCIDRs } from '../../src/resolve/node-facts.ts'

function configured(changes: Partial<ProxyConfig> = {}): ProxyConfig {
  return { ...defaultProxyConfig(), ...changes }
}

function ips(...texts: readonly string[]): readonly Ip[] {
  return texts.flatMap((text) => parseIp(text) ?? [])
}

function cidrs(...texts: readonly string[]): readonly Cidr[] {
  return texts.flatMap((text) => parseCidr(text) ?? [])
}

function node(addresses: readonly string[], more: Partial<Node> = {}): Node {
  return { name: 'node1', podCIDRs: [], addresses: ips(...addresses), ...more }
}

describe('the node IPs and the primary family', () => {
  test.each([
    [[], '10.0.0.1', 'ipv4', '10.0.0.1', '::1'],
    [[], 'fd00:4321::2', 'ipv6', '127.0.0.1', 'fd00:4321::2'],
    [[], '0.0.0.0', 'ipv4', '127.0.0.1', '::1'],
    [['fd00:1234::1'], '0.0.0.0', 'ipv6', '127.0.0.1', 'fd00:1234::1'],
    [['90.90.90.90', '2001:db8::2'], '::', 'ipv4', '90.90.90.90', '2001:db8::2'],
    [['2001:db8::2', '90.90.90.90'], '80.80.80.80', 'ipv4', '80.80.80.80', '2001:db8::2'],
    [['90.90.90.90', '2001:db8::2'], '2001:db8::555', 'ipv6', '90.90.90.90', '2001:db8::555'],
    [['90.90.90.90', '90.90.90.91', '2001:db8::2', '2001:db8::3'], '0.0.0.0', 'ipv4', '90.90.90.90', '2001:db8::2'],
  ] as const)('of a node with %j bound to %s', (addresses, bindAddress, primaryFamily, ipv4, ipv6) => {
    const config = configured({ bindAddress: bindAddress as Ip })
    const { facts } = describeNode('node1', node(addresses), config, undefined)
    expect(facts).toMatchObject({ primaryFamily, nodeIPs: { ipv4, ipv6 } })
  })

  test('of a node that the cluster does not have are loopback', () => {
    const { facts, issues } = describeNode('node9', undefined, configured(), undefined)
    expect(facts).toEqual({
      name: 'node9',
      zone: '',
      nodeIPs: { ipv4: '127.0.0.1', ipv6: '::1' },
      primaryFamily: 'ipv4',
      podCIDRs: [],
      host: {
        addresses: ['127.0.0.1', '::1'],
        features: { nfacct: true, randomFully: true, tcpBeLiberal: false },
      },
    })
    expect(issues).toEqual([])
  })

  test('a host that was read is believed, and otherwise has the addresses of the Node', () => {
    const host = { addresses: ips('10.9.9.9'), features: { nfacct: false, randomFully: false, tcpBeLiberal: true } }
    expect(describeNode('node1', node(['10.0.0.1']), configured(), host).facts.host).toBe(host)
    expect(describeNode('node1', node(['10.0.0.1']), configured(), undefined).facts.host.addresses).toEqual([
      '127.0.0.1',
      '::1',
      '10.0.0.1',
    ])
  })
})

describe('nodePortAddresses primary', () => {
  test.each([
    [
      ['192.168.1.63', 'fd00::63'],
      ['192.168.1.63/32', 'fd00::63/128'],
    ],
    [['fd00::63'], ['fd00::63/128']],
    [['192.168.1.63'], ['192.168.1.63/32']],
    [[], []],
  ])('of a node with %j is %j', (addresses, expected) => {
    const config = configured({ nodePortAddresses: 'primary' })
    const { facts } = describeNode('node1', node(addresses), config, undefined)
    expect(nodePortCIDRs(config, facts)).toEqual(expected)
  })

  test('leaves a family without a CIDR open on all local addresses', () => {
    const config = configured({ nodePortAddresses: 'primary' })
    const { facts } = describeNode('node1', node(['192.168.1.63']), config, undefined)
    expect(settingsFor(config, facts, 'ipv4').nodePortAddresses).toEqual(['192.168.1.63'])
    expect(settingsFor(config, facts, 'ipv6').nodePortAddresses).toBe('local')
  })
})

describe('nodePortAddresses', () => {
  const local = ips('127.0.0.1', '127.0.0.2', '::1', '10.0.0.9', '10.0.0.10', '10.0.0.10', '192.168.1.63', 'fd00::63')
  const host = { addresses: local, features: { nfacct: true, randomFully: true, tcpBeLiberal: false } }

  test.each([
    ['ipv4', [], 'local', true],
    ['ipv6', [], 'local', false],
    ['ipv4', ['fd00::/8'], 'local', true],
    ['ipv6', ['10.0.0.0/8'], 'local', false],
    ['ipv4', ['10.0.0.0/8', '0.0.0.0/0'], 'local', true],
    ['ipv6', ['fd00::/8', '::/0'], 'local', false],
    ['ipv4', ['10.0.0.0/8'], ['10.0.0.10', '10.0.0.9'], false],
    ['ipv4', ['10.0.0.0/8', '192.168.0.0/16'], ['10.0.0.10', '10.0.0.9', '192.168.1.63'], false],
    ['ipv4', ['127.0.0.1/32'], ['127.0.0.1'], true],
    ['ipv4', ['127.0.0.0/8', '10.0.0.9/32'], ['10.0.0.9', '127.0.0.1', '127.0.0.2'], true],
    ['ipv4', ['64.0.0.0/2', '10.0.0.9/32'], ['10.0.0.9', '127.0.0.1', '127.0.0.2'], true],
    ['ipv4', ['203.0.113.0/24'], [], false],
    ['ipv6', ['::1/128', 'fd00::/8'], ['fd00::63'], false],
    ['ipv6', ['::1/128'], [], false],
  ] as const)('%s with %j come to %j, localhost node ports %s', (family, texts, addresses, localhostNodePorts) => {
    const config = configured({ nodePortAddresses: cidrs(...texts), localhostNodePorts: true })
    const { facts } = describeNode('node1', node(['192.168.1.63']), config, host)
    expect(settingsFor(config, facts, family)).toMatchObject({ nodePortAddresses: addresses, localhostNodePorts })
  })

  test('leave loopback out when localhost node ports are switched off', () => {
    const config = configured({ nodePortAddresses: cidrs('127.0.0.0/8', '10.0.0.9/32'), localhostNodePorts: false })
    const { facts } = describeNode('node1', node([]), config, host)
    expect(settingsFor(config, facts, 'ipv4')).toMatchObject({
      nodePortAddresses: ['10.0.0.9'],
      localhostNodePorts: false,
    })
  })
})

describe('pod traffic is recognised', () => {
  const clusterCIDRs = cidrs('fd00:10::1/64', '10.244.1.2/16', '10.9.0.0/16')
  const podCIDRs = cidrs('10.244.7.0/24', 'fd00:10:7::/80')
  const detectorOf = (
    detectLocalMode: DetectLocalMode,
    family: 'ipv4' | 'ipv6',
    changes: Partial<ProxyConfig> = {},
  ) => {
    const config = configured({
      detectLocalMode,
      clusterCIDRs,
      bridgeInterface: 'cni0',
      interfaceNamePrefix: 'veth',
      ...changes,
    })
    return localDetector(config, describeNode('node1', node([], { podCIDRs }), config, undefined).facts, family)
  }

  test.each([
    ['ClusterCIDR', { kind: 'source', cidr: '10.244.0.0/16' }, { kind: 'source', cidr: 'fd00:10::/64' }],
    ['NodeCIDR', { kind: 'source', cidr: '10.244.7.0/24' }, { kind: 'source', cidr: 'fd00:10:7::/80' }],
    ['BridgeInterface', { kind: 'interface', name: 'cni0' }, { kind: 'interface', name: 'cni0' }],
    ['InterfaceNamePrefix', { kind: 'interface', name: 'veth+' }, { kind: 'interface', name: 'veth+' }],
  ] as const)('in mode %s', (mode, ipv4, ipv6) => {
    expect(detectorOf(mode, 'ipv4')).toEqual(ipv4)
    expect(detectorOf(mode, 'ipv6')).toEqual(ipv6)
  })

  test('not at all in a family without a CIDR', () => {
    expect(detectorOf('ClusterCIDR', 'ipv6', { clusterCIDRs: cidrs('10.244.0.0/16') })).toBeUndefined()
    expect(detectorOf('ClusterCIDR', 'ipv4', { clusterCIDRs: [] })).toBeUndefined()
  })
})

describe('mode NodeCIDR', () => {
  const config = configured({ detectLocalMode: 'NodeCIDR' })
  const issuesOf = (given: Node | undefined, used = config) => describeNode('node1', given, used, undefined).issues

  test('says that a Node without podCIDRs lacks them', () => {
    for (const given of [node(['10.0.0.1']), undefined]) {
      expect(issuesOf(given)).toEqual([
        {
          severity: 'error',
          at: { object: 'Node node1', field: 'spec.podCIDRs' },
          message:
            'detectLocalMode is NodeCIDR and the Node has no podCIDRs: add it, or choose another detectLocalMode',
        },
      ])
    }
  })

  test('says that the primary family lacks one', () => {
    expect(issuesOf(node(['fd00::1', '10.0.0.1'], { podCIDRs: cidrs('10.244.7.0/24') }))[0]?.message).toContain(
      'no ipv6 podCIDR',
    )
  })

  test('is content with one of the primary family, wherever it stands', () => {
    expect(issuesOf(node(['10.0.0.1'], { podCIDRs: cidrs('fd00:10:7::/80', '10.244.7.0/24') }))).toEqual([])
  })

  test('is the only one that needs podCIDRs', () => {
    expect(issuesOf(node(['10.0.0.1']), configured({ detectLocalMode: 'ClusterCIDR' }))).toEqual([])
  })
})
