import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { type Ended, sluice } from './command.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-trace-'))
afterAll(() => rmSync(folder, { recursive: true }))

function scenario(name: string): readonly string[] {
  const own = path.join(GOLDEN_ROOT, 'own', name)
  return [
    '-f',
    path.join(own, 'cluster.yaml'),
    '--config',
    path.join(own, 'iptables/config.yaml'),
    '--host',
    path.join(own, 'host.json'),
  ]
}

const trace = (name: string, ...args: readonly string[]): Promise<Ended> =>
  sluice(['trace', ...scenario(name), ...args])
const last = ({ stderr }: Ended) => stderr.trim().split('\n').at(-1)

describe('a packet', () => {
  test('is followed line by line, to a verdict in plain words', async () => {
    const { code, stdout } = await trace(
      'external-policy-local-none-here',
      'tcp 198.51.100.7:40000 -> 192.168.1.63:30080',
    )
    expect(code).toBe(1)
    expect(stdout).toBe(
      `tcp 198.51.100.7:40000 -> 192.168.1.63:30080   from outside (eth0)
nat    PREROUTING                 -> KUBE-SERVICES              kubernetes service portals
nat    KUBE-SERVICES              -> KUBE-NODEPORTS             kubernetes service nodeports
nat    KUBE-NODEPORTS             -> KUBE-EXT-67NZLRHBNDSAWJRO  shop/web:http
nat    KUBE-EXT-67NZLRHBNDSAWJRO  end of chain                  not from a pod of this node, not from this node, nothing chosen
filter INPUT                      -> KUBE-EXTERNAL-SERVICES     kubernetes externally-visible service portals
filter KUBE-EXTERNAL-SERVICES     DROP                          shop/web:http has no local endpoints
=> drop: externalTrafficPolicy is Local and no endpoint of shop/web is on this node
`,
    )
  })

  test('that reaches endpoints ends with 0, their shares, the source they see, and the way of answers', async () => {
    const { code, stdout } = await trace('node-port', 'tcp 198.51.100.7 -> 192.168.1.63:30080')
    expect(code).toBe(0)
    expect(stdout).toContain('├─ 50%\n')
    expect(stdout).toContain(
      '10.244.1.5:8080 50%, which sees 10.244.1.1 (masqueraded); 10.244.2.5:8080 50%, which sees 192.168.1.63 (masqueraded)',
    )
    expect(stdout).toContain('answers come back through this node, and the client sees them from 192.168.1.63:30080')
  })

  test('whose answers would not come back is told', async () => {
    const { stdout } = await trace('no-local-detector', 'tcp 198.51.100.7 -> 10.96.1.10:80')
    expect(stdout).toContain('answers of 10.244.2.5:8080 go past this node straight to the client')
    expect(stdout).toContain('the connection fails')
  })

  test.each([
    [
      'no-endpoints',
      'tcp 10.244.1.9 -> 10.96.1.10:80',
      '=> reject: shop/web:http has no endpoints; the client is told icmp-port-unreachable',
    ],
    [
      'internal-policy-local',
      'tcp 10.244.1.9 -> 10.96.1.11:80',
      '=> drop: internalTrafficPolicy is Local and no endpoint of shop/elsewhere is on this node',
    ],
    [
      'source-ranges',
      'tcp 192.0.2.1 -> 203.0.113.10:80',
      '=> drop: 192.0.2.1 is in none of the loadBalancerSourceRanges of shop/inside',
    ],
    [
      'cluster-ip',
      'udp 10.244.1.9 -> 10.96.1.10:80',
      '=> no match: no rule of a Service changes it; it goes on to 10.96.1.10 by eth0 as it is',
    ],
    [
      'cluster-ip',
      'icmp 10.244.1.9 -> 192.168.1.63',
      '=> no match: no rule of a Service changes it; it is for this node itself',
    ],
  ])('in %s, %s: the verdict says why', async (name, packet, verdict) => {
    const { code, stdout } = await trace(name, packet)
    expect(stdout).toContain(verdict)
    expect(code).toBe(1)
  })

  test('may name a Service and an origin instead of addresses', async () => {
    const { code, stdout } = await trace('cluster-ip', '--from', 'pod', 'tcp -> shop/web:http')
    expect(stdout.split('\n')[0]).toBe('tcp 10.244.1.200:40000 -> 10.96.1.10:80   from pod (cni0)')
    expect(code).toBe(0)
    const short = await trace('cluster-ip', '-n', 'shop', '--from', 'node', 'tcp -> web:80')
    expect(short.stdout.split('\n')[0]).toBe('tcp 192.168.1.63:40000 -> 10.96.1.10:80   from node')
  })

  test('may come from a Pod of the input', async () => {
    const { stdout } = await trace('derived-from-pods', '--from', 'shop/web-here', 'tcp -> 10.96.1.10:80')
    expect(stdout.split('\n')[0]).toBe('tcp 10.244.1.5:40000 -> 10.96.1.10:80   from pod (cni0)')
    expect(stdout).toContain('10.244.1.5:8080 50%, which sees 10.244.1.1 (masqueraded)')
  })

  test('is data with -o json, with exact shares', async () => {
    const { stdout } = await trace('cluster-ip', '--from', 'pod', '-o', 'json', 'tcp -> 10.96.1.10:80')
    expect(JSON.parse(stdout)).toMatchObject({
      apiVersion: 'sluice/v1',
      kind: 'Trace',
      reachesEndpoint: true,
      outcomes: [
        {
          endpoint: '10.244.1.5:8080',
          share: { fraction: '715827883/2147483648' },
          masqueraded: false,
          reply: 'through this node',
        },
        { endpoint: '10.244.2.5:8080' },
        { endpoint: '10.244.3.5:8080' },
      ],
    })
    const yaml = await trace('cluster-ip', '--from', 'pod', '-o', 'yaml', 'tcp -> 10.96.1.10:80')
    expect(yaml.stdout).toMatch(/^apiVersion: sluice\/v1\nkind: Trace\n/)
  })

  test('shows the rules themselves with --rules', async () => {
    const { stdout } = await trace('cluster-ip', '--rules', '--from', 'pod', 'tcp -> 10.96.1.10:80')
    expect(stdout).toContain(
      '-p tcp -m comment --comment "shop/web:http" -m tcp -j DNAT --to-destination 10.244.1.5:8080',
    )
  })
})

