// Generates nodes and configurations, as far as rules depend on them.
import * as fc from 'fast-check'
import { defaultProxyConfig } from '../../src/kube/config/proxy-config.ts'
import { type Cidr, type Ip, parseCidr } from '../../src/model/address.ts'
import type { ProxyConfig } from '../../src/model/config.ts'
import type { NodeFacts } from '../../src/model/node.ts'
import { NODES, ZONES } from './arbitrary-cluster.ts'

/** Where a cluster is compiled for. */
export interface Setting {
  readonly config: ProxyConfig
  readonly node: NodeFacts
}

const LOCAL_ADDRESSES = ['127.0.0.1', '::1', '192.168.1.63', '192.168.1.64', '10.0.0.254', 'fd00:192::63'] as Ip[]
const CIDRS = [
  '10.0.0.0/8',
  '192.168.1.0/24',
  '127.0.0.0/8',
  '127.0.0.1/32',
  '0.0.0.0/0',
  'fd00::/8',
  '::/0',
  '::1/128',
]
const POD_CIDRS = ['10.0.0.0/16', 'fd00:10::/32', '0.0.0.0/0'].flatMap((text) => parseCidr(text) ?? [])

export function arbitrarySetting(): fc.Arbitrary<Setting> {
  return fc.record({ config: arbitraryConfig(), node: arbitraryNode() }, { noNullPrototype: true })
}

export function arbitraryNode(): fc.Arbitrary<NodeFacts> {
  return fc.record(
    {
      name: fc.constantFrom(...NODES),
      zone: fc.constantFrom('', ...ZONES),
      nodeIPs: fc.constantFrom(
        { ipv4: '192.168.1.63' as Ip, ipv6: 'fd00:192::63' as Ip },
        { ipv4: '127.0.0.1' as Ip, ipv6: '::1' as Ip },
      ),
      primaryFamily: fc.constant('ipv4' as const),
      podCIDRs: fc.subarray(POD_CIDRS),
      host: fc.record(
        {
          addresses: fc.shuffledSubarray(LOCAL_ADDRESSES),
          features: fc.record(
            { nfacct: fc.boolean(), randomFully: fc.boolean(), tcpBeLiberal: fc.boolean() },
            { noNullPrototype: true },
          ),
        },
        { noNullPrototype: true },
      ),
    },
    { noNullPrototype: true },
  )
}

export function arbitraryConfig(): fc.Arbitrary<ProxyConfig> {
  const base = defaultProxyConfig()
  const cidrs = fc.subarray<Cidr>(CIDRS.flatMap((text) => parseCidr(text) ?? []))
  return fc
    .record(
      {
        masqueradeAll: fc.boolean(),
        masqueradeBit: fc.constantFrom(0, 14, 31),
        localhostNodePorts: fc.boolean(),
        clusterCIDRs: fc.subarray(POD_CIDRS),
        detectLocalMode: fc.constantFrom(
          'ClusterCIDR' as const,
          'NodeCIDR' as const,
          'BridgeInterface' as const,
          'InterfaceNamePrefix' as const,
        ),
        bridgeInterface: fc.constant('cni0'),
        interfaceNamePrefix: fc.constant('veth'),
        nodePortAddresses: fc.oneof(fc.constantFrom('primary' as const), cidrs),
        featureGates: fc.constantFrom({}, { AllowServiceExternalIPs: true }, { AllowServiceExternalIPs: false }),
        conntrack: fc.boolean().map((tcpBeLiberal) => ({ ...base.conntrack, tcpBeLiberal })),
      },
      { noNullPrototype: true },
    )
    .map((changes) => ({ ...base, ...changes }))
}
