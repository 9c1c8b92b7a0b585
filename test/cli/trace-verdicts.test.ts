// What `sluice trace` says in plain words of every packet that gets nowhere, in both modes. The kernel's own verdicts are
// held by flows.txt and by test/kernel and test/second-kernel; here it is the sentence.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { describeVerdict } from '../../src/packet/describe-trace.ts'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { OUTSIDE, type Tables, traceOf } from '../support/traced-rules.ts'
import { type Ended, sluice } from './command.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-verdicts-'))
afterAll(() => rmSync(folder, { recursive: true }))

const own = (name: string, file: string) => path.join(GOLDEN_ROOT, 'own', name, file)

function trace(name: string, mode: string, ...args: readonly string[]): Promise<Ended> {
  const config = own(name, `${mode}/config.yaml`)
  return sluice([
    'trace',
    '-f',
    own(name, 'cluster.yaml'),
    '--config',
    config,
    '--host',
    own(name, 'host.json'),
    ...args,
  ])
}

const verdictOf = ({ stdout }: Ended) => stdout.split('\n').filter((line) => line.startsWith('=> '))
const TOLD = '; the client is told icmp-port-unreachable'
const TOLD_6 = '; the client is told icmp6-port-unreachable'

describe.each(['iptables', 'ipvs'])('in %s mode', (mode) => {
  test.each([
    [
      'source-ranges',
      'tcp 192.0.2.1 -> 203.0.113.10:80',
      'drop: 192.0.2.1 is in none of the loadBalancerSourceRanges of shop/inside',
    ],
    ['no-endpoints', 'tcp 10.244.1.9 -> 10.96.1.10:80', `reject: shop/web:http has no endpoints${TOLD}`],
    ['no-endpoints', 'tcp 198.51.100.2 -> 192.168.1.63:30080', `reject: shop/web:http has no endpoints${TOLD}`],
    ['no-endpoints', 'tcp fd00:1::9 -> [fd00:10:96::110]:80', `reject: shop/web:http has no endpoints${TOLD_6}`],
    [
      'node-port',
      'tcp 192.168.1.63 -> 192.168.1.63:30081',
      "no match: no rule of a Service changes it; it is for this node itself, tcp port 30081; 30081/tcp is no Service's node port",
    ],
    [
      'node-port-addresses',
      'tcp 10.244.1.9 -> 10.244.1.1:30080',
      'no match: no rule of a Service changes it; it is for this node itself, tcp port 30080; 30080/tcp is the node port of shop/web:http, which is not served at 10.244.1.1 (see nodePortAddresses)',
    ],
  ])('%s, %s', async (name, packet, verdict) => {
    const ended = await trace(name, mode, packet)
    expect(verdictOf(ended)).toEqual([`=> ${verdict}`])
    expect(ended.code).toBe(1)
  })
})

