// `sluice render` in IPVS mode: which texts there are, where they go, and how they are limited.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import * as v from 'valibot'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { type Folder, temporaryFolder } from '../support/kubeconfig-file.ts'
import { rawNode, rawService, rawSlice } from '../support/raw-objects.ts'
import { reported, sluice } from './command.ts'
import { ipvsNodeRules } from './rule-model-schema.ts'

let folder: Folder
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => folder[Symbol.dispose]())

const RECORDED = path.join(GOLDEN_ROOT, 'recorded', 'loadbalancer-source-ranges')
const SAVES = ['iptables-save', 'ip6tables-save', 'ipset-save', 'ipvsadm-save', 'kube-ipvs0-addresses']
const RESTORES = [
  'ipset-restore',
  'iptables-restore',
  'ip6tables-restore',
  'kube-ipvs0-addresses-restore',
  'ipvsadm-restore',
]
const recorded = (name: string) => readFileSync(path.join(RECORDED, 'ipvs', name), 'utf8')
const INPUT = ['-f', path.join(RECORDED, 'cluster.yaml'), '--host', path.join(RECORDED, 'ipvs', 'host.json')]
const CONFIG = ['--config', path.join(RECORDED, 'ipvs', 'config.yaml')]

const run = (...args: readonly string[]) => sluice(['render', ...INPUT, ...CONFIG, ...args])

/** Texts by the name in their heading. */
function sections(text: string): ReadonlyMap<string, string> {
  const parts = text.split(/^# node1: /m).slice(1)
  return new Map(parts.map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)]))
}

describe('the mode', () => {
  test('is the one of the configuration: what a real kube-proxy programmed is printed to the byte', async () => {
    const { code, stdout } = await run()
    expect(code).toBe(0)
    expect(stdout).toBe(SAVES.map((name) => `# node1: ${name}\n${recorded(name)}`).join(''))
  })

  test.each(['--mode', '--proxy-mode'])('is the one of %s', async (flag) => {
    const flags = ['--cluster-cidr', '10.244.0.0/16,fd00:10:244::/56', '--nodeport-addresses', '0.0.0.0/0,::/0']
    const { stdout } = await sluice(['render', ...INPUT, ...flags, flag, 'ipvs'])
    expect(stdout).toBe((await run()).stdout)
  })

  test('of a file yields to --mode', async () => {
    expect([...sections((await run('--mode', 'iptables')).stdout).keys()]).toEqual(['iptables-save', 'ip6tables-save'])
  })
})

