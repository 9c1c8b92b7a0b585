// `sluice render` as people use it: what goes in, what comes out where, and what is said about it.
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { type Folder, temporaryFolder } from '../support/kubeconfig-file.ts'
import { rawNode, rawService, rawSlice } from '../support/raw-objects.ts'
import { reported, sluice } from './command.ts'

let folder: Folder
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => folder[Symbol.dispose]())

const RECORDED = path.join(GOLDEN_ROOT, 'recorded', 'dual-stack')
const recorded = (name: string) => readFileSync(path.join(RECORDED, 'iptables', name), 'utf8')
const INPUT = ['-f', path.join(RECORDED, 'cluster.yaml')]
const NODE = ['--config', path.join(RECORDED, 'iptables', 'config.yaml'), '--host', path.join(RECORDED, 'host.json')]

const node = (name: string) => rawNode({ metadata: { name } })
const list = (...items: readonly unknown[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items })

describe('what a real kube-proxy programmed', () => {
  test.each([
    ['ipv4', 'iptables-save'],
    ['ipv6', 'ip6tables-save'],
  ])('is printed to the byte with --family %s', async (family, file) => {
    const ended = await sluice(['render', ...INPUT, ...NODE, '--family', family])
    expect(ended.stdout).toBe(recorded(file))
    expect(ended.code).toBe(0)
  })

  test('is printed with headings for both families', async () => {
    const { stdout } = await sluice(['render', ...INPUT, ...NODE])
    const [, name] = /"nodeName": "([^"]+)"/.exec(readFileSync(path.join(RECORDED, 'host.json'), 'utf8')) ?? []
    expect(stdout).toBe(
      `# ${name}: iptables-save\n${recorded('iptables-save')}# ${name}: ip6tables-save\n${recorded('ip6tables-save')}`,
    )
  })

  test('is written into a folder, which is made, as what is saved and what is to be restored', async () => {
    const out = path.join(folder.path, 'a', 'b')
    const ended = await sluice(['render', ...INPUT, ...NODE, '--out', out])
    expect(ended).toMatchObject({ code: 0, stdout: '' })
    expect(ended.stderr).toContain(`wrote 4 files into ${out}\n`)
    expect(readdirSync(out).toSorted()).toEqual([
      'ip6tables-restore',
      'ip6tables-save',
      'iptables-restore',
      'iptables-save',
    ])
    expect(readFileSync(path.join(out, 'iptables-save'), 'utf8')).toBe(recorded('iptables-save'))
    expect(readFileSync(path.join(out, 'ip6tables-save'), 'utf8')).toBe(recorded('ip6tables-save'))
    const { stdout } = await sluice(['render', ...INPUT, ...NODE, '-o', 'restore', '--family', 'ipv6'])
    expect(readFileSync(path.join(out, 'ip6tables-restore'), 'utf8')).toBe(stdout)
    expect(stdout).toMatch(/^# nfacct objects: .*\n# {3}nfacct add /)
  })

  test('is written for one family only with --family', async () => {
    await sluice(['render', ...INPUT, ...NODE, '--out', folder.path, '--family', 'ipv4'])
    expect(readdirSync(folder.path).toSorted()).toEqual(['iptables-restore', 'iptables-save'])
  })
})

