// What people get wrong about endpoints and policies: numbers are those of the list of subtle behaviours that kube-proxy
// has.
import { describe, expect, test } from 'vitest'
import {
  type CompiledLines,
  compiled,
  elsewhere,
  here,
  ingress,
  NOT_READY,
  service,
  slice,
  TERMINATING,
} from '../support/compiled-lines.ts'

const SVC = 'KUBE-SVC-XPGD46QRK7WJZT7O'
const SVL = 'KUBE-SVL-XPGD46QRK7WJZT7O'
const EXT = 'KUBE-EXT-XPGD46QRK7WJZT7O'
/** Of 10.180.0.1:8080 and 10.180.0.2:8080. */
const SEP1 = 'KUBE-SEP-CPWPCALSNDDLLDLJ'
const SEP2 = 'KUBE-SEP-VLCBLZ3INDL6LVTP'

const NODE_PORT = { type: 'NodePort', ports: [{ name: 'p80', port: 80, nodePort: 30_000 }] }
const EXTERNAL_LOCAL = { ...NODE_PORT, externalTrafficPolicy: 'Local' }
const INTERNAL_LOCAL = { internalTrafficPolicy: 'Local' }
const NO_ENDPOINTS_LINE =
  '-d 172.30.0.41/32 -p tcp -m comment --comment "ns1/svc1:p80 has no endpoints" -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable'

/** Where a chain leads to, in order, without the masquerade mark. */
function targets(lines: CompiledLines, chain: string): readonly string[] {
  return lines.nat(chain).flatMap((line) => /-j (KUBE-(?!MARK)\S+)/.exec(line)?.[1] ?? [])
}

describe('conditions', () => {
  test.each([
    ['no conditions at all', {}],
    ['empty conditions', { conditions: {} }],
    ['null conditions', { conditions: null }],
    ['conditions that are null', { conditions: { ready: null, serving: null, terminating: null } }],
  ])('(30) %s mean ready, serving and not terminating', (_, more) => {
    expect(targets(compiled([service(), slice([elsewhere('10.180.0.1', more)])]), SVC)).toEqual([SEP1])
  })

  test('(31) terminating endpoints are used only when none is ready, and only those that serve', () => {
    const gone = { conditions: { ready: false, serving: false, terminating: true } }
    const with1 = (first: Record<string, unknown>) =>
      targets(compiled([service(), slice([elsewhere('10.180.0.1', first), elsewhere('10.180.0.2', TERMINATING)])]), SVC)
    expect(with1({})).toEqual([SEP1])
    expect(with1(TERMINATING)).toEqual([SEP1, SEP2])
    expect(with1(gone)).toEqual([SEP2])
  })

  test('(32) an endpoint that is neither ready nor terminating is never used', () => {
    const lines = compiled([service(), slice([elsewhere('10.180.0.1', NOT_READY)])])
    expect(lines.filter('KUBE-SERVICES')).toEqual([NO_ENDPOINTS_LINE])
    expect(lines.chains).toEqual([])
  })
})

test('(9) endpoints are in byte order of ip:port, on which their probabilities depend', () => {
  const lines = compiled([service(), slice(['10.180.0.2', '10.180.0.1', '10.180.0.10'])])
  expect(
    lines
      .nat(SVC)
      .slice(1)
      .map((line) => line.replace(/ -j .*/, '')),
  ).toEqual([
    '-m comment --comment "ns1/svc1:p80 -> 10.180.0.10:8080" -m statistic --mode random --probability 0.33333333349',
    '-m comment --comment "ns1/svc1:p80 -> 10.180.0.1:8080" -m statistic --mode random --probability 0.50000000000',
    '-m comment --comment "ns1/svc1:p80 -> 10.180.0.2:8080"',
  ])
})