describe('-o restore', () => {
  test('has the payloads in the order in which they are applied', async () => {
    const { stdout } = await run('-o', 'restore')
    const texts = sections(stdout)
    expect([...texts.keys()]).toEqual(RESTORES)
    expect(texts.get('ipset-restore')).toMatch(
      /^create KUBE-LOOP-BACK hash:ip,port,ip family inet hashsize 1024 maxelem 65536 -exist\nadd KUBE-LOOP-BACK /,
    )
    expect(texts.get('iptables-restore')).toMatch(/^\*filter\n(#.*\n)?:KUBE-/)
    expect(texts.get('kube-ipvs0-addresses-restore')).toMatch(
      /^link add kube-ipvs0 type dummy\naddress replace 10\.\S+\/32 dev kube-ipvs0\n/,
    )
    expect(texts.get('ipvsadm-restore')).toBe(recorded('ipvsadm-save'))
  })

  test('names every set of both families, and every entry that is shown', async () => {
    const lines = sections((await run('-o', 'restore')).stdout)
      .get('ipset-restore')
      ?.split('\n')
      .filter(Boolean)
      .map((line) => line.replace(/ -exist$/, ''))
    expect(lines?.toSorted()).toEqual(recorded('ipset-save').split('\n').filter(Boolean).toSorted())
  })
})

describe('--out', () => {
  test('writes what is saved and what is to be restored, as it is printed', async () => {
    const out = path.join(folder.path, 'rules')
    const { stderr } = await run('--out', out)
    expect(stderr).toContain(`wrote 10 files into ${out}\n`)
    expect(readdirSync(out).toSorted()).toEqual([...SAVES, ...RESTORES].toSorted())
    for (const name of SAVES) expect(readFileSync(path.join(out, name), 'utf8')).toBe(recorded(name))
    const printed = sections((await run('-o', 'restore')).stdout)
    for (const name of RESTORES) expect(readFileSync(path.join(out, name), 'utf8')).toBe(printed.get(name))
  })

  test('has no line that a tool would not take', async () => {
    await run('--out', folder.path)
    const lines = (name: string) => readFileSync(path.join(folder.path, name), 'utf8').split('\n').slice(0, -1)
    for (const line of lines('ipvsadm-restore')) expect(line).toMatch(/^-[Aa] (-[tu]|--sctp-service) \S+:\d+ -[sr] \S/)
    for (const line of lines('ipset-restore')) expect(line).toMatch(/^(create|add) KUBE-\S+ \S.* -exist$/)
    for (const line of lines('kube-ipvs0-addresses-restore').slice(1)) {
      expect(line).toMatch(/^address replace \S+\/(32|128) dev kube-ipvs0$/)
    }
  })

  test('has a folder per node with --all-nodes', async () => {
    const items = [rawService(), rawSlice(), ...['a', 'b'].map((name) => rawNode({ metadata: { name } }))]
    const file = folder.write('a.json', { apiVersion: 'v1', kind: 'List', items })
    const out = path.join(folder.path, 'out')
    await sluice(['render', '-f', file, '--mode', 'ipvs', '--all-nodes', '--out', out])
    expect(readdirSync(out).toSorted()).toEqual(['a', 'b'])
    expect(readdirSync(path.join(out, 'b'))).toHaveLength(10)
  })
})

describe('limits', () => {
  test('--family leaves out the other family, also where a text holds both', async () => {
    const { stdout } = await run('--family', 'ipv6')
    const texts = sections(stdout)
    expect([...texts.keys()]).toEqual(SAVES.slice(1))
    const ofFamily = (name: string, isWanted: (line: string) => boolean) =>
      recorded(name)
        .split('\n')
        .filter((line) => line !== '' && isWanted(line))
        .map((line) => `${line}\n`)
        .join('')
    expect(texts.get('ip6tables-save')).toBe(recorded('ip6tables-save'))
    expect(texts.get('ipset-save')).toBe(ofFamily('ipset-save', (line) => line.includes(' KUBE-6-')))
    expect(texts.get('ipvsadm-save')).toBe(ofFamily('ipvsadm-save', (line) => line.includes('[')))
    expect(texts.get('kube-ipvs0-addresses')).toBe(ofFamily('kube-ipvs0-addresses', (line) => line.includes(':')))
  })

  const twoServices = () => {
    const spec = { externalIPs: ['198.51.100.1'], type: 'LoadBalancer', loadBalancerSourceRanges: ['203.0.113.0/25'] }
    const loadBalancer = { ingress: [{ ip: '203.0.113.200' }] }
    const b = rawService({ clusterIP: '10.96.0.2', ...spec }, { metadata: { name: 'b', namespace: 'shop' } })
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [
        rawService(
          { clusterIP: '10.96.0.1', externalIPs: ['198.51.100.1'] },
          { metadata: { name: 'a', namespace: 'shop' } },
        ),
        { ...b, status: { loadBalancer } },
      ],
    })
  }
  const two = (...args: readonly string[]) =>
    sluice(['render', '-f', '-', '--node', 'node1', '--mode', 'ipvs', '--family', 'ipv4', ...args], {
      stdin: twoServices(),
    })

  test('--service shows its virtual servers, entries, addresses and lines, and nothing else', async () => {
    const texts = sections((await two('--service', 'shop/b')).stdout)
    // The external IP is shop/a's, which comes first by name.
    expect(texts.get('ipvsadm-save')).toBe('-A -t 10.96.0.2:80 -s rr\n-A -t 203.0.113.200:80 -s rr\n')
    expect(texts.get('kube-ipvs0-addresses')).toBe('10.96.0.2/32\n198.51.100.1/32\n203.0.113.200/32\n')
    expect(texts.get('iptables-save')).toBe(
      '*filter\n:KUBE-IPVS-OUT-FILTER -\n-A KUBE-IPVS-OUT-FILTER -s 203.0.113.200/32 -m ipvs --vproto 6 --vaddr 203.0.113.200 --vport 80 -j DROP\nCOMMIT\n',
    )
    const header = 'family inet hashsize 1024 maxelem 65536'
    expect(texts.get('ipset-save')).toBe(
      [
        `create KUBE-CLUSTER-IP hash:ip,port ${header}`,
        'add KUBE-CLUSTER-IP 10.96.0.2,tcp:80',
        `create KUBE-EXTERNAL-IP hash:ip,port ${header}`,
        'add KUBE-EXTERNAL-IP 198.51.100.1,tcp:80',
        `create KUBE-IPVS-IPS hash:ip ${header}`,
        'add KUBE-IPVS-IPS 10.96.0.2',
        'add KUBE-IPVS-IPS 198.51.100.1',
        'add KUBE-IPVS-IPS 203.0.113.200',
        `create KUBE-LOAD-BALANCER hash:ip,port ${header}`,
        'add KUBE-LOAD-BALANCER 203.0.113.200,tcp:80',
        `create KUBE-LOAD-BALANCER-FW hash:ip,port ${header}`,
        'add KUBE-LOAD-BALANCER-FW 203.0.113.200,tcp:80',
        `create KUBE-LOAD-BALANCER-SOURCE-CIDR hash:ip,port,net ${header}`,
        'add KUBE-LOAD-BALANCER-SOURCE-CIDR 203.0.113.200,tcp:80,203.0.113.0/25',
        '',
      ].join('\n'),
    )
  })

  test('--service restores only what is added to a node that has the rest', async () => {
    const texts = sections((await two('--service', 'shop/a', '-o', 'restore')).stdout)
    expect(Object.fromEntries(texts)).toEqual({
      'ipset-restore':
        'add KUBE-CLUSTER-IP 10.96.0.1,tcp:80 -exist\nadd KUBE-EXTERNAL-IP 198.51.100.1,tcp:80 -exist\nadd KUBE-IPVS-IPS 10.96.0.1 -exist\nadd KUBE-IPVS-IPS 198.51.100.1 -exist\n',
      'iptables-restore': '',
      'kube-ipvs0-addresses-restore':
        'address replace 10.96.0.1/32 dev kube-ipvs0\naddress replace 198.51.100.1/32 dev kube-ipvs0\n',
      'ipvsadm-restore': '-A -t 10.96.0.1:80 -s rr\n-A -t 198.51.100.1:80 -s rr\n',
    })
  })
})

