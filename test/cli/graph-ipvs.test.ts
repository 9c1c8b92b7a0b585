// `sluice graph` in IPVS mode, against pictures written by hand from the manifests in test/data/graph and the rules that
// kube-proxy makes in that mode.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readMermaid } from '../support/mermaid.ts'
import { sluice } from './command.ts'

const DATA = path.join(import.meta.dirname, '..', 'data', 'graph')
const MANIFESTS = ['-f', path.join(DATA, 'cluster.yaml')]
const INPUT = [...MANIFESTS, '--config', path.join(DATA, 'config-ipvs.yaml')]
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-graph-ipvs-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function graph(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await sluice(['graph', ...args])
  if (code !== 0) throw new Error(stderr)
  return stdout
}

/** First two lines of the boxes that stand out. */
function litBoxes(text: string): readonly string[] {
  const lit = /class (\S+) lit/.exec(text)?.[1]?.split(',') ?? []
  return lit
    .map((id) => new RegExp(`^ +${id}\\W+"(.*?)"`, 'm').exec(text)?.[1] ?? '')
    .map((lines) => lines.split('<br>').slice(0, 2).join(' '))
    .toSorted()
}

/** A node that was saved: iptables-save, ipset save and ipvsadm -Sn in one file. */
const DUMPED = `create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x1
add KUBE-CLUSTER-IP 10.96.0.1,tcp:443
create KUBE-NODE-PORT-TCP bitmap:port range 0-65535
add KUBE-NODE-PORT-TCP 30443
create KUBE-LOOP-BACK hash:ip,port,ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x1
create KUBE-IPVS-IPS hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x1
add KUBE-IPVS-IPS 10.96.0.1
add KUBE-IPVS-IPS 10.96.0.9
-A -t 10.96.0.1:443 -s wrr -p 300
-a -t 10.96.0.1:443 -r 10.0.0.1:6443 -m -w 3
-a -t 10.96.0.1:443 -r 10.0.0.2:6443 -m -w 1
-a -t 10.96.0.1:443 -r 10.0.0.3:6443 -m -w 0
-A -t 10.96.0.9:80 -s rr
-a -t 10.96.0.9:80 -r 10.0.0.9:80 -m -w 1
-A -t 192.168.1.63:30443 -s sh
-a -t 192.168.1.63:30443 -r 10.0.0.1:6443 -m -w 1
-a -t 192.168.1.63:30443 -r 10.0.0.2:6443 -m -w 1
-A -t 198.51.100.99:80 -s rr
-a -t 198.51.100.99:80 -r 10.0.0.7:80 -g -w 1
-A -f 17 -s rr
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-NODE-PORT - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A KUBE-SERVICES -s 127.0.0.0/8 -j RETURN
-A KUBE-SERVICES -m comment --comment "Kubernetes service cluster ip + port for masquerade purpose" -m set --match-set KUBE-CLUSTER-IP src,dst -j KUBE-MARK-MASQ
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT
-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT
-A KUBE-NODE-PORT -p tcp -m set --match-set KUBE-NODE-PORT-TCP dst -j KUBE-MARK-MASQ
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
COMMIT
*filter
:INPUT ACCEPT [0:0]
:KUBE-IPVS-FILTER - [0:0]
-A INPUT -j KUBE-IPVS-FILTER
-A KUBE-IPVS-FILTER -m set --match-set KUBE-CLUSTER-IP dst,dst -j RETURN
-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set KUBE-IPVS-IPS dst -j REJECT --reject-with icmp-port-unreachable
COMMIT
`

