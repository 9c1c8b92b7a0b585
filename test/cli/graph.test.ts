// `sluice graph` from the command line, against pictures written by hand from the manifests in test/data/graph. The
// chains' names are those of kube-proxy: the first 16 characters of base32 over the SHA-256 of name and protocol.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readMermaid } from '../support/mermaid.ts'
import { sluice } from './command.ts'

const DATA = path.join(import.meta.dirname, '..', 'data', 'graph')
const INPUT = ['-f', path.join(DATA, 'cluster.yaml'), '--config', path.join(DATA, 'config.yaml')]
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-graph-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function graph(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await sluice(['graph', ...args])
  if (code !== 0) throw new Error(stderr)
  return stdout
}

describe('sluice graph', () => {
  test('draws every kind of way in to a Service, what its chains decide, and its endpoints with shares', async () => {
    const { boxes, arrows } = readMermaid(await graph('shop/web', ...INPUT))
    expect(boxes).toEqual([
      '10.244.1.5:8080<br>KUBE-SEP-34ZZ2QFGO32YYXXO',
      '10.244.2.5:8080<br>KUBE-SEP-CXXRTNR2DI2TYC6R',
      '10.244.3.5:8080<br>KUBE-SEP-FT7X35X732GD6ZKC',
      'KUBE-EXT-67NZLRHBNDSAWJRO<br>externalTrafficPolicy: Local<br>masquerade: from this node',
      'KUBE-FW-67NZLRHBNDSAWJRO<br>lets in 203.0.113.0/24<br>lets in 198.18.0.0/15',
      'KUBE-SVC-67NZLRHBNDSAWJRO<br>masquerade: not from 10.244.0.0/16<br>affinity: 10800 s',
      'KUBE-SVL-67NZLRHBNDSAWJRO<br>endpoints of this node<br>affinity: 10800 s',
      'cluster IP<br>10.96.1.10:80/tcp',
      'drop<br>not in the source ranges<br>KUBE-PROXY-FIREWALL',
      'external IP<br>198.51.100.7:80/tcp',
      'load-balancer IP<br>203.0.113.10:80/tcp',
      'node port<br>30080/tcp',
    ])
    expect(arrows).toEqual([
      'KUBE-EXT-67NZLRHBNDSAWJRO - all others -> KUBE-SVL-67NZLRHBNDSAWJRO',
      'KUBE-EXT-67NZLRHBNDSAWJRO - from 10.244.0.0/16 or from this node -> KUBE-SVC-67NZLRHBNDSAWJRO',
      'KUBE-FW-67NZLRHBNDSAWJRO - from anywhere else -> drop',
      'KUBE-FW-67NZLRHBNDSAWJRO -> KUBE-EXT-67NZLRHBNDSAWJRO',
      'KUBE-SVC-67NZLRHBNDSAWJRO - 33.3% -> 10.244.1.5:8080',
      'KUBE-SVC-67NZLRHBNDSAWJRO - 33.3% -> 10.244.2.5:8080',
      'KUBE-SVC-67NZLRHBNDSAWJRO - 33.3% -> 10.244.3.5:8080',
      'KUBE-SVL-67NZLRHBNDSAWJRO -> 10.244.1.5:8080',
      'cluster IP -> KUBE-SVC-67NZLRHBNDSAWJRO',
      'external IP -> KUBE-EXT-67NZLRHBNDSAWJRO',
      'load-balancer IP -> KUBE-FW-67NZLRHBNDSAWJRO',
      'node port -> KUBE-EXT-67NZLRHBNDSAWJRO',
    ])
  })

  test('draws who is refused, and why', async () => {
    expect(await graph('shop/empty', ...INPUT)).toBe(
      `flowchart LR
  %% shop/empty udp ipv4
  n0(["cluster IP<br>10.96.1.11:53/udp"])
  n1{{"reject<br>no endpoints<br>KUBE-SERVICES"}}
  n2(["node port<br>30053/udp"])
  n3{{"reject<br>no endpoints<br>KUBE-EXTERNAL-SERVICES"}}
  n0 --> n1
  n2 --> n3
  class n0,n2 entrance
  class n1,n3 refusal
  classDef refusal stroke:#b3261e,stroke-width:2px
`,
    )
    expect(readMermaid(await graph('elsewhere', '-n', 'shop', ...INPUT)).arrows).toEqual([
      'KUBE-EXT-ECBJC4C3ZTYKILZE - from 10.244.0.0/16 or from this node -> KUBE-SVC-ECBJC4C3ZTYKILZE',
      'KUBE-SVC-ECBJC4C3ZTYKILZE -> 10.244.2.9:8443',
      'cluster IP -> KUBE-SVC-ECBJC4C3ZTYKILZE',
      'node port -> KUBE-EXT-ECBJC4C3ZTYKILZE',
      'node port -> drop',
    ])
  })

  test('says why a Service has nothing to draw', async () => {
    expect(await graph('store/db', ...INPUT)).toContain(
      'store/db<br>headless: DNS gives the addresses of its Pods, no rules',
    )
  })

  test('frames the Services of a namespace, and of all', async () => {
    const frames = (text: string) => [...text.matchAll(/subgraph \S+\["(.*)"\]/g)].map(([, title]) => title)
    expect(frames(await graph('shop', ...INPUT))).toEqual([
      'shop/elsewhere:api tcp ipv4',
      'shop/empty udp ipv4',
      'shop/web:http tcp ipv4',
    ])
    expect(frames(await graph('-A', ...INPUT))).toHaveLength(4)
  })

  test('draws one packet’s way, with what the server sees', async () => {
    const { boxes, arrows } = readMermaid(await graph(...INPUT, '--packet', 'tcp 203.0.113.9:40000 -> 203.0.113.10:80'))
    expect(boxes).toContain('10.244.1.5:8080<br>sees 203.0.113.9')
    expect(arrows).toEqual([
      'nat KUBE-EXT-67NZLRHBNDSAWJRO -> nat KUBE-SVL-67NZLRHBNDSAWJRO',
      'nat KUBE-FW-67NZLRHBNDSAWJRO -> nat KUBE-EXT-67NZLRHBNDSAWJRO',
      'nat KUBE-SEP-34ZZ2QFGO32YYXXO -> 10.244.1.5:8080',
      'nat KUBE-SERVICES -> nat KUBE-FW-67NZLRHBNDSAWJRO',
      'nat KUBE-SVL-67NZLRHBNDSAWJRO -> nat KUBE-SEP-34ZZ2QFGO32YYXXO',
      'nat PREROUTING -> nat KUBE-SERVICES',
      'outside -> nat PREROUTING',
    ])
  })

  test('lights one packet’s way in the picture of its Service', async () => {
    const text = await graph('shop/web', ...INPUT, '--from', 'node', '--packet', 'tcp -> 192.168.1.63:30080')
    const lit = /class (\S+) lit/.exec(text)?.[1]?.split(',') ?? []
    const boxes = lit.map((id) => new RegExp(`^ +${id}\\W+"(.*?)<br>`, 'm').exec(text)?.[1] ?? '')
    expect(boxes.toSorted()).toEqual([
      '10.244.1.5:8080',
      '10.244.2.5:8080',
      '10.244.3.5:8080',
      'KUBE-EXT-67NZLRHBNDSAWJRO',
      'KUBE-SVC-67NZLRHBNDSAWJRO',
      'node port',
    ])
    expect(text).toMatch(/linkStyle \d+(?:,\d+){4} stroke/)
  })

  test('draws a dump as it draws the manifests that it was made of', async () => {
    const { stdout } = await sluice(['render', ...INPUT, '--family', 'ipv4'])
    const dump = path.join(folder, 'rules.save')
    writeFileSync(dump, stdout)
    expect(await graph('shop/web', '--dump', dump)).toBe(await graph('shop/web', ...INPUT))
  })

  test('SVG is well-formed, with colours for light and dark', async () => {
    const svg = await graph('-A', ...INPUT, '-o', 'svg')
    expect(svg).toMatch(/^<svg xmlns/)
    expect(svg).toContain('prefers-color-scheme: dark')
    const file = path.join(folder, 'all.svg')
    writeFileSync(file, svg)
    // Node has no parser of XML; Python has one, where it is installed.
    try {
      execFileSync('python3', ['--version'], { stdio: 'ignore' })
    } catch {
      return
    }
    execFileSync('python3', ['-c', 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])', file])
  })

  test.each([
    [
      ['shop/nothing'],
      'shop/nothing: there is no such Service in the input (it has shop/elsewhere, shop/empty, shop/web, store/db): write NAMESPACE/SERVICE',
    ],
    [
      ['nowhere'],
      'nowhere: there is no Service of that namespace in the input (its namespaces are shop, store); write a Service as NAMESPACE/SERVICE',
    ],
    [[], "what is to be drawn? Give NAMESPACE/SERVICE, a namespace, -A, or a packet such as 'tcp A -> B:80'"],
    [['shop/web', '-A'], '-A draws every Service: leave out shop/web, or -A'],
    [['shop/web', '-n', 'store'], 'shop/web is not in the namespace of -n store: leave one of them out'],
    [['shop/web', '--from', 'pod'], '--from is of a packet: give --packet too'],
    [
      ['-A', '-o', 'html', '--packet', 'tcp 1.2.3.4 -> 5.6.7.8:9'],
      '-o html shows every way by itself: leave out the packet, or draw svg',
    ],
  ])('%j is refused', async (args, message) => {
    const { code, stdout, stderr } = await sluice(['graph', ...args, ...INPUT])
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(message)
  })
})
