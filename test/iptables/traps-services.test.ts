// What people get wrong about Services: numbers are those of the list of subtle behaviours that kube-proxy has.
import { describe, expect, test } from 'vitest'
import { compiled, elsewhere, here, ingress, service, slice } from '../support/compiled-lines.ts'

const SVC = 'KUBE-SVC-XPGD46QRK7WJZT7O'
const EXT = 'KUBE-EXT-XPGD46QRK7WJZT7O'
const FW = 'KUBE-FW-XPGD46QRK7WJZT7O'
const SEP = 'KUBE-SEP-CPWPCALSNDDLLDLJ'
const ONE = slice([elsewhere('10.180.0.1')])
const CLUSTER_IP_LINE = `-d 172.30.0.41/32 -p tcp -m comment --comment "ns1/svc1:p80 cluster IP" -m tcp --dport 80 -j ${SVC}`
const VIP = ingress({ ip: '192.0.2.9' })
const TAIL =
  '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS'

test('(1) the masquerade mark is one bit, written in hexadecimal, up to the highest', () => {
  const mark = (masqueradeBit: number) => compiled([], { config: { masqueradeBit } }).nat('KUBE-MARK-MASQ')
  expect(mark(14)).toEqual(['-j MARK --set-xmark 0x4000/0x4000'])
  expect(mark(0)).toEqual(['-j MARK --set-xmark 0x1/0x1'])
  expect(mark(31)).toEqual(['-j MARK --set-xmark 0x80000000/0x80000000'])
  const postrouting = compiled([], { config: { masqueradeBit: 31 } }).nat('KUBE-POSTROUTING')
  expect(postrouting.slice(0, 2)).toEqual([
    '-m mark ! --mark 0x80000000/0x80000000 -j RETURN',
    '-j MARK --set-xmark 0x80000000/0x0',
  ])
})

test('(2, 7) an unnamed port has no colon in comments and in the hash', () => {
  const lines = compiled([
    service({ ports: [{ port: 53, protocol: 'UDP' }] }),
    slice(['10.180.0.1'], { ports: [{ name: '', port: 53, protocol: 'UDP' }] }),
  ])
  expect(lines.nat('KUBE-SERVICES')[0]).toBe(
    '-d 172.30.0.41/32 -p udp -m comment --comment "ns1/svc1 cluster IP" -m udp --dport 53 -j KUBE-SVC-A2PEVXD55OHK2IVW',
  )
  expect(lines.chains).toEqual(['KUBE-SEP-WOVZ7FYWLOFVMYSJ', 'KUBE-SVC-A2PEVXD55OHK2IVW'])
})

test('(3) the hash of an IPv6 endpoint and the DNAT target have brackets, the source has none', () => {
  const lines = compiled([service({ clusterIP: 'fd00:30::41' }), slice(['fd00:10::1'], { addressType: 'IPv6' })], {
    family: 'ipv6',
  })
  expect(lines.nat('KUBE-SEP-2YRJFLCBJYQOU77L')).toEqual([
    '-s fd00:10::1/128 -m comment --comment "ns1/svc1:p80" -j KUBE-MARK-MASQ',
    '-p tcp -m comment --comment "ns1/svc1:p80" -m tcp -j DNAT --to-destination [fd00:10::1]:8080',
  ])
})

test('(10) addresses with leading zeros and capitals give the same rules as clean ones', () => {
  const clean = compiled([service({ externalIPs: ['192.0.2.7'] }), ONE])
  const sloppy = compiled([
    service({ clusterIP: '172.030.000.041', externalIPs: ['192.000.002.007'] }),
    slice(['010.180.000.001']),
  ])
  expect(sloppy.chains).toEqual([EXT, SEP, SVC])
  expect(sloppy.nat('KUBE-SERVICES')).toEqual(clean.nat('KUBE-SERVICES'))
})

test('(12) an external IP that is IPv4 in IPv6 counts for IPv4 and not for IPv6', () => {
  const objects = [
    service({
      clusterIPs: ['172.30.0.41', 'fd00:30::41'],
      ipFamilies: ['IPv4', 'IPv6'],
      externalIPs: ['::ffff:192.168.99.5'],
    }),
    ONE,
  ]
  expect(compiled(objects).nat('KUBE-SERVICES')[1]).toBe(
    `-d 192.168.99.5/32 -p tcp -m comment --comment "ns1/svc1:p80 external IP" -m tcp --dport 80 -j ${EXT}`,
  )
  expect(compiled(objects, { family: 'ipv6' }).nat('KUBE-SERVICES').join('\n')).not.toContain('192.168.99.5')
})

