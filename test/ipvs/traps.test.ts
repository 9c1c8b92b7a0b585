// Where kube-proxy's IPVS mode is not what one would expect, and what only sluice does.
import { describe, expect, test } from 'vitest'
import {
  assembleSnapshot,
  defaultProxyConfig,
  describeNode,
  link,
  type ProxyConfig,
  parseDocuments,
} from '../../src/index.ts'
import { printRule } from '../../src/iptables/print-rule.ts'
import { compileIpvs } from '../../src/ipvs/compile.ts'
import { linkIpvs } from '../../src/ipvs/link.ts'
import { SET_NAMES, setHeader, setName } from '../../src/ipvs/sets.ts'
import { realServerKey } from '../../src/ipvs/virtual-server.ts'
import { type Family, parseCidr, parseIp } from '../../src/model/address.ts'
import { elsewhere, here, ingress, NOT_READY, service, slice } from '../support/compiled-lines.ts'

type Fields = Record<string, unknown>
type Lines = readonly string[]

interface Shown {
  readonly nat: (chain: string) => Lines
  readonly filter: (chain: string) => Lines
  readonly set: (name: string) => Lines
  readonly servers: ReadonlyMap<string, Lines>
  readonly owners: ReadonlyMap<string, string>
  readonly addresses: Lines
}

interface Circumstances {
  readonly config?: Partial<ProxyConfig>
  readonly addresses?: Lines
  readonly family?: Family
}

/** On node1 at 192.168.1.63. */
function shown(
  objects: readonly Fields[],
  { config = {}, addresses = [], family = 'ipv4' }: Circumstances = {},
): Shown {
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
  const { snapshot, issues } = assembleSnapshot(parseDocuments(list, 'test').objects)
  expect(issues).toEqual([])
  const proxy: ProxyConfig = { ...defaultProxyConfig(), nodePortAddresses: [], ...config }
  const host = {
    addresses: ['127.0.0.1', '192.168.1.63', 'fe80::1', ...addresses].flatMap((text) => parseIp(text) ?? []),
    features: { nfacct: false, randomFully: true, tcpBeLiberal: false },
  }
  const bindAddress = parseIp('192.168.1.63') ?? proxy.bindAddress
  const { facts } = describeNode('node1', undefined, { ...proxy, bindAddress }, host)
  const state = linkIpvs(compileIpvs(snapshot, proxy, facts, family))
  const rules = (table: string) => (chain: string) =>
    (link(state.rules).tables.get(table)?.get(chain)?.rules ?? []).map((rule) => printRule(rule, family))
  const servers = [...state.virtualServers]
  return {
    nat: rules('nat'),
    filter: rules('filter'),
    set: (name) => [...(state.sets.get(name)?.entries.keys() ?? [])],
    servers: new Map(servers.map(([key, { virtualServer }]) => [key, virtualServer.realServers.map(realServerKey)])),
    owners: new Map(servers.map(([key, { owner }]) => [key, owner])),
    addresses: [...state.addresses],
  }
}

const LOAD_BALANCER: Fields = { type: 'LoadBalancer', ports: [{ name: 'p80', port: 80, nodePort: 30080 }] }