describe('in iptables mode', () => {
  test.each([
    [
      'external-policy-local-none-here',
      'tcp 198.51.100.7 -> 192.168.1.63:30080',
      'drop: externalTrafficPolicy is Local and no endpoint of shop/web is on this node',
    ],
    [
      'internal-policy-local',
      'tcp 10.244.1.9 -> 10.96.1.11:80',
      'drop: internalTrafficPolicy is Local and no endpoint of shop/elsewhere is on this node',
    ],
    [
      'cluster-ip',
      'tcp 198.51.100.7 -> 127.0.0.1:22',
      'drop: 127.0.0.1 is asked for from outside of this node, and route_localnet is guarded',
    ],
    [
      'cluster-ip',
      'tcp 10.244.1.9 -> 10.96.1.10:81',
      'no match: no rule of a Service changes it; it goes on to 10.96.1.10 by eth0 as it is; 10.96.1.10 is an address of shop/web, which has 80/tcp and not 81/tcp',
    ],
    [
      'cluster-ip',
      'icmp 10.244.1.9 -> 10.96.1.10',
      'no match: no rule of a Service changes it; it goes on to 10.96.1.10 by eth0 as it is; 10.96.1.10 is an address of shop/web, and answers no ping: Services have ports only',
    ],
    [
      'dual-stack',
      'tcp ::1 -> [::1]:30080',
      'no match: no rule of a Service changes it; it is for this node itself, tcp port 30080; 30080/tcp is the node port of shop/web:http, which is not served at ::1: no node ports are served on ::1',
    ],
    [
      'cluster-ip',
      'tcp 192.168.1.63 -> 10.96.1.10:80 --from outside',
      "drop: 192.168.1.63 is an address of this node, and nobody else's packets may come from it",
    ],
  ])('%s, %s', async (name, text, verdict) => {
    const [packet = '', ...from] = text.split(/ (?=--from)| (?=outside$)/)
    expect(verdictOf(await trace(name, 'iptables', packet, ...from))).toEqual([`=> ${verdict}`])
  })

  const verdicts = (tables: Tables, packet = OUTSIDE) => describeVerdict(traceOf(tables, packet))

  test('node ports that localhostNodePorts keeps from loopback are said to be', () => {
    const nat = `:KUBE-SERVICES -
      :KUBE-NODEPORTS -
      :KUBE-EXT-X -
      -A OUTPUT -j KUBE-SERVICES
      -A KUBE-SERVICES ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
      -A KUBE-NODEPORTS -p tcp -m comment --comment "shop/web:http" -m tcp --dport 30080 -j KUBE-EXT-X`
    expect(verdicts({ nat }, 'tcp 127.0.0.1 -> 127.0.0.1:30080').join()).toContain(
      '30080/tcp is the node port of shop/web:http, which is not served at 127.0.0.1 (see localhostNodePorts and nodePortAddresses)',
    )
  })

  test('what a chain of an older kube-proxy marked to be dropped is told by what marked it', () => {
    const marked = (chain: string, rule: string) => ({
      nat: `:KUBE-SERVICES -
        :${chain} -
        :KUBE-MARK-DROP -
        -A PREROUTING -j KUBE-SERVICES
        -A KUBE-SERVICES -d 10.96.1.10/32 -p tcp -m tcp --dport 80 -j ${chain}
        -A ${chain} ${rule} -j KUBE-MARK-DROP
        -A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000`,
      filter: `:KUBE-FIREWALL -
        -A FORWARD -j KUBE-FIREWALL
        -A KUBE-FIREWALL -m comment --comment "kubernetes firewall for dropping marked packets" -m mark --mark 0x8000/0x8000 -j DROP`,
    })
    expect(
      verdicts(marked('KUBE-FW-67NZLRHBNDSAWJRO', '-m comment --comment "shop/web:http loadbalancer IP"')),
    ).toEqual(['drop: 198.51.100.2 is in none of the loadBalancerSourceRanges of shop/web'])
    expect(
      verdicts(marked('KUBE-XLB-67NZLRHBNDSAWJRO', '-m comment --comment "shop/web:http has no local endpoints"')),
    ).toEqual(['drop: externalTrafficPolicy is Local and no endpoint of shop/web is on this node'])
    expect(verdicts(marked('MINE', '-s 198.51.100.0/24'))).toEqual([
      'drop: nat MINE marked it 0x8000, and KUBE-FIREWALL refuses what has this mark',
    ])
  })

  test('what is refused for its state in conntrack is told so', () => {
    const invalid = '-m conntrack --ctstate INVALID -j DROP'
    expect(verdicts({ raw: `-A PREROUTING ${invalid}` })).toEqual([
      'drop: raw PREROUTING refuses what is in state INVALID, and before conntrack every packet is',
    ])
    // After raw a new connection is never invalid: the rule is passed by.
    expect(verdicts({ filter: `-A FORWARD ${invalid}` })[0]).toMatch(/^no match/)
    expect(verdicts({ filter: '-A FORWARD -m conntrack --ctstate INVALID,NEW -j DROP' })).toEqual([
      'drop: by a rule of filter FORWARD: -m conntrack --ctstate INVALID,NEW -j DROP',
    ])
  })

  test('what the policy of a base chain drops is told so', () => {
    expect(verdicts({ filter: ':FORWARD DROP' })).toEqual(['drop: the policy of filter FORWARD is DROP'])
  })
})