describe('(17) node ports, load-balancer IPs and external IPs', () => {
  test('count whatever the type says', () => {
    const lines = compiled([
      service(
        { type: 'ClusterIP', ports: [{ name: 'p80', port: 80, nodePort: 30_000 }], externalIPs: ['192.0.2.1'] },
        VIP,
      ),
      ONE,
    ])
    expect(lines.nat('KUBE-NODEPORTS').at(-1)).toBe(
      `-p tcp -m comment --comment "ns1/svc1:p80" -m tcp --dport 30000 -j ${EXT}`,
    )
    expect(lines.nat('KUBE-SERVICES')).toEqual([
      CLUSTER_IP_LINE,
      `-d 192.0.2.1/32 -p tcp -m comment --comment "ns1/svc1:p80 external IP" -m tcp --dport 80 -j ${EXT}`,
      `-d 192.0.2.9/32 -p tcp -m comment --comment "ns1/svc1:p80 loadbalancer IP" -m tcp --dport 80 -j ${EXT}`,
      TAIL,
    ])
  })
})

describe('(18) externalTrafficPolicy Local of a ClusterIP Service', () => {
  const objects = (spec: Record<string, unknown>) => [
    service({ externalTrafficPolicy: 'Local', ...spec }, VIP),
    slice([here('10.180.0.1')]),
  ]
  const isLocal = (spec: Record<string, unknown>) =>
    compiled(objects(spec)).chains.includes('KUBE-SVL-XPGD46QRK7WJZT7O')

  test('has no effect without external IPs', () => expect(isLocal({})).toBe(false))
  test('has one with external IPs', () => expect(isLocal({ externalIPs: ['192.0.2.1'] })).toBe(true))
  test('has one with external IPs that are none', () => {
    expect(isLocal({ externalIPs: [''] })).toBe(true)
    expect(isLocal({ externalIPs: ['garbage'] })).toBe(true)
  })
  test('has one with external IPs of the other family alone', () =>
    expect(isLocal({ externalIPs: ['2001:db8::1'] })).toBe(true))
})

describe('(19, 68) the health check node port', () => {
  const ports = [
    { name: 'p80', port: 80, protocol: 'UDP' },
    { name: 'p81', port: 81 },
  ]
  const accepts = (spec: Record<string, unknown>) =>
    compiled([service({ ports, healthCheckNodePort: 32_000, ...spec })]).filter('KUBE-NODEPORTS')

  test('is accepted as TCP once for each port of a LoadBalancer Service with policy Local, endpoints or not', () => {
    expect(accepts({ type: 'LoadBalancer', externalTrafficPolicy: 'Local' })).toEqual([
      '-p tcp -m comment --comment "ns1/svc1:p80 health check node port" -m tcp --dport 32000 -j ACCEPT',
      '-p tcp -m comment --comment "ns1/svc1:p81 health check node port" -m tcp --dport 32000 -j ACCEPT',
    ])
  })

  test('is nothing for other types and policies, or without a number', () => {
    expect(accepts({ type: 'LoadBalancer', externalTrafficPolicy: 'Cluster' })).toEqual([])
    expect(accepts({ type: 'NodePort', externalTrafficPolicy: 'Local' })).toEqual([])
    expect(accepts({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 0 })).toEqual([])
  })
})

describe('source ranges of the load balancer', () => {
  const balancer = (...loadBalancerSourceRanges: readonly string[]) =>
    compiled([
      service(
        { type: 'LoadBalancer', ports: [{ name: 'p80', port: 80, nodePort: 30_000 }], loadBalancerSourceRanges },
        VIP,
      ),
      ONE,
    ])
  const letIn = (source: string) => `-s ${source} -m comment --comment "ns1/svc1:p80 loadbalancer IP" -j ${EXT}`
  const LAST = '-m comment --comment "other traffic to ns1/svc1:p80 will be dropped by KUBE-PROXY-FIREWALL"'

  test('(11, 69) are masked, and the chain ends with a comment alone', () => {
    const lines = balancer('10.1.2.3/24')
    expect(lines.nat(FW)).toEqual([letIn('10.1.2.0/24'), LAST])
    expect(lines.filter('KUBE-PROXY-FIREWALL')).toEqual([
      `-d 192.0.2.9/32 -p tcp -m comment --comment "ns1/svc1:p80 traffic not accepted by ${FW}" -m tcp --dport 80 -j DROP`,
    ])
  })

  test('(16) with one that holds the node, the load-balancer IP itself is let in', () => {
    expect(balancer('203.0.113.0/25', '192.168.0.0/16').nat(FW)).toEqual([
      letIn('203.0.113.0/25'),
      letIn('192.168.0.0/16'),
      letIn('192.0.2.9/32'),
      LAST,
    ])
  })

  test.each([
    ['(20) of the other family alone', ['fd00::/8']],
    ['(21) with a /0 among them', ['203.0.113.0/25', '0.0.0.0/0']],
  ])('%s filter nothing', (_, ranges) => {
    const lines = balancer(...ranges)
    expect(lines.chains).not.toContain(FW)
    expect(lines.filter('KUBE-PROXY-FIREWALL')).toEqual([])
    expect(lines.nat('KUBE-SERVICES')[1]).toMatch(new RegExp(`-j ${EXT}$`))
  })

  test('(22) may have blanks around them, and garbage among them is skipped', () => {
    const lines = balancer(' 203.0.113.0/25 ', 'garbage', '10.0.0.1')
    expect(lines.nat(FW)).toEqual([letIn('203.0.113.0/25'), LAST])
    expect(lines.issues.filter((issue) => issue.startsWith('error spec.loadBalancerSourceRanges'))).toHaveLength(2)
  })

  test('(25) do not guard the node port', () => {
    expect(balancer('203.0.113.0/25').nat('KUBE-NODEPORTS').at(-1)).toBe(
      `-p tcp -m comment --comment "ns1/svc1:p80" -m tcp --dport 30000 -j ${EXT}`,
    )
  })

  test('(70) without endpoints leave a REJECT and no DROP', () => {
    const lines = compiled([service({ type: 'LoadBalancer', loadBalancerSourceRanges: ['203.0.113.0/25'] }, VIP)])
    expect(lines.filter('KUBE-EXTERNAL-SERVICES')).toEqual([
      '-d 192.0.2.9/32 -p tcp -m comment --comment "ns1/svc1:p80 has no endpoints" -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable',
    ])
    expect(lines.filter('KUBE-PROXY-FIREWALL')).toEqual([])
    expect(lines.chains).toEqual([])
  })
})