describe('set entries', () => {
  test('do not depend on endpoints', () => {
    const { set, servers } = shown([service()])
    expect(set('KUBE-CLUSTER-IP')).toEqual(['172.30.0.41,tcp:80'])
    expect(servers).toEqual(new Map([['tcp 172.30.0.41:80', []]]))
  })

  test('for hairpin traffic are there for what runs here, ready or not, and for nothing else', () => {
    const endpoints = [here('10.180.0.1', NOT_READY), here('10.180.0.2'), elsewhere('10.180.1.1')]
    const { set } = shown([service(), slice(endpoints)])
    expect(set('KUBE-LOOP-BACK')).toEqual(['10.180.0.1,tcp:8080,10.180.0.1', '10.180.0.2,tcp:8080,10.180.0.2'])
  })

  test('of node ports under policy Local are in both sets, and the rule of Local comes first', () => {
    const { set, nat } = shown([
      service({ ...LOAD_BALANCER, externalTrafficPolicy: 'Local', healthCheckNodePort: 30000 }),
    ])
    expect(set('KUBE-NODE-PORT-TCP')).toEqual(['30080'])
    expect(set('KUBE-NODE-PORT-LOCAL-TCP')).toEqual(['30080'])
    expect(set('KUBE-HEALTH-CHECK-NODE-PORT')).toEqual(['30000'])
    expect(nat('KUBE-NODE-PORT').map((line) => line.slice(line.indexOf('--match-set')))).toEqual([
      '--match-set KUBE-NODE-PORT-LOCAL-TCP dst -j RETURN',
      '--match-set KUBE-NODE-PORT-TCP dst -j KUBE-MARK-MASQ',
    ])
  })

  test('of SCTP node ports name every address of the node, those of TCP and UDP none', () => {
    const port = (protocol: string) => ({ name: protocol.toLowerCase(), protocol, port: 80, nodePort: 30080 })
    const ports = ['TCP', 'UDP', 'SCTP'].map(port)
    const { set, servers } = shown([service({ type: 'NodePort', ports })], { addresses: ['192.168.2.1'] })
    expect(set('KUBE-NODE-PORT-TCP')).toEqual(['30080'])
    expect(set('KUBE-NODE-PORT-UDP')).toEqual(['30080'])
    expect(set('KUBE-NODE-PORT-SCTP-HASH')).toEqual(['192.168.1.63,sctp:30080', '192.168.2.1,sctp:30080'])
    expect([...servers.keys()]).toContain('sctp 192.168.2.1:30080')
  })

  test('of a range that is a single address have no length, as ipset prints them', () => {
    const ranges = { loadBalancerSourceRanges: ['203.0.113.7/32', '203.0.113.128/25'] }
    const { set } = shown([service({ ...LOAD_BALANCER, ...ranges }, ingress({ ip: '1.2.3.4' }))])
    expect(set('KUBE-LOAD-BALANCER-SOURCE-CIDR')).toEqual([
      '1.2.3.4,tcp:80,203.0.113.7',
      '1.2.3.4,tcp:80,203.0.113.128/25',
    ])
  })
})

describe('addresses', () => {
  test('that the node has on another interface are served, but not bound to kube-ipvs0', () => {
    const { servers, addresses, set } = shown([service({ externalIPs: ['192.168.2.1', '198.51.100.1'] })], {
      addresses: ['192.168.2.1'],
    })
    expect([...servers.keys()]).toContain('tcp 192.168.2.1:80')
    expect(addresses).toEqual(['172.30.0.41', '198.51.100.1'])
    expect(set('KUBE-IPVS-IPS')).toEqual(['172.30.0.41', '198.51.100.1'])
  })

  test('of node ports are those of the node without loopback and link-local ones', () => {
    const { servers } = shown([service({ ...LOAD_BALANCER, clusterIP: 'fd00::41' })], {
      family: 'ipv6',
      addresses: ['::1', 'fd00:1::63'],
    })
    expect([...servers.keys()]).toEqual(['tcp [fd00::41]:80', 'tcp [fd00:1::63]:30080'])
  })

  test('that several Services want are bound until the last one goes', () => {
    const other = service({ ports: [{ name: 'p81', port: 81 }] }, { metadata: { name: 'svc2', namespace: 'ns1' } })
    expect(shown([service(), other]).addresses).toEqual(['172.30.0.41'])
    expect(shown([other]).addresses).toEqual(['172.30.0.41'])
  })
})