describe('sluice graph in IPVS mode', () => {
  test('draws virtual servers, the sets that decide, and real servers with weights and shares', async () => {
    const { boxes, arrows } = readMermaid(await graph('shop/web', ...INPUT))
    expect(boxes).toEqual([
      '10.244.1.5:8080<br>weight 1<br>masquerade: from itself',
      '10.244.2.5:8080<br>weight 1',
      '10.244.3.5:8080<br>weight 1',
      'KUBE-CLUSTER-IP<br>masquerade: not from 10.244.0.0/16',
      'KUBE-EXTERNAL-IP-LOCAL<br>externalTrafficPolicy: Local<br>no masquerade',
      'KUBE-LOAD-BALANCER-FW<br>lets in 198.18.0.0/15<br>lets in 203.0.113.0/24',
      'KUBE-LOAD-BALANCER-LOCAL<br>externalTrafficPolicy: Local<br>no masquerade',
      'KUBE-NODE-PORT-LOCAL-TCP<br>externalTrafficPolicy: Local<br>no masquerade',
      'cluster IP<br>10.96.1.10:80/tcp',
      'drop<br>not in the source ranges<br>KUBE-IPVS-OUT-FILTER',
      'drop<br>not in the source ranges<br>KUBE-SOURCE-RANGES-FIREWALL',
      'external IP<br>198.51.100.7:80/tcp',
      'load-balancer IP<br>203.0.113.10:80/tcp',
      'node port<br>192.168.1.63:30080/tcp',
      // One for all Pods, and one for those of this node.
      'virtual server<br>scheduler: rr<br>affinity: 10800 s',
      'virtual server<br>scheduler: rr<br>affinity: 10800 s',
    ])
    expect(arrows).toEqual([
      'KUBE-CLUSTER-IP -> virtual server',
      'KUBE-EXTERNAL-IP-LOCAL -> virtual server',
      'KUBE-LOAD-BALANCER-FW - from anywhere else -> drop',
      'KUBE-LOAD-BALANCER-FW - from this node -> drop',
      'KUBE-LOAD-BALANCER-FW -> virtual server',
      'KUBE-LOAD-BALANCER-LOCAL -> KUBE-LOAD-BALANCER-FW',
      'KUBE-NODE-PORT-LOCAL-TCP -> virtual server',
      'cluster IP -> KUBE-CLUSTER-IP',
      'external IP -> KUBE-EXTERNAL-IP-LOCAL',
      'load-balancer IP -> KUBE-LOAD-BALANCER-LOCAL',
      'node port -> KUBE-NODE-PORT-LOCAL-TCP',
      'virtual server - 33.3% -> 10.244.1.5:8080',
      'virtual server - 33.3% -> 10.244.2.5:8080',
      'virtual server - 33.3% -> 10.244.3.5:8080',
      'virtual server -> 10.244.1.5:8080',
    ])
  })

  test('draws what refuses those whom nobody serves', async () => {
    expect(await graph('shop/empty', ...INPUT)).toBe(
      `flowchart LR
  %% shop/empty udp ipv4
  n0(["cluster IP<br>10.96.1.11:53/udp"])
  n1["KUBE-CLUSTER-IP<br>masquerade: not from 10.244.0.0/16"]
  n2["virtual server<br>scheduler: rr"]
  n3{{"reject<br>no real servers"}}
  n4(["node port<br>192.168.1.63:30053/udp"])
  n5["KUBE-NODE-PORT-UDP<br>masquerade: all"]
  n0 --> n1
  n1 --> n2
  n2 --> n3
  n4 --> n5
  n5 --> n2
  class n0,n4 entrance
  class n3 refusal
  classDef refusal stroke:#b3261e,stroke-width:2px
`,
    )
  })

  test('says why a Service has nothing to draw, and frames all', async () => {
    expect(await graph('store/db', ...INPUT)).toContain('headless: DNS gives the addresses of its Pods, no rules')
    const all = await graph('-A', ...INPUT)
    expect([...all.matchAll(/subgraph \S+\["(.*)"\]/g)].map(([, title]) => title)).toEqual([
      'shop/elsewhere:api tcp ipv4',
      'shop/empty udp ipv4',
      'shop/web:http tcp ipv4',
      'store/db',
    ])
  })

  test('draws one packet’s way through rules and IPVS, with what the server sees', async () => {
    const inRange = ['--packet', 'tcp 203.0.113.9:40000 -> 203.0.113.10:80']
    expect(readMermaid(await graph(...INPUT, ...inRange))).toEqual({
      boxes: [
        '10.244.1.5:8080<br>sees 203.0.113.9',
        'ipvs tcp 203.0.113.10:80<br>shop/web:http<br>virtual server, rr',
        'nat KUBE-SERVICES<br>ACCEPT',
        'nat PREROUTING',
        'outside<br>203.0.113.9<br>to 203.0.113.10:80/tcp',
      ],
      arrows: [
        'ipvs tcp 203.0.113.10:80 -> 10.244.1.5:8080',
        'nat KUBE-SERVICES -> ipvs tcp 203.0.113.10:80',
        'nat PREROUTING -> nat KUBE-SERVICES',
        'outside -> nat PREROUTING',
      ],
    })
    const { boxes } = readMermaid(await graph(...INPUT, '--packet', 'tcp 192.0.2.9 -> 10.96.1.10:80'))
    expect(boxes.filter((box) => box.startsWith('10.244.'))).toEqual(
      ['10.244.1.5', '10.244.2.5', '10.244.3.5'].map((ip) => `${ip}:8080<br>sees 192.168.1.63<br>33.3% of connections`),
    )
  })

  test('lights one packet’s way in the picture of its Service', async () => {
    const lit = async (...packet: readonly string[]) => litBoxes(await graph('shop/web', ...INPUT, ...packet))
    expect(await lit('--packet', 'tcp 192.0.2.9 -> 10.96.1.10:80')).toEqual([
      '10.244.1.5:8080 weight 1',
      '10.244.2.5:8080 weight 1',
      '10.244.3.5:8080 weight 1',
      'KUBE-CLUSTER-IP masquerade: not from 10.244.0.0/16',
      'cluster IP 10.96.1.10:80/tcp',
      'virtual server scheduler: rr',
    ])
    expect(await lit('--packet', 'tcp 192.0.2.9 -> 203.0.113.10:80')).toEqual([
      'KUBE-LOAD-BALANCER-FW lets in 198.18.0.0/15',
      'KUBE-LOAD-BALANCER-LOCAL externalTrafficPolicy: Local',
      'drop not in the source ranges',
      'load-balancer IP 203.0.113.10:80/tcp',
    ])
    const text = await graph('shop/web', ...INPUT, '--from', 'node', '--packet', 'tcp -> 203.0.113.10:80')
    const drops = text.split('\n').filter((line) => line.includes('drop<br>'))
    const [ofNode = ''] = drops
      .filter((line) => line.includes('KUBE-IPVS-OUT-FILTER'))
      .map((line) => /n\d+/.exec(line)?.[0])
    expect(/class (\S+) lit/.exec(text)?.[1]?.split(',')).toContain(ofNode)
    expect(await lit('--packet', 'tcp 192.0.2.9 -> 192.168.1.63:30080')).toContain('10.244.1.5:8080 weight 1')
  })

  test('draws a dump beside the objects as it draws the objects', async () => {
    const dump = path.join(folder, 'beside')
    expect((await sluice(['render', ...INPUT, '--family', 'ipv4', '--out', dump])).code).toBe(0)
    expect(await graph('shop/web', '--dump', dump, ...MANIFESTS)).toBe(await graph('shop/web', ...INPUT))
  })

  test('draws a dump alone by its addresses, weights and schedulers', async () => {
    const dump = path.join(folder, 'node.save')
    writeFileSync(dump, DUMPED)
    expect(readMermaid(await graph('10.96.0.1:443', '--dump', dump))).toEqual({
      boxes: [
        '10.0.0.1:6443<br>weight 3',
        '10.0.0.2:6443<br>weight 1',
        '10.0.0.3:6443<br>weight 0',
        'KUBE-CLUSTER-IP<br>masquerade: from the address itself',
        'cluster IP<br>10.96.0.1:443/tcp',
        'virtual server<br>scheduler: wrr<br>affinity: 300 s',
      ],
      arrows: [
        'KUBE-CLUSTER-IP -> virtual server',
        'cluster IP -> KUBE-CLUSTER-IP',
        'virtual server - 25% -> 10.0.0.2:6443',
        'virtual server - 75% -> 10.0.0.1:6443',
        'virtual server - no new connections -> 10.0.0.3:6443',
      ],
    })
    expect(readMermaid(await graph('192.168.1.63:30443/tcp', '--dump', dump)).boxes).toEqual([
      '10.0.0.1:6443<br>weight 1',
      '10.0.0.2:6443<br>weight 1',
      'KUBE-NODE-PORT-TCP<br>masquerade: all',
      'node port<br>192.168.1.63:30443/tcp',
      'virtual server<br>scheduler: sh<br>chosen by the hash of sh',
    ])
    // On kube-ipvs0, and in none of the sets: its packets never reach IPVS.
    expect(readMermaid(await graph('10.96.0.9:80', '--dump', dump)).arrows).toEqual([
      'virtual server - not from this node -> reject',
      'virtual server -> 10.0.0.9:80',
      'virtual server -> virtual server',
    ])
    expect(readMermaid(await graph('198.51.100.99:80', '--dump', dump)).boxes).toContain(
      '10.0.0.7:80<br>weight 1<br>packets unchanged (-g)',
    )
  })

  test('draws IPv6', async () => {
    const dump = path.join(folder, 'six.save')
    writeFileSync(
      dump,
      [
        'create KUBE-6-CLUSTER-IP hash:ip,port family inet6 hashsize 1024 maxelem 65536',
        'add KUBE-6-CLUSTER-IP fd00:96::1,udp:53',
        '-A -u [fd00:96::1]:53 -s rr',
        '-a -u [fd00:96::1]:53 -r [fd00:10::1]:5353 -m -w 1',
        '*filter',
        ':INPUT ACCEPT [0:0]',
        ':KUBE-IPVS-FILTER - [0:0]',
        '-A INPUT -s fd00::/8 -j KUBE-IPVS-FILTER',
        'COMMIT',
        '*nat',
        ':KUBE-SERVICES - [0:0]',
        '-A KUBE-SERVICES ! -s fd00:10::/64 -m set --match-set KUBE-6-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ',
        'COMMIT',
        '',
      ].join('\n'),
    )
    expect(readMermaid(await graph('-A', '--dump', dump)).boxes).toEqual([
      // Brackets as Mermaid wants them in texts.
      '#91;fd00:10::1#93;:5353<br>weight 1',
      'KUBE-6-CLUSTER-IP<br>masquerade: not from fd00:10::/64',
      'cluster IP<br>#91;fd00:96::1#93;:53/udp',
      'virtual server<br>scheduler: rr',
    ])
  })

  test('says what a dump lacks', async () => {
    const rules = path.join(folder, 'rules.save')
    writeFileSync(rules, DUMPED.slice(DUMPED.indexOf('*nat')))
    const bare = await sluice(['graph', '-A', '--dump', rules])
    expect(bare.code).toBe(2)
    expect(bare.stderr).toContain('has no virtual servers: give the output of ipvsadm -Sn too')
    const setless = path.join(folder, 'setless.save')
    writeFileSync(setless, DUMPED.slice(DUMPED.indexOf('-A -t')))
    const { code, stderr, stdout } = await sluice(['graph', '10.96.0.1:443', '--dump', setless])
    expect(code).toBe(0)
    expect(stderr).toContain('give the output of ipset save too')
    expect(readMermaid(stdout).boxes).toContain('virtual server<br>10.96.0.1:443/tcp')
    const unknown = await sluice(['graph', '10.96.0.77:443/tcp', '--dump', setless])
    expect(unknown.code).toBe(2)
    expect(unknown.stderr).toContain('it has 10.96.0.1:443/tcp, 10.96.0.9:80/tcp')
  })
})