describe('load-balancer addresses', () => {
  test('(23) with ipMode Proxy are in no rule; node port and cluster IP stay', () => {
    const lines = compiled([
      service(
        {
          type: 'LoadBalancer',
          ports: [{ name: 'p80', port: 80, nodePort: 30_000 }],
          loadBalancerSourceRanges: ['203.0.113.0/25'],
        },
        ingress({ ip: '192.0.2.9', ipMode: 'Proxy' }),
      ),
      ONE,
    ])
    expect(lines.nat('KUBE-SERVICES')).toEqual([CLUSTER_IP_LINE, TAIL])
    expect(lines.nat('KUBE-NODEPORTS')).toHaveLength(2)
    expect(lines.filter('KUBE-PROXY-FIREWALL')).toEqual([])
    expect(lines.chains).not.toContain(FW)
  })

  test('(24) that are host names give nothing', () => {
    const lines = compiled([service({ type: 'LoadBalancer' }, ingress({ hostname: 'lb.example.com' })), ONE])
    expect(lines.nat('KUBE-SERVICES')).toEqual([CLUSTER_IP_LINE, TAIL])
    expect(lines.issues).toEqual([])
  })
})

describe('which Services have rules', () => {
  test.each([
    ['(26) ExternalName, though it has a cluster IP', service({ type: 'ExternalName', externalName: 'example.com' })],
    ['(26) a headless one', service({ clusterIP: 'None' })],
    ['one whose cluster IP is not assigned', service({ clusterIP: '' })],
    [
      '(28) one that is left to another proxy',
      service(
        {},
        { metadata: { namespace: 'ns1', name: 'svc1', labels: { 'service.kubernetes.io/service-proxy-name': 'x' } } },
      ),
    ],
  ])('not %s', (_, object) => {
    const lines = compiled([object, ONE])
    expect(lines.program.servicePorts).toEqual([])
    expect(lines.nat('KUBE-SERVICES')).toEqual([TAIL])
  })

  test('(27) an old object without ipFamilies has them for the family of its cluster IP', () => {
    expect(compiled([service(), ONE]).nat('KUBE-SERVICES')).toEqual([CLUSTER_IP_LINE, TAIL])
    expect(compiled([service(), ONE], { family: 'ipv6' }).program.servicePorts).toEqual([])
  })

  test('(40) whether it publishes addresses that are not ready, or prefers near ones, is not read', () => {
    const spec = { publishNotReadyAddresses: true, trafficDistribution: 'PreferSameZone' }
    const [plain, more] = [compiled([service(), ONE]), compiled([service(spec), ONE])]
    expect(more.program.servicePorts).toEqual(plain.program.servicePorts)
  })
})

test('(29) with external IPs switched off the chain for outside traffic is there, and nothing leads to it', () => {
  const objects = [service({ externalIPs: ['192.0.2.1'] }), ONE]
  const lines = compiled(objects, { config: { featureGates: { AllowServiceExternalIPs: false } } })
  expect(lines.nat('KUBE-SERVICES')).toEqual([CLUSTER_IP_LINE, TAIL])
  expect(lines.nat(EXT)).toEqual([
    '-m comment --comment "masquerade traffic for ns1/svc1:p80 external destinations" -j KUBE-MARK-MASQ',
    `-j ${SVC}`,
  ])
})

test('of two ports with one name and protocol the later counts', () => {
  const lines = compiled([
    service({
      ports: [
        { name: 'p80', port: 80 },
        { name: 'p80', port: 81 },
      ],
    }),
    ONE,
  ])
  expect(lines.nat('KUBE-SERVICES').map((line) => /--dport (\d+)/.exec(line)?.[1])).toEqual(['81', undefined])
})