describe('figures', () => {
  test('count what the texts hold', async () => {
    const { stderr } = await run('--family', 'ipv4')
    const lines = (name: string, pattern: RegExp) =>
      recorded(name)
        .split('\n')
        .filter((line) => pattern.test(line)).length
    const servers = lines('ipvsadm-save', /^-A [^[]*$/)
    const entries = lines('ipset-save', /^add KUBE-(?!6-)/)
    const addresses = lines('kube-ipvs0-addresses', /\/32$/)
    const rules = recorded('iptables-save').split('*nat')
    const [filter, nat] = rules.map((text) => text.split('\n').filter((line) => line.startsWith('-A ')).length)
    expect(stderr).toContain(
      `; ${servers} virtual servers, ${entries} set entries, ${addresses} addresses; 11 chains; rules: filter ${filter}, nat ${nat}\n`,
    )
  })

  test('of one Service are its own', async () => {
    const named = rawService({}, { metadata: { name: 'web', namespace: 'shop' } })
    const cluster = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [named, rawSlice()] })
    const args = ['-f', '-', '--node', 'n', '--mode', 'ipvs', '--family', 'ipv4']
    const { stderr } = await sluice(['render', ...args, '--service', 'shop/web'], { stdin: cluster })
    expect(stderr).toMatch(
      /^n ipv4: 1 service, .*; 1 virtual server, 2 set entries, 1 address; 0 chains; rules: none$/m,
    )
  })
})