describe('input', () => {
  const service = rawService()
  const slice = rawSlice()

  test('is the same from a file, a folder, several files, standard input and a list of kubectl', async () => {
    folder.write('1.json', service)
    folder.write('2.yaml', `--- # a slice\n${JSON.stringify(slice)}\n`)
    folder.write('ignored.txt', 'no manifest')
    const both = list(service, slice)
    const ways = [
      await sluice(['render', '-f', folder.path, '--node', 'n']),
      await sluice(['render', '-f', `${folder.path}/2.yaml`, '-f', `${folder.path}/1.json`, '--node', 'n']),
      await sluice(['render', '-f', `${folder.path}/1.json`, '--filename=-', '--node', 'n'], {
        stdin: JSON.stringify(slice),
      }),
      await sluice(['render', '-f', '-', '--node', 'n'], { stdin: both }),
      await sluice(['render', '-f', '-', '--node', 'n'], {
        stdin: `${JSON.stringify(service)}\n---\n${JSON.stringify(slice)}`,
      }),
    ]
    expect(ways[0]?.stdout).toContain('-d 172.30.0.41/32')
    expect(ways[0]?.stdout).toContain('--to-destination 10.0.0.1:8080')
    for (const { code, stdout } of ways) expect([code, stdout]).toEqual([0, ways[0]?.stdout])
  })

  test('is named once even if it is given twice', async () => {
    const file = folder.write('1.json', service)
    const ended = await sluice(['render', '-f', file, '-f', file, '--node', 'n'])
    expect([ended.code, reported(ended)]).toEqual([0, []])
  })

  test('of other kinds is counted and passed over', async () => {
    const others = ['Deployment', 'ConfigMap', 'ConfigMap'].map((kind) => ({ apiVersion: 'v1', kind }))
    const ended = await sluice(['render', '-f', '-', '--node', 'n'], { stdin: list(service, ...others) })
    expect(ended.code).toBe(0)
    expect(ended.stderr).toContain('ignored: 3 objects of kinds that have no rules: ConfigMap (2), Deployment (1)\n')
  })

  test('may leave endpoints to be found, and the way is said for how many Services', async () => {
    const named = (name: string, ip: string, more: object = {}) =>
      rawService({ clusterIP: ip, ...more }, { metadata: { name, namespace: 'shop' } })
    const metadata = { name: 'pod', namespace: 'shop', labels: { app: 'b' } }
    const status = { podIP: '10.0.0.7', phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }
    const stdin = list(
      named('web', '10.96.0.1'),
      slice,
      named('a', '10.96.0.2'),
      { apiVersion: 'v1', kind: 'Endpoints', metadata: { name: 'a', namespace: 'shop' } },
      named('b', '10.96.0.3', { selector: { app: 'b' } }),
      { apiVersion: 'v1', kind: 'Pod', metadata, status },
      named('c', '10.96.0.4', { selector: { app: 'none' } }),
      named('d', '10.96.0.5'),
      named('e', 'None'),
    )
    const { code, stderr } = await sluice(['render', '-f', '-', '--node', 'n'], { stdin })
    expect(code).toBe(0)
    expect(stderr).toContain(
      'endpoints come from EndpointSlices (1 Service), Endpoints objects (1 Service), Pods (1 Service), nowhere: none in the input (2 Services)\n',
    )
  })

  test('without any Service is said to have none', async () => {
    const ended = await sluice(['render', '-f', '-'], { stdin: list(node('n')) })
    expect(ended.stderr).toContain(
      'there is no Service in the input, so there are only the rules that every node has\n',
    )
    expect(ended.code).toBe(0)
  })
})

describe('the node', () => {
  const nodeOf = async (nodes: readonly string[], ...args: readonly string[]) => {
    const stdin = list(rawService(), ...nodes.map(node))
    const { stderr } = await sluice(['render', '-f', '-', '--family', 'ipv4', ...args], { stdin })
    return /^(\S+) ipv4: /m.exec(stderr)?.[1]
  }

  test('is the one of --node, of hostnameOverride, the only one, or this host, in this order', async () => {
    const own = hostname().toLowerCase()
    expect(await nodeOf(['a', 'b'], '--node', 'b', '--hostname-override', 'a')).toBe('b')
    expect(await nodeOf(['a', 'b'], '--hostname-override', ' A ')).toBe('a')
    expect(await nodeOf(['a'])).toBe('a')
    expect(await nodeOf([own, 'b'])).toBe(own)
    expect(await nodeOf([])).toBe(own)
  })

  test('is the one of the host file where this host is meant', async () => {
    const host = folder.write('host.json', { nodeName: 'b', interfaces: {} })
    expect(await nodeOf(['a', 'b'], '--host', host)).toBe('b')
  })

  test('and what was assumed about it is said', async () => {
    const { stderr } = await sluice(['render', '-f', '-', '--node', 'n'], { stdin: list(rawService()) })
    expect(stderr).toContain('assumed: Node n is not in the input, so it has no zone, podCIDRs and addresses\n')
    expect(stderr).toContain(
      "assumed: loopback and the addresses in the Node's status, features nfacct=true, randomFully=true, tcpBeLiberal=false (--host FILE or --host live for others)\n",
    )
    expect(stderr).toContain("configuration: kube-proxy's defaults, without a pod network")
  })

  test('and nothing is said to be assumed where all was given', async () => {
    const { stderr } = await sluice(['render', ...INPUT, ...NODE])
    expect(stderr).not.toMatch(/assumed|defaults/)
    expect(stderr).toContain(`host: ${RECORDED}/host.json, `)
  })

  test('has other features with --features', async () => {
    const stdin = list(rawService())
    const args = ['render', '-f', '-', '--node', 'n', '--family', 'ipv4']
    expect((await sluice(args, { stdin })).stdout).toContain('--nfacct-name')
    expect((await sluice([...args, '--features', 'nfacct=false'], { stdin })).stdout).not.toContain('nfacct')
  })

  test('is this machine with --host live', async () => {
    const stdin = list(rawService(), node('n'))
    const ended = await sluice(['render', '-f', '-', '--host', 'live'], { stdin })
    expect(ended.code).toBe(0)
    expect(ended.stderr).toMatch(/^host: this machine, \d+ addresses, features nfacct=(?:true|false), /m)
  })

  test('that a host file does not tell about is a notice', async () => {
    const host = folder.write('host.json', {
      nodeName: 'other',
      interfaces: { eth0: ['192.0.2.1/24'] },
      features: { nfacct: true, randomFully: true, tcpBeLiberal: false },
    })
    const ended = await sluice(['render', '-f', '-', '--node', 'n', '--host', host], { stdin: list(rawService()) })
    expect(reported(ended)).toEqual([
      `notice: command line: --host ${host}: tells about other, and was used for n: leave it out unless that is meant`,
    ])
  })
})

