// `sluice trace` in IPVS mode: from manifests, and from what the tools of a node show.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { sluice } from './command.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-trace-ipvs-'))
afterAll(() => rmSync(folder, { recursive: true }))

const own = (name: string, file: string) => path.join(GOLDEN_ROOT, 'own', name, file)
const manifests = (name: string) => [
  '-f',
  own(name, 'cluster.yaml'),
  '--config',
  own(name, 'ipvs/config.yaml'),
  '--host',
  own(name, 'host.json'),
]

describe('manifests in IPVS mode', () => {
  test('a packet goes to a virtual server, past the rules around it, and is masqueraded', async () => {
    const { code, stdout } = await sluice([
      'trace',
      ...manifests('derived-from-pods'),
      'tcp 198.51.100.2 -> 10.96.1.10:80',
    ])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ipvs {3}tcp 10\.96\.1\.10:80 +virtual server, rr +shop\/web:http$/m)
    expect(stdout).toContain('real server 10.244.2.5:9090')
    expect(stdout).toContain('shop/web:http at 10.244.1.5:8080 50%, ')
    expect(stdout).toContain('answers come back through this node, and the client sees them from 10.96.1.10:80')
  })

  test('without real servers the client is told so', async () => {
    const { code, stdout } = await sluice(['trace', ...manifests('no-endpoints'), 'tcp 10.244.1.9 -> 10.96.1.10:80'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/=> reject: shop\/\S+ has no endpoints; the client is told icmp-port-unreachable\n/)
  })

  test('--mode ipvs does without a configuration', async () => {
    const input = ['-f', own('cluster-ip', 'cluster.yaml'), '--host', own('cluster-ip', 'host.json'), '--mode', 'ipvs']
    const { code, stdout } = await sluice(['trace', ...input, 'tcp 10.244.1.9 -> 10.96.1.10:80'])
    expect(code).toBe(0)
    expect(stdout).toContain('virtual server, rr')
  })

  test('--all is a matrix', async () => {
    const { stdout } = await sluice(['trace', ...manifests('external-policy-local'), '--all', 'shop/web'])
    expect(stdout).toContain(`node port 192.168.1.63:30080/tcp
  pod         10.244.1.200      10.244.1.5:8080, sees the client
  node        192.168.1.63      10.244.1.5:8080, sees the client
`)
  })
})

describe('a dump of IPVS mode', () => {
  test('gives the verdict of the manifests, by its folder, without anything about the node', async () => {
    const dumped = await sluice(['trace', '--dump', own('cluster-ip', 'ipvs'), 'tcp 10.244.1.9 -> 10.96.1.10:80'])
    expect(dumped.code).toBe(0)
    expect(dumped.stdout).toContain(
      '=> dnat: 10.244.1.5:8080 33.3%, 10.244.2.5:8080 33.3%, 10.244.3.5:8080 33.3%; the server sees 10.244.1.9, the client itself',
    )
  })

  test('tells the pod network by its rules', async () => {
    const { stdout } = await sluice(['trace', '--dump', own('dual-stack', 'ipvs'), 'tcp 10.244.7.7 -> 10.96.1.10:80'])
    expect(stdout.split('\n')[0]).toBe('tcp 10.244.7.7:40000 -> 10.96.1.10:80   from pod')
  })

  test('says what else decides: weights, other schedulers, session affinity', async () => {
    const rules = '*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n'
    const servers = (options: string) =>
      `-A -t 10.96.0.1:443 ${options}\n-a -t 10.96.0.1:443 -r 10.0.0.1:6443 -m -w 3\n-a -t 10.96.0.1:443 -r 10.0.0.2:6443 -m -w 1\n-a -t 10.96.0.1:443 -r 10.0.0.3:6443 -m -w 0\n`
    const trace = async (options: string) => {
      const file = path.join(folder, 'ipvs')
      writeFileSync(file, rules + servers(options))
      return (await sluice(['trace', '--dump', file, 'tcp 10.0.0.9 -> 10.96.0.1:443'])).stdout
    }
    const weighted = await trace('-s wrr -p 300')
    expect(weighted).toContain('=> dnat: 10.0.0.1:6443 75%, 10.0.0.2:6443 25%;')
    expect(weighted).toContain('note: weight 0, so no new connections: 10.0.0.3:6443')
    expect(weighted).toContain('note: session affinity: a client that was sent to a real server within the last 300 s')
    expect(await trace('-s wlc')).toContain('note: wlc chooses by open connections')
    const hashed = await trace('-s sh')
    expect(hashed).toContain('├─ if 10.0.0.1:6443 is chosen by the hash of sh')
    expect(hashed).toContain('[if 10.0.0.2:6443 is chosen by the hash of sh]')
    expect(await trace('-s fo')).toContain('=> dnat: 10.0.0.1:6443; the server sees')
  })

  test('without its virtual servers says what is missing', async () => {
    const file = path.join(folder, 'half')
    writeFileSync(
      file,
      '*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\ncreate KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536\n',
    )
    const { stderr } = await sluice(['trace', '--dump', file, 'tcp 10.0.0.9 -> 10.96.0.1:443'])
    expect(stderr).toContain('no virtual servers are known, so none is asked: give the output of ipvsadm -Sn')
  })
})