describe('in IPVS mode', () => {
  test.each([
    [
      'source-ranges',
      'tcp 203.0.113.11 -> 203.0.113.11:80',
      'drop: this node is in none of the loadBalancerSourceRanges of shop/outside',
    ],
    [
      'internal-policy-local',
      'tcp 10.244.1.9 -> 10.96.1.11:80',
      `reject: internalTrafficPolicy is Local and no endpoint of shop/elsewhere is on this node${TOLD}`,
    ],
    [
      'cluster-ip',
      'tcp 10.244.1.9 -> 10.96.1.10:81',
      `reject: 10.96.1.10 is an address of shop/web, which has 80/tcp and not 81/tcp${TOLD}`,
    ],
    [
      'cluster-ip',
      'udp 10.244.1.9 -> 10.96.1.10:80',
      `reject: 10.96.1.10 is an address of shop/web, which has 80/tcp and not 80/udp${TOLD}`,
    ],
    [
      'cluster-ip',
      'icmp 10.244.1.9 -> 10.96.1.10',
      `reject: 10.96.1.10 is an address of shop/web, and answers no ping: Services have ports only${TOLD}`,
    ],
    [
      'dual-stack',
      'tcp fd00:1::9 -> [fd00:10:96::110]:81',
      `reject: fd00:10:96::110 is an address of shop/web, which has 80/tcp and not 81/tcp${TOLD_6}`,
    ],
    ['node-port', 'tcp 198.51.100.7 -> 127.0.0.1:30080', "drop: 127.0.0.1 can't be reached from another host"],
    [
      'node-port',
      'tcp 127.0.0.1 -> 127.0.0.1:30080',
      'no match: no rule of a Service changes it; it is for this node itself, tcp port 30080; 30080/tcp is the node port of shop/web:http, which is not served at 127.0.0.1: IPVS mode serves no node ports on loopback addresses',
    ],
    ['cluster-ip', 'tcp 127.0.0.1 -> 10.96.1.10:80', 'drop: IPVS sends nothing from 127.0.0.1 to another host'],
  ])('%s, %s', async (name, packet, verdict) => {
    const verdicts = verdictOf(await trace(name, 'ipvs', packet))
    expect(verdicts.find((line) => !line.startsWith('=> dnat'))?.replace(/ \([\d.]+%\)/, '')).toBe(`=> ${verdict}`)
  })

  test('the same is said of a dump with the objects beside it, and without them the address stands for the Service', async () => {
    const dump = ['--dump', own('source-ranges', 'ipvs'), 'tcp 192.0.2.1 -> 203.0.113.10:80']
    const beside = await trace('source-ranges', 'ipvs', ...dump)
    expect(verdictOf(beside)).toEqual(['=> drop: 192.0.2.1 is in none of the loadBalancerSourceRanges of shop/inside'])
    expect(verdictOf(await sluice(['trace', ...dump]))).toEqual([
      '=> drop: 192.0.2.1 is in none of the loadBalancerSourceRanges of the Service at 203.0.113.10:80',
    ])
    const closed = await sluice(['trace', '--dump', own('cluster-ip', 'ipvs'), 'tcp 10.244.1.9 -> 10.96.1.10:81'])
    expect(verdictOf(closed)).toEqual([
      `=> reject: 10.96.1.10 is an address of Services, which have 80/tcp and not 81/tcp${TOLD}`,
    ])
  })

  test('an address of kube-ipvs0 in no set, with a virtual server or without one', async () => {
    const file = path.join(folder, 'setless')
    const filter = `*filter
:INPUT ACCEPT [0:0]
:KUBE-IPVS-FILTER - [0:0]
-A INPUT -j KUBE-IPVS-FILTER
-A KUBE-IPVS-FILTER -m set --match-set KUBE-CLUSTER-IP dst,dst -j RETURN
-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set KUBE-IPVS-IPS dst -j REJECT --reject-with icmp-port-unreachable
COMMIT
`
    const sets = `create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-IPVS-IPS hash:ip family inet hashsize 1024 maxelem 65536
add KUBE-IPVS-IPS 10.96.0.8
add KUBE-IPVS-IPS 10.96.0.9
`
    writeFileSync(file, `${sets}-A -t 10.96.0.9:80 -s rr\n-a -t 10.96.0.9:80 -r 10.0.0.9:80 -m -w 1\n${filter}`)
    const to = async (end: string) => verdictOf(await sluice(['trace', '--dump', file, `tcp 10.0.0.1 -> ${end}`]))
    expect(await to('10.96.0.9:80')).toEqual([
      `=> reject: 10.96.0.9:80 is of Services, but in no set of IPVS mode that lets packets in${TOLD}`,
    ])
    expect(await to('10.96.0.8:80')).toEqual([
      `=> reject: 10.96.0.8 is an address of kube-ipvs0, and no Service is known to serve 80/tcp there${TOLD}`,
    ])
  })
})

test('--all says the same in its cells, and -o json the reason by name', async () => {
  const matrix = await trace('external-policy-local-none-here', 'iptables', '--all', 'shop/web')
  expect(matrix.stdout).toContain('drop: externalTrafficPolicy is Local and no endpoint of shop/web is on this node\n')
  const { stdout } = await trace('source-ranges', 'ipvs', '-o', 'json', 'tcp 192.0.2.1 -> 203.0.113.10:80')
  expect(JSON.parse(stdout)).toMatchObject({
    outcomes: [{ kind: 'drop', reason: 'source-ranges', service: 'shop/inside:http' }],
  })
})