describe('policy Local for traffic from outside', () => {
  const POD = `-s 10.180.0.0/16 -m comment --comment "pod traffic for ns1/svc1:p80 external destinations" -j ${SVC}`
  const MASQUERADE =
    '-m comment --comment "masquerade LOCAL traffic for ns1/svc1:p80 external destinations" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ'
  const ROUTE = `-m comment --comment "route LOCAL traffic for ns1/svc1:p80 external destinations" -m addrtype --src-type LOCAL -j ${SVC}`

  test('(33) falls back to terminating endpoints here, though there are ready ones elsewhere', () => {
    const lines = compiled([service(EXTERNAL_LOCAL), slice([here('10.180.0.1', TERMINATING), elsewhere('10.180.0.2')])])
    expect(targets(lines, SVC)).toEqual([SEP2])
    expect(targets(lines, SVL)).toEqual([SEP1])
  })

  test('(36) is not bound by topology hints', () => {
    const hints = (zone: string) => ({ hints: { forZones: [{ name: zone }] } })
    const lines = compiled([
      service(EXTERNAL_LOCAL),
      slice([here('10.180.0.1', hints('zb')), elsewhere('10.180.0.2', hints('za'))]),
    ])
    expect(targets(lines, SVC)).toEqual([SEP2])
    expect(targets(lines, SVL)).toEqual([SEP1])
  })

  test('(45) without endpoints here keeps the short cuts and drops the rest', () => {
    const lines = compiled([
      service({ ...EXTERNAL_LOCAL, type: 'LoadBalancer' }, ingress({ ip: '192.0.2.9' })),
      slice([elsewhere('10.180.0.1')]),
    ])
    expect(lines.nat(EXT)).toEqual([POD, MASQUERADE, ROUTE])
    expect(lines.filter('KUBE-EXTERNAL-SERVICES')).toEqual([
      '-d 192.0.2.9/32 -p tcp -m comment --comment "ns1/svc1:p80 has no local endpoints" -m tcp --dport 80 -j DROP',
      '-p tcp -m comment --comment "ns1/svc1:p80 has no local endpoints" -m addrtype --dst-type LOCAL -m tcp --dport 30000 -j DROP',
    ])
  })

  test('(46) without a local detector loses only the short cut for pods', () => {
    const lines = compiled([service(EXTERNAL_LOCAL), slice([here('10.180.0.1')])], { config: { clusterCIDRs: [] } })
    expect(lines.nat(EXT)).toEqual([MASQUERADE, ROUTE, `-j ${SVL}`])
  })

  test('(47) needs the chain of all endpoints for the short cuts, so remote ones have chains here', () => {
    const lines = compiled([service(EXTERNAL_LOCAL), slice([here('10.180.0.1'), elsewhere('10.180.0.2')])])
    expect(lines.nat(EXT)).toEqual([POD, MASQUERADE, ROUTE, `-j ${SVL}`])
    expect(lines.chains).toEqual([EXT, SEP1, SEP2, SVC, SVL])
    expect(targets(lines, SVL)).toEqual([SEP1])
    expect(targets(lines, SVC)).toEqual([SEP1, SEP2])
  })

  test('(49) without any endpoint rejects everything, has no nat chain, and still accepts the health check', () => {
    const lines = compiled([
      service({ ...EXTERNAL_LOCAL, type: 'LoadBalancer', healthCheckNodePort: 32_000 }, ingress({ ip: '192.0.2.9' })),
    ])
    expect(lines.chains).toEqual([])
    expect(lines.filter('KUBE-SERVICES')).toEqual([NO_ENDPOINTS_LINE])
    expect(lines.filter('KUBE-EXTERNAL-SERVICES')).toEqual([
      '-d 192.0.2.9/32 -p tcp -m comment --comment "ns1/svc1:p80 has no endpoints" -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable',
      '-p tcp -m comment --comment "ns1/svc1:p80 has no endpoints" -m addrtype --dst-type LOCAL -m tcp --dport 30000 -j REJECT --reject-with icmp-port-unreachable',
    ])
    expect(lines.filter('KUBE-NODEPORTS')).toEqual([
      '-p tcp -m comment --comment "ns1/svc1:p80 health check node port" -m tcp --dport 32000 -j ACCEPT',
    ])
  })
})

describe('topology hints', () => {
  const zone = (name: string) => ({ hints: { forZones: [{ name }] } })
  const both = (zoneName: string, nodeName: string) => ({
    hints: { forZones: [{ name: zoneName }], forNodes: [{ name: nodeName }] },
  })
  const used = (first: Record<string, unknown>, second: Record<string, unknown>) =>
    targets(compiled([service(), slice([elsewhere('10.180.0.1', first), elsewhere('10.180.0.2', second)])]), SVC)

  test('(37) do not count when one ready endpoint has none, and do when only one that is not ready has none', () => {
    expect(used(zone('za'), {})).toEqual([SEP1, SEP2])
    expect(used(zone('za'), zone('zb'))).toEqual([SEP1])
    expect(used(zone('za'), NOT_READY)).toEqual([SEP1])
  })

  test('(38) do not count when no ready endpoint is for the zone of this node', () => {
    expect(used(zone('zb'), zone('zc'))).toEqual([SEP1, SEP2])
  })

  test('(39) for nodes come before those for zones, which come before none', () => {
    expect(used(both('za', 'node2'), both('zb', 'node1'))).toEqual([SEP2])
    expect(used(both('za', 'node2'), both('zb', 'node2'))).toEqual([SEP1])
    expect(used(both('zb', 'node2'), both('zb', 'node2'))).toEqual([SEP1, SEP2])
  })
})

