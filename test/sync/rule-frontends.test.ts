import { describe, expect, test } from 'vitest'
import { readKernelText } from '../../src/iptables/kernel-text.ts'
import { parseIp } from '../../src/model/address.ts'
import { staleFlows } from '../../src/sync/conntrack.ts'
import type { ConntrackFlow } from '../../src/sync/conntrack-flow.ts'
import { readUdpFrontends } from '../../src/sync/rule-frontends.ts'

const LEFT = `*nat
:PREROUTING ACCEPT [0:0]
:FOREIGN - [0:0]
:KUBE-EXT-DNS - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-SEP-A - [0:0]
:KUBE-SEP-B - [0:0]
:KUBE-SEP-T - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-DNS - [0:0]
:KUBE-SVC-TCP - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A FOREIGN -d 10.96.0.77/32 -p udp -m udp --dport 53 -j DNAT --to-destination 10.244.0.9:53
-A KUBE-EXT-DNS -m comment --comment "masquerade traffic for ns/dns:p external destinations" -j KUBE-MARK-MASQ
-A KUBE-EXT-DNS -j KUBE-SVC-DNS
-A KUBE-NODEPORTS -p udp -m comment --comment "ns/dns:p" -m udp --dport 30053 -j KUBE-EXT-DNS
-A KUBE-SEP-A -s 10.244.0.2/32 -m comment --comment "ns/dns:p" -j KUBE-MARK-MASQ
-A KUBE-SEP-A -p udp -m comment --comment "ns/dns:p" -m udp -j DNAT --to-destination 10.244.0.2:53
-A KUBE-SEP-B -p udp -m comment --comment "ns/dns:p" -m recent --set --name KUBE-SEP-B --mask 255.255.255.255 --rsource -m udp -j DNAT --to-destination 10.244.1.2:53
-A KUBE-SEP-T -p tcp -m comment --comment "ns/web" -m tcp -j DNAT --to-destination 10.244.1.3:8080
-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m comment --comment "ns/dns:p cluster IP" -m udp --dport 53 -j KUBE-SVC-DNS
-A KUBE-SERVICES -d 192.0.2.1/32 -p udp -m comment --comment "ns/dns:p external IP" -m udp --dport 53 -j KUBE-EXT-DNS
-A KUBE-SERVICES -d 10.96.0.20/32 -p tcp -m comment --comment "ns/web cluster IP" -m tcp --dport 80 -j KUBE-SVC-TCP
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-SVC-DNS -m comment --comment "ns/dns:p -> 10.244.0.2:53" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-A
-A KUBE-SVC-DNS -m comment --comment "ns/dns:p -> 10.244.1.2:53" -j KUBE-SEP-B
-A KUBE-SVC-TCP -m comment --comment "ns/web -> 10.244.1.3:8080" -j KUBE-SEP-T
COMMIT
`
const ENDPOINTS = new Set(['10.244.0.2:53', '10.244.1.2:53'])
const TARGETS = { serving: ENDPOINTS, known: ENDPOINTS }

test('rules tell where they send UDP, through every chain, and nothing of TCP and of other programs', () => {
  expect(readUdpFrontends(readKernelText(LEFT), 'ipv4')).toEqual({
    addresses: new Map([
      ['10.96.0.10:53', TARGETS],
      ['192.0.2.1:53', TARGETS],
    ]),
    nodePorts: new Map([[30053, TARGETS]]),
  })
})

test('IPv6 endpoints stand in brackets, as in ServicePorts', () => {
  const text = `*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-A - [0:0]
-A KUBE-SERVICES -d fd00::10/128 -p udp -m udp --dport 53 -j KUBE-SVC-A
-A KUBE-SVC-A -j KUBE-SEP-A
-A KUBE-SEP-A -p udp -m udp -j DNAT --to-destination [fd00:244::2]:53
COMMIT
`
  const { addresses } = readUdpFrontends(readKernelText(text), 'ipv6')
  expect([...addresses].map(([address, { known }]) => [address, [...known]])).toEqual([
    ['[fd00::10]:53', ['[fd00:244::2]:53']],
  ])
})

test.each([
  ['nothing', ''],
  ['other programs only', '*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -j ACCEPT\nCOMMIT\n'],
  // A chain that leads to itself can't be in a kernel, but it may be in a text.
  [
    'chains in a circle',
    '*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-A - [0:0]\n-A KUBE-SERVICES -d 10.0.0.1/32 -p udp -m udp --dport 1 -j KUBE-A\n-A KUBE-A -j KUBE-A\nCOMMIT\n',
  ],
  [
    'a range of addresses',
    '*nat\n:KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES -d 10.0.0.0/8 -p udp -m udp --dport 1 -j DNAT --to-destination 10.1.1.1:1\nCOMMIT\n',
  ],
])('of %s there are no frontends', (_, text) => {
  expect(readUdpFrontends(readKernelText(text), 'ipv4')).toEqual({ addresses: new Map(), nodePorts: new Map() })
})

describe('flows of Services that were deleted while nobody watched', () => {
  const left = readUdpFrontends(readKernelText(LEFT), 'ipv4')

  test.each([
    ['10.96.0.10', 53, '10.244.0.2', 53, true, 'the cluster IP'],
    ['192.0.2.1', 53, '10.244.1.2', 53, true, 'the external IP'],
    ['172.18.0.10', 30053, '10.244.1.2', 53, true, 'the node port'],
    ['10.96.0.10', 53, '10.244.0.9', 53, false, 'a server that no rule of ours sent to'],
    ['10.96.0.10', 53, '10.96.0.10', 53, false, 'an address that no rule translated'],
    ['10.96.0.77', 53, '10.244.0.9', 53, false, "a foreign rule's address"],
    ['8.8.8.8', 30053, '8.8.8.8', 30053, false, "a foreign host's port that is the node port"],
  ])('%s port %i answered by %s port %i: stale is %s (%s)', (to, port, from, fromPort, stale) => {
    const entry = flow(to, port, from, fromPort)
    expect(staleFlows([], [], [entry], left)).toEqual(stale ? [entry] : [])
    expect(staleFlows([], [], [entry])).toEqual([])
  })
})

function flow(to: string, port: number, from: string, fromPort: number): ConntrackFlow {
  const client = { ip: ip('10.244.9.9'), port: 4444 }
  return {
    protocol: 'udp',
    original: { source: client.ip, sourcePort: client.port, destination: ip(to), destinationPort: port },
    reply: { source: ip(from), sourcePort: fromPort, destination: client.ip, destinationPort: client.port },
  }
}

function ip(text: string) {
  return parseIp(text) ?? expect.fail(`${text} is no address`)
}