describe('a dump', () => {
  const dump = path.join(GOLDEN_ROOT, 'own/node-port/iptables/iptables-save')

  test('needs nothing beside it, and what is assumed is said', async () => {
    const { code, stdout, stderr } = await sluice(['trace', '--dump', dump, 'tcp 198.51.100.7 -> 192.168.1.63:30080'])
    expect(stderr).toContain('assumed: 192.168.1.63 is an address of this node (--host FILE tells which it has)')
    expect(stdout).toContain(
      '=> dnat: shop/web:http at 10.244.1.5:8080 50%, 10.244.2.5:8080 50%; the server sees 192.168.1.63 (masqueraded)',
    )
    expect(code).toBe(0)
  })

  test('tells the pod network by its rules', async () => {
    const { stdout } = await sluice(['trace', '--dump', dump, 'tcp 10.244.7.7 -> 10.96.1.10:80'])
    expect(stdout.split('\n')[0]).toContain('from pod')
    expect(stdout).toContain('the server sees 10.244.7.7, the client itself')
  })

  test('of one family knows nothing of the other', async () => {
    const ended = await sluice(['trace', '--dump', dump, 'tcp fd00::9 -> [fd00::1]:80'])
    expect(ended.code).toBe(2)
    expect(last(ended)).toContain('the packet is ipv6, and')
    expect(last(ended)).toContain('give those of ip6tables-save too')
  })

  test('with a control sequence in a comment does not steer the terminal', async () => {
    const file = path.join(folder, 'evil')
    writeFileSync(file, '*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m comment --comment "a\u202eb" -j DROP\nCOMMIT\n')
    const { stdout } = await sluice(['trace', '--dump', file, 'tcp 10.0.0.1 -> 10.0.0.2:80'])
    expect(stdout).not.toContain('\u202e')
  })
})