describe('-o json', () => {
  test('has the documented shape and says what the texts say', async () => {
    const { stdout } = await run('-o', 'json')
    const { families, mode } = v.parse(ipvsNodeRules, JSON.parse(stdout))
    expect(mode).toBe('ipvs')
    const servers = families
      .flatMap(({ virtualServers }) => virtualServers)
      .map(({ text, realServers }) => [
        `-A ${text}`,
        ...realServers.map(
          ({ address, port, weight }) =>
            `-a ${text.replace(/ -s .*/, '')} -r ${address.includes(':') ? `[${address}]` : address}:${port} -m -w ${weight}`,
        ),
      ])
    expect(servers.flat().toSorted()).toEqual(recorded('ipvsadm-save').split('\n').filter(Boolean).toSorted())
    const entries = families.flatMap(({ sets }) =>
      sets.flatMap(({ name, entries: each }) => each.map((entry) => `add ${name} ${entry}`)),
    )
    expect(entries.toSorted()).toEqual(
      recorded('ipset-save')
        .match(/^add .*$/gm)
        ?.toSorted(),
    )
    expect(families.flatMap(({ addresses }) => addresses)).toEqual(
      recorded('kube-ipvs0-addresses').split('\n').filter(Boolean),
    )
  })

  test('is the same in YAML', async () => {
    const [json, yaml] = [await run('-o', 'json'), await run('-o', 'yaml')]
    expect(parse(yaml.stdout)).toEqual(JSON.parse(json.stdout))
  })
})

describe('a configuration that IPVS mode cannot use', () => {
  const config = (lines: string) =>
    folder.write(
      'c.yaml',
      `apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n${lines}\n`,
    )
  const problem = async (lines: string) => {
    const ended = await sluice(['render', '-f', '-', '--config', config(lines)], { stdin: '' })
    expect(ended).toMatchObject({ code: 2, stdout: '' })
    return ended.stderr
  }

  test('has an unknown scheduler', async () => {
    expect(await problem('ipvs: {scheduler: round-robin}')).toContain(
      'c.yaml: ipvs.scheduler: "round-robin" is no IPVS scheduler: use rr, wrr, lc, wlc, lblc, lblcr, dh, sh, mh, sed, nq, fo, ovf or twos',
    )
    const { stderr, code } = await sluice(['render', '-f', '-', '--mode', 'ipvs', '--ipvs-scheduler', 'rr -C'], {
      stdin: '',
    })
    expect(code).toBe(2)
    expect(stderr).toContain('--ipvs-scheduler: "rr -C" is no IPVS scheduler: use rr, ')
  })

  test.each([
    ['a negative timeout', 'ipvs: {tcpTimeout: -1s}', 'ipvs.tcpTimeout'],
    ['an excluded CIDR that is none', 'ipvs: {excludeCIDRs: [10.0.0.0/33]}', 'ipvs.excludeCIDRs[0]'],
    ['a strictARP that is none', 'ipvs: {strictARP: 3}', 'ipvs.strictARP'],
  ])('has %s', async (_, lines, field) => {
    expect(await problem(lines)).toContain(field)
  })

  test('may name a scheduler in any other mode', async () => {
    const file = folder.write(
      'd.yaml',
      'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nipvs: {scheduler: round-robin}\n',
    )
    const ended = await sluice(['render', '-f', '-', '--config', file, '--node', 'n'], {
      stdin: JSON.stringify(rawService()),
    })
    expect([ended.code, reported(ended)]).toEqual([0, []])
  })
})
