// A packet in place of a Service, in both modes and both families, and virtual servers of firewall marks. Pictures were
// written by hand from the manifests in test/data/graph and rules-golden/own/dual-stack.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { readMermaid } from '../support/mermaid.ts'
import { sluice } from './command.ts'

const DATA = path.join(import.meta.dirname, '..', 'data', 'graph')
const INPUT = ['-f', path.join(DATA, 'cluster.yaml'), '--config', path.join(DATA, 'config-ipvs.yaml')]
const DUAL = path.join(GOLDEN_ROOT, 'own/dual-stack')
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-graph-packet-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function graph(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await sluice(['graph', ...args])
  if (code !== 0) throw new Error(stderr)
  return stdout
}

test('a packet in place of a Service is what --packet draws', async () => {
  const packet = 'tcp 203.0.113.9:40000 -> 203.0.113.10:80'
  const text = await graph(packet, ...INPUT)
  expect(text).toBe(await graph('--packet', packet, ...INPUT))
  expect(readMermaid(text).boxes).toContain('10.244.1.5:8080<br>sees 203.0.113.9')
  expect(await graph('tcp -> shop/web:80', '--from', 'pod', ...INPUT)).toContain('ipvs tcp 10.96.1.10:80')
})

test('a packet of either family goes through a saved node of IPVS mode', async () => {
  const dump = ['--dump', path.join(DUAL, 'ipvs')]
  const ipv4 = readMermaid(await graph('tcp 10.244.1.9 -> 10.96.1.10:80', ...dump))
  expect(ipv4.arrows).toEqual([
    'ipvs tcp 10.96.1.10:80 - 50% -> 10.244.1.5:8080',
    'ipvs tcp 10.96.1.10:80 - 50% -> 10.244.2.5:8080',
    'nat KUBE-SERVICES -> ipvs tcp 10.96.1.10:80',
    'nat PREROUTING -> nat KUBE-SERVICES',
    'pod -> nat PREROUTING',
  ])
  const ipv6 = readMermaid(await graph('tcp fd00:10:244:1::9 -> [fd00:10:96::110]:80', ...dump))
  expect(ipv6.arrows).toContain('nat KUBE-SERVICES -> ipvs tcp #91;fd00:10:96::110#93;:80')
  expect(ipv6.arrows).toHaveLength(4)
  const refused = await graph('tcp 10.244.1.9 -> 10.96.1.10:81', ...dump, '-f', path.join(DUAL, 'cluster.yaml'))
  expect(readMermaid(refused).boxes.find((box) => box.startsWith('reject'))).toBe(
    'reject<br>10.96.1.10 is an address of shop/web, which has 80/tcp and not 81/tcp#59; the client is told icmp-port-unreachable',
  )
})

test('virtual servers of firewall marks are said to be passed over, and a marked packet’s way through one is drawn', async () => {
  const file = path.join(folder, 'marked.save')
  writeFileSync(
    file,
    `-A -t 10.96.0.1:443 -s rr
-a -t 10.96.0.1:443 -r 10.0.0.1:6443 -m -w 1
-A -f 17 -s rr
-a -f 17 -r 10.0.0.7:0 -m -w 1
-A -f 18 -6 -s rr
*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 203.0.113.7/32 -j MARK --set-xmark 0x11/0xffffffff
COMMIT
`,
  )
  const { stderr, stdout } = await sluice(['graph', '-A', '--dump', file])
  expect(stderr).toContain(
    "passed over: 1 virtual server of firewall marks (-f 17), which have no address: a packet's way through one is drawn with --packet",
  )
  expect(stdout).not.toContain('10.0.0.7')
  const way = ['--dump', file, '--from', 'outside', 'tcp 198.51.100.9 -> 203.0.113.7:80']
  const { boxes, arrows } = readMermaid(await graph(...way))
  expect(boxes).toContain('10.0.0.7:80<br>sees 198.51.100.9')
  expect(arrows).toContain('mangle PREROUTING -> ipvs -f 17')
})

test.each([
  [['tcp 10.0.0.9 -> 10.96.1.10:80', '--packet', 'tcp 10.0.0.8 -> 10.96.1.10:80'], 'two packets: leave out'],
  [['tcp', '10.0.0.9', '-'], '3 words were given: name one Service or namespace, and put a packet in quotes'],
  [['tcp 10.0.0.9 -> 10.96.1.10:80', '-o', 'html'], '-o html shows every way by itself: leave out the packet'],
  [['tcp 10.0.0.9 -> 10.96.1.10'], 'the destination 10.96.1.10 has no port'],
])('%j is refused', async (args, message) => {
  const { code, stdout, stderr } = await sluice(['graph', ...args, ...INPUT])
  expect(stderr).toContain(message)
  expect(stdout).toBe('')
  expect(code).toBe(2)
})