describe('--all', () => {
  test('is a matrix of sources and addresses', async () => {
    const { code, stdout } = await trace('external-policy-local', '--all', 'shop/web')
    expect(code).toBe(0)
    expect(stdout).toBe(`cluster IP 10.96.1.10:80/tcp
  pod         10.244.1.200      10.244.1.5:8080 33.3%, sees the client
                                10.244.2.5:8080 33.3%, sees the client
                                10.244.3.5:8080 33.3%, sees the client
  node        192.168.1.63      10.244.1.5:8080 33.3%, sees 10.244.1.1
                                10.244.2.5:8080 33.3%, sees the client
                                10.244.3.5:8080 33.3%, sees the client
  other node  192.168.1.62      10.244.1.5:8080 33.3%, sees 10.244.1.1
                                10.244.2.5:8080 33.3%, sees 192.168.1.63
                                10.244.3.5:8080 33.3%, sees 192.168.1.63
  outside     192.0.2.200       10.244.1.5:8080 33.3%, sees 10.244.1.1
                                10.244.2.5:8080 33.3%, sees 192.168.1.63
                                10.244.3.5:8080 33.3%, sees 192.168.1.63

node port 192.168.1.63:30080/tcp
  pod         10.244.1.200      10.244.1.5:8080 33.3%, sees the client
                                10.244.2.5:8080 33.3%, sees the client
                                10.244.3.5:8080 33.3%, sees the client
  node        192.168.1.63      10.244.1.5:8080 33.3%, sees 10.244.1.1
                                10.244.2.5:8080 33.3%, sees the client
                                10.244.3.5:8080 33.3%, sees the client
  other node  192.168.1.62      10.244.1.5:8080, sees the client
  outside     192.0.2.200       10.244.1.5:8080, sees the client
`)
  })

  test('ends with 1 when somebody does not get through, and is data with -o json', async () => {
    const { code, stdout } = await trace('external-policy-local-none-here', '--all', 'shop/web', '-o', 'json')
    expect(code).toBe(1)
    const { traces } = JSON.parse(stdout) as { traces: readonly unknown[] }
    expect(traces).toHaveLength(16)
  })
})

describe('what makes no sense is refused with exit code 2 and a sentence', () => {
  test.each([
    [[], 'which packet? Write one like'],
    // What a shell makes of a packet without quotes, beside a file called 10.0.0.2:80.
    [['tcp', '10.0.0.1', '-'], '3 words were given: put the packet in quotes'],
    [['tcp 10.0.0.1 -> 10.0.0.2'], 'the destination 10.0.0.2 has no port'],
    [['tcp -> 10.96.1.10:80'], 'has no source: write one before the ->, or give --from'],
    [['tcp 10.0.0.1 -> shop/nowhere:80'], 'there is no such Service in the input (it has shop/web)'],
    [['tcp 10.0.0.1 -> shop/web:smtp'], 'Service shop/web has no port smtp: it has http'],
    [['tcp [fd00::1] -> shop/web:80'], 'Service shop/web has no ipv6 cluster IP'],
    [['--from', 'mars', 'tcp -> 10.96.1.10:80'], 'there is no Pod default/mars in the input (it has no Pods)'],
    [['--from', '10.0.0.9', 'tcp 10.0.0.8 -> 10.96.1.10:80'], 'is 10.0.0.9, and the packet says 10.0.0.8'],
    [['--from', 'fd00::1', 'tcp -> 10.96.1.10:80'], 'use addresses of one family'],
    [['--family', 'ipv6', 'tcp 10.0.0.8 -> 10.96.1.10:80'], '--family ipv6: the packet is ipv4'],
    [['--all', 'shop/nowhere'], '--all shop/nowhere: there is no such Service in the input (it has shop/web)'],
    [['--all', 'shop/web', 'tcp 10.0.0.8 -> 10.96.1.10:80'], '--all traces packets of its own'],
    [['--all', 'shop/web', '--from', 'pod'], '--all traces from everywhere'],
  ])('%j', async (args, message) => {
    const ended = await trace('cluster-ip', ...args)
    expect(ended.stdout).toBe('')
    expect(ended.stderr).toContain(message)
    expect(ended.code).toBe(2)
  })

  test('headless Services and ExternalNames have no address to trace to', async () => {
    expect((await trace('external-name', '--all', 'shop/billing')).stderr).toContain(
      'it is an ExternalName, which is an entry in DNS',
    )
    expect((await trace('headless', '--all', 'shop/db')).stderr).toContain('it has no cluster IP of these families')
  })

  test('--all needs objects', async () => {
    const dump = path.join(GOLDEN_ROOT, 'own/node-port/iptables/iptables-save')
    const ended = await sluice(['trace', '--dump', dump, '--all', 'shop/web'])
    expect(last(ended)).toContain("rules alone don't know Services: give -f MANIFESTS or --kubeconfig FILE beside them")
  })
})