describe('--all-nodes', () => {
  test('writes a folder for each Node', async () => {
    const stdin = list(rawService(), rawSlice(), node('b'), node('a.example'))
    const ended = await sluice(['render', '-f', '-', '--all-nodes', '--out', folder.path], { stdin })
    expect(ended.stderr).toContain('node: a.example, b, every Node of the input\n')
    expect(ended.stderr).toContain('wrote 8 files into ')
    expect(readdirSync(folder.path).toSorted()).toEqual(['a.example', 'b'])
    expect(readdirSync(path.join(folder.path, 'b'))).toHaveLength(4)
  })

  test('puts headings over texts, also for one family', async () => {
    const stdin = list(rawService(), node('b'), node('a'))
    const { stdout } = await sluice(['render', '-f', '-', '--all-nodes', '--family', 'ipv6'], { stdin })
    expect(stdout.match(/^# .*/gm)).toEqual(['# a: ip6tables-save', '# b: ip6tables-save'])
  })

  test.each(['../escaped', '/tmp/escaped', '..', '.', 'a/b', '', 'a\0b', 'A', 'a..b', '-f'])(
    'never takes the name %j for a folder',
    async (name) => {
      const inner = path.join(folder.path, 'x', 'out')
      mkdirSync(inner, { recursive: true })
      const stdin = list(rawService(), node(name), node('good'))
      const ended = await sluice(['render', '-f', '-', '--all-nodes', '--out', inner], { stdin })
      expect(ended.code).toBe(1)
      expect(reported(ended)[0]).toMatch(/^error: <stdin>.*Node .*metadata\.name/)
      expect(readdirSync(inner)).toEqual(['good'])
      expect(readdirSync(path.join(folder.path, 'x'))).toEqual(['out'])
      expect(existsSync('/tmp/escaped')).toBe(false)
    },
  )
})

describe('--service', () => {
  const stdin = list(
    rawService(),
    rawSlice(),
    rawService({ clusterIP: '172.30.0.42' }, { metadata: { name: 'other', namespace: 'shop' } }),
  )

  test('prints what belongs to the Service, its lines of shared chains included, and counts that', async () => {
    const ended = await sluice(['render', '-f', '-', '--node', 'n', '--family', 'ipv4', '--service', 'shop/web'], {
      stdin,
    })
    const all = await sluice(['render', '-f', '-', '--node', 'n', '--family', 'ipv4'], { stdin })
    const rules = (text: string) => text.split('\n').filter((line) => line.startsWith('-A'))
    expect(rules(ended.stdout)).toEqual(rules(all.stdout).filter((line) => line.includes('shop/web')))
    expect(rules(ended.stdout).some((line) => line.startsWith('-A KUBE-SERVICES '))).toBe(true)
    expect(ended.stderr).toContain('n ipv4: 1 service, 1 service port, 1 endpoint; 3 chains; rules: nat 4\n')
  })

  test('that has no rules is a notice', async () => {
    const ended = await sluice(['render', '-f', '-', '--node', 'n', '--family', 'ipv6', '--service', 'shop/web'], {
      stdin,
    })
    expect(ended).toMatchObject({ code: 0, stdout: '' })
    expect(reported(ended)).toEqual([
      'notice: Service shop/web: has no rules for ipv6: it has no cluster IP of that family, no ports, or is left to another proxy',
    ])
  })
})

test('the summary has services, service ports, endpoints, chains, rules of each table, and milliseconds', async () => {
  const stdin = list(rawService(), rawSlice())
  const { stdout, stderr } = await sluice(['render', '-f', '-', '--node', 'n', '--family', 'ipv4'], { stdin })
  const [filter, , nat] = stdout.split('COMMIT\n').map((table) => table.match(/^-A /gm)?.length ?? 0)
  const chains = stdout.match(/^:KUBE-/gm)?.length
  const summary = `n ipv4: 1 service, 1 service port, 1 endpoint; ${chains} chains; rules: filter ${filter}, nat ${nat}`
  expect(stderr).toMatch(new RegExp(`\n${summary}\nrendered in \\d+ ms\n$`))
})