describe('rules', () => {
  const clusterRule = (config: Partial<ProxyConfig>) =>
    shown([service()], { config })
      .nat('KUBE-SERVICES')
      .filter((line) => line.endsWith('-j KUBE-MARK-MASQ'))
  const set =
    '-m comment --comment "Kubernetes service cluster ip + port for masquerade purpose" -m set --match-set KUBE-CLUSTER-IP'

  test.for<[string, Partial<ProxyConfig>, string]>([
    ['of everything', { masqueradeAll: true }, `${set} dst,dst -j KUBE-MARK-MASQ`],
    [
      'of what no Pod sent',
      { clusterCIDRs: [parseCidr('10.0.0.0/8') ?? never()] },
      `! -s 10.0.0.0/8 ${set} dst,dst -j KUBE-MARK-MASQ`,
    ],
    [
      'of what comes from a cluster IP, when Pods are not known',
      { clusterCIDRs: [] },
      `${set} src,dst -j KUBE-MARK-MASQ`,
    ],
  ])('masquerade traffic to cluster IPs: %s', ([, config, line]) => {
    expect(clusterRule(config)).toEqual([line])
  })

  test('masquerade hairpin traffic without --random-fully, and other traffic with it', () => {
    const { nat } = shown([service(), slice([here('10.180.0.1')])])
    const lines = nat('KUBE-POSTROUTING').filter((line) => line.includes('MASQUERADE'))
    expect(lines.map((line) => line.slice(line.indexOf(' -j ')))).toEqual([
      ' -j MASQUERADE',
      ' -j MASQUERADE --random-fully',
    ])
  })

  test('stop this node from reaching a VIP whose source ranges do not have it', () => {
    const withRanges = (range: string) =>
      shown([service({ ...LOAD_BALANCER, loadBalancerSourceRanges: [range] }, ingress({ ip: '1.2.3.4' }))])
    const drop = '-s 1.2.3.4/32 -m ipvs --vproto 6 --vaddr 1.2.3.4 --vport 80 -j DROP'
    const outside = withRanges('203.0.113.0/25')
    expect(outside.filter('KUBE-IPVS-OUT-FILTER')).toEqual([drop])
    expect(outside.set('KUBE-LOAD-BALANCER-SOURCE-IP')).toEqual([])
    const inside = withRanges('192.168.1.0/24')
    expect(inside.filter('KUBE-IPVS-OUT-FILTER')).toEqual([])
    expect(inside.set('KUBE-LOAD-BALANCER-SOURCE-IP')).toEqual(['1.2.3.4,tcp:80,1.2.3.4'])
  })

  test('about sets are there only when the sets have entries', () => {
    const { nat, filter } = shown([])
    expect(nat('KUBE-SERVICES')).toEqual(['-s 127.0.0.0/8 -j RETURN', '-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT'])
    expect(filter('KUBE-SOURCE-RANGES-FIREWALL')).toEqual(['-j DROP'])
    expect(filter('KUBE-PROXY-FIREWALL')).toEqual([])
  })
})

describe('virtual servers', () => {
  test('send traffic under policy Local to other nodes when no endpoint is local', () => {
    const local = { ...LOAD_BALANCER, externalTrafficPolicy: 'Local', healthCheckNodePort: 30000 }
    const remote = shown([service(local), slice([elsewhere('10.180.1.1')])])
    expect(remote.servers.get('tcp 192.168.1.63:30080')).toEqual(['10.180.1.1:8080'])
    const both = shown([service(local), slice([elsewhere('10.180.1.1'), here('10.180.0.1')])])
    expect(both.servers.get('tcp 192.168.1.63:30080')).toEqual(['10.180.0.1:8080'])
    expect(both.servers.get('tcp 172.30.0.41:80')).toEqual(['10.180.0.1:8080', '10.180.1.1:8080'])
  })

  test('belong to the first by name of the ServicePorts that claim them', () => {
    const other = service(
      { clusterIP: '172.30.0.42', externalIPs: ['172.30.0.41'] },
      { metadata: { name: 'a', namespace: 'ns1' } },
    )
    const { owners } = shown([service(), other])
    expect(owners.get('tcp 172.30.0.41:80')).toBe('ns1/a:p80 tcp')
  })
})

describe('sets', () => {
  test('are 17, in their order of creation', () => {
    expect(SET_NAMES).toHaveLength(17)
    expect(SET_NAMES[0]).toBe('KUBE-LOOP-BACK')
    expect(SET_NAMES[16]).toBe('KUBE-IPVS-IPS')
  })

  test('of IPv6 have names of their own, of which two are cut off', () => {
    const names = SET_NAMES.map((name) => [name, setName(name, 'ipv6')] as const)
    const cut = names.filter(([name, ipv6]) => ipv6 !== name.replace('KUBE-', 'KUBE-6-'))
    expect(cut).toEqual([
      ['KUBE-LOAD-BALANCER-SOURCE-CIDR', 'KUBE-6-LOAD-BALANCER-SOURCE-CID'],
      ['KUBE-NODE-PORT-LOCAL-SCTP-HASH', 'KUBE-6-NODE-PORT-LOCAL-SCTP-HAS'],
    ])
  })

  test('hold 65,536 entries, and more when more are wanted', () => {
    const maxelem = (entries: number) => setHeader('KUBE-CLUSTER-IP', 'ipv4', entries).maxelem
    expect([0, 65_536, 65_537, 131_073].map(maxelem)).toEqual([65_536, 65_536, 131_072, 262_144])
    expect(setHeader('KUBE-NODE-PORT-TCP', 'ipv6', 0)).toEqual({ name: 'KUBE-6-NODE-PORT-TCP', type: 'bitmap:port' })
  })
})

function never(): never {
  throw new Error('a CIDR of this test cannot be read')
}