describe('slices', () => {
  test.each([
    ['first', [{}, TERMINATING]],
    ['second', [TERMINATING, {}]],
  ])('(41) an endpoint in two of them is ready when it is so in the %s', (_, [one, two]) => {
    const metadata = { name: 'svc1-2', namespace: 'ns1', labels: { 'kubernetes.io/service-name': 'svc1' } }
    const lines = compiled([
      service(),
      slice([elsewhere('10.180.0.1', one)]),
      slice([elsewhere('10.180.0.1', two)], { metadata }),
      slice([elsewhere('10.180.0.2', TERMINATING)], { metadata: { ...metadata, name: 'svc1-3' } }),
    ])
    expect(targets(lines, SVC)).toEqual([SEP1])
  })

  test('(42) a port without a name is skipped, one with an empty name is not', () => {
    const unnamed = service({ ports: [{ port: 80 }] })
    const chains = (port: Record<string, unknown>) =>
      compiled([unnamed, slice(['10.180.0.1'], { ports: [port] })]).chains.length
    expect(chains({ port: 8080 })).toBe(0)
    expect(chains({ name: null, port: 8080 })).toBe(0)
    expect(chains({ name: '', port: 8080 })).toBe(2)
  })

  test('(43) a port belongs to the Service port of its name and protocol, whatever targetPort says', () => {
    const ports = [
      { name: 'p80', port: 80, targetPort: 9999 },
      { name: 'other', port: 81, targetPort: 8080 },
    ]
    const lines = compiled([service({ ports }), slice(['10.180.0.1'])])
    expect(targets(lines, SVC)).toEqual([SEP1])
    expect(lines.nat(SEP1).at(-1)).toMatch(/--to-destination 10\.180\.0\.1:8080$/)
    expect(lines.filter('KUBE-SERVICES')).toEqual([
      '-d 172.30.0.41/32 -p tcp -m comment --comment "ns1/svc1:other has no endpoints" -m tcp --dport 81 -j REJECT --reject-with icmp-port-unreachable',
    ])
  })

  test('of the other family, of domain names and of other Services are passed over', () => {
    const lines = compiled([
      service(),
      slice(['fd00:10::1'], {
        addressType: 'IPv6',
        metadata: { name: 'a', namespace: 'ns1', labels: { 'kubernetes.io/service-name': 'svc1' } },
      }),
      slice(['example.com'], {
        addressType: 'FQDN',
        metadata: { name: 'b', namespace: 'ns1', labels: { 'kubernetes.io/service-name': 'svc1' } },
      }),
      slice(['10.180.0.1'], {
        metadata: { name: 'c', namespace: 'ns2', labels: { 'kubernetes.io/service-name': 'svc1' } },
      }),
    ])
    expect(lines.chains).toEqual([])
  })
})

describe('policy Local for traffic from inside', () => {
  test('(44) without endpoints here drops what goes to the cluster IP, and the node port still works', () => {
    const lines = compiled([service({ ...NODE_PORT, ...INTERNAL_LOCAL }), slice([elsewhere('10.180.0.1')])])
    expect(lines.filter('KUBE-SERVICES')).toEqual([
      '-d 172.30.0.41/32 -p tcp -m comment --comment "ns1/svc1:p80 has no local endpoints" -m tcp --dport 80 -j DROP',
    ])
    expect(lines.chains).toEqual([EXT, SEP1, SVC])
    expect(targets(lines, EXT)).toEqual([SVC])
    expect(lines.filter('KUBE-EXTERNAL-SERVICES')).toEqual([])
  })

  test('(48) without traffic from outside has no chain of all endpoints and none of a remote one', () => {
    const lines = compiled([service(INTERNAL_LOCAL), slice([here('10.180.0.1'), elsewhere('10.180.0.2')])])
    expect(lines.chains).toEqual([SEP1, SVL])
  })

  test('(50) has the masquerade rule in the chain of local endpoints', () => {
    const lines = compiled([service({ ...NODE_PORT, ...INTERNAL_LOCAL }), slice([here('10.180.0.1')])])
    expect(lines.nat(SVL)).toEqual([
      '! -s 10.180.0.0/16 -d 172.30.0.41/32 -p tcp -m comment --comment "ns1/svc1:p80 cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ',
      `-m comment --comment "ns1/svc1:p80 -> 10.180.0.1:8080" -j ${SEP1}`,
    ])
    expect(lines.nat(SVC)).toEqual([`-m comment --comment "ns1/svc1:p80 -> 10.180.0.1:8080" -j ${SEP1}`])
  })
})

test('(14) with affinity an endpoint remembers the client before the match of the protocol, and is asked first', () => {
  const sessionAffinity = {
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 3600 } },
  }
  const lines = compiled([service(sessionAffinity), slice(['10.180.0.1', '10.180.0.2'])])
  const recent = (action: string, chain: string) =>
    `-m recent ${action} --name ${chain} --mask 255.255.255.255 --rsource`
  expect(lines.nat(SEP1)[1]).toBe(
    `-p tcp -m comment --comment "ns1/svc1:p80" ${recent('--set', SEP1)} -m tcp -j DNAT --to-destination 10.180.0.1:8080`,
  )
  const to = (ip: string) => `-m comment --comment "ns1/svc1:p80 -> ${ip}:8080"`
  expect(lines.nat(SVC).slice(1)).toEqual([
    `${to('10.180.0.1')} ${recent('--rcheck --seconds 3600 --reap', SEP1)} -j ${SEP1}`,
    `${to('10.180.0.2')} ${recent('--rcheck --seconds 3600 --reap', SEP2)} -j ${SEP2}`,
    `${to('10.180.0.1')} -m statistic --mode random --probability 0.50000000000 -j ${SEP1}`,
    `${to('10.180.0.2')} -j ${SEP2}`,
  ])
})
