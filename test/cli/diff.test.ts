// `sluice diff`: sides, output and exit codes.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { type Folder, temporaryFolder } from '../support/kubeconfig-file.ts'
import { goldenText } from '../support/rule-text.ts'
import { sluice } from './command.ts'

let folder: Folder
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => folder[Symbol.dispose]())

const STORY = path.join(GOLDEN_ROOT, 'own', 'story-scale')
const story = (file: string) => path.join(STORY, file)
const NODE = ['--config', story('iptables/config.yaml'), '--host', story('host.json')]
const ADDED = 'shop/web:http: endpoint 10.244.2.5:8080 added; each endpoint now gets 1/3 instead of 1/2'

function save(name: string, text: string): string {
  const file = path.join(folder.path, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

describe('two sides', () => {
  test('of manifests: hunks by Service and chain, exit code 1', async () => {
    const ended = await sluice(['diff', story('cluster.1.yaml'), story('cluster.2.yaml'), ...NODE])
    expect(ended.code).toBe(1)
    const lines = ended.stdout.split('\n')
    expect(lines[0]).toBe('# Service shop/web, ipv4')
    expect(lines[1]).toBe('--- /dev/null')
    expect(lines[2]).toBe(`+++ ${story('cluster.2.yaml')} nat KUBE-SEP-CXXRTNR2DI2TYC6R`)
    expect(lines.filter((line) => /^[+-]-A /.test(line))).toHaveLength(5)
    expect(ended.stdout).not.toContain('\u001b[')
  })

  test('that are the same: nothing, exit code 0', async () => {
    const ended = await sluice(['diff', story('cluster.1.yaml'), story('cluster.1.yaml'), ...NODE])
    expect(ended).toMatchObject({ code: 0, stdout: '' })
    expect(ended.stderr).toContain('no difference')
  })

  test('of which one is a dump, which is known by its content', async () => {
    const dump = save('rules.txt', goldenText('own/story-scale', 'iptables-save.2'))
    const ended = await sluice(['diff', story('cluster.1.yaml'), dump, ...NODE, '--semantic'])
    expect(ended).toMatchObject({ code: 1, stdout: `# Service shop/web, ipv4\n${ADDED}\n` })
    expect(ended.stderr).toContain(`not compared: ipv6, which ${dump} does not have`)
  })

  test('of which one is standard input', async () => {
    const dump = save('iptables-save', goldenText('own/story-scale', 'iptables-save.1'))
    const stdin = goldenText('own/story-scale', 'iptables-save.2')
    expect((await sluice(['diff', dump, '-', '--semantic'], { stdin })).stdout).toContain(ADDED)
    const manifests = readFileSync(story('cluster.2.yaml'), 'utf8')
    const from = await sluice(['diff', dump, '-', '--semantic', ...NODE], { stdin: manifests })
    expect(from.stdout).toBe(`# Service shop/web, ipv4\n${ADDED}\n`)
  })

  test('of dumps with counters and both families in a folder', async () => {
    const counted = goldenText('own/story-scale', 'iptables-save.1').replaceAll('\n-A ', '\n[12:3456] -A ')
    save('a/iptables-save', counted)
    save('a/ip6tables-save', goldenText('own/story-scale', 'ip6tables-save.1'))
    const b = save('b/iptables-save', goldenText('own/story-scale', 'iptables-save.1'))
    save('b/ip6tables-save', goldenText('own/story-scale', 'ip6tables-save.1'))
    const ended = await sluice(['diff', path.join(folder.path, 'a'), path.dirname(b)])
    expect(ended).toMatchObject({ code: 0, stdout: '' })
  })

  test('that are one cluster with another configuration', async () => {
    const config = save(
      'other.yaml',
      readFileSync(story('iptables/config.yaml'), 'utf8').replace(/clusterCIDR: .*/, 'clusterCIDR: 10.99.0.0/16'),
    )
    const ended = await sluice([
      'diff',
      story('cluster.1.yaml'),
      ...NODE,
      '--config-b',
      config,
      '--semantic',
      '--family',
      'ipv4',
    ])
    expect(ended.code).toBe(1)
    expect(ended.stdout).toMatch(
      /traffic to 10\.96\.1\.10:80 is masqueraded unless it is from 10\.99\.0\.0\/16; before, it is masqueraded unless it is from /,
    )
  })

  test('that are limited to a namespace or Service', async () => {
    const other = readFileSync(story('cluster.2.yaml'), 'utf8').replaceAll('10.244.1.', '10.244.7.')
    const args = ['diff', story('cluster.1.yaml'), save('other.yaml', other), ...NODE, '--semantic', '--family', 'ipv4']
    const headings = async (...more: readonly string[]) =>
      (await sluice([...args, ...more])).stdout.split('\n').filter((line) => line.startsWith('#'))
    expect(await headings('--service', 'shop/web')).toEqual(['# Service shop/web, ipv4'])
    expect((await headings('-n', 'shop')).length).toBeGreaterThan(0)
    expect(await headings('-n', 'elsewhere')).toEqual([])
  })
})

describe('JSON', () => {
  test('has the sides, the groups with their rules, and with --semantic the statements', async () => {
    const args = [
      story('cluster.1.yaml'),
      story('cluster.2.yaml'),
      ...NODE,
      '--semantic',
      '--family',
      'ipv4',
      '-o',
      'json',
    ]
    const { stdout, code } = await sluice(['diff', ...args])
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      apiVersion: 'sluice/v1',
      kind: 'RuleDifference',
      before: story('cluster.1.yaml'),
      same: false,
      families: [
        {
          family: 'ipv4',
          groups: [
            { group: { kind: 'service', service: 'shop/web' }, chains: [{ change: 'added' }, { change: 'changed' }] },
          ],
          statements: [{ statements: [ADDED] }],
        },
      ],
    })
  })
})

describe('what cannot be compared is said, with exit code 2', () => {
  const dump = () => save('iptables-save', goldenText('own/story-scale', 'iptables-save.1'))

  test.each([
    ['a missing file', () => ['/nowhere.yaml', dump()], /nowhere\.yaml: there is no such file/],
    ['one side alone', () => [dump()], /with what\? Give a second side/],
    ['a dump with itself', () => [dump(), '--node-b', 'node2'], /its rules are what they are: give a second side/],
    ['standard input twice', () => ['-', '-'], /both sides are standard input/],
    [
      'half a dump',
      () => [save('half.save', goldenText('own/story-scale', 'iptables-save.1').slice(0, -8)), dump()],
      /ends inside a table/,
    ],
    ['a listing', () => [save('list.txt', 'Chain INPUT (policy ACCEPT)\ntarget prot opt\n'), dump()], /iptables -L/],
    [
      'a family that only one side has',
      () => [save('ip6tables-save', goldenText('own/story-scale', 'ip6tables-save.1')), dump()],
      /no IP family in common/,
    ],
    ['--migrate of a dump', () => [dump(), '--migrate', 'ipvs'], /--migrate needs the objects/],
    ['--migrate with two sides', () => [dump(), dump(), '--migrate', 'ipvs'], /leave out B/],
  ] as const)('%s', async (_, args, message) => {
    const ended = await sluice(['diff', ...args()], { stdin: '' })
    expect(ended.code).toBe(2)
    expect(ended.stderr).toMatch(message)
    expect(ended.stdout).toBe('')
  })
})

describe('--migrate', () => {
  test('says what changes for whom and what is left, exit code 1', async () => {
    const cluster = path.join(GOLDEN_ROOT, 'own', 'node-port', 'cluster.yaml')
    const ended = await sluice(['diff', cluster, '--migrate', 'ipvs', '--node', 'node1'])
    expect(ended.code).toBe(1)
    expect(ended.stdout).toMatch(/^# every Service, iptables mode -> IPVS mode\n/)
    expect(ended.stdout).toMatch(/127\.0\.0\.1:\d+: until now they reach an endpoint; then they reach nothing/)
    expect(ended.stdout).toContain('# left behind\n')
  })

  test('to sluice changes nothing for most, exit code 0', async () => {
    const cluster = path.join(GOLDEN_ROOT, 'own', 'cluster-ip', 'cluster.yaml')
    const ended = await sluice(['diff', cluster, '--migrate', 'sluice', '--node', 'node1', '-o', 'json'])
    expect(ended.code).toBe(0)
    expect(JSON.parse(ended.stdout)).toMatchObject({ kind: 'Migration', to: 'sluice', general: [], services: [] })
  })
})

describe('IPVS mode', () => {
  const IPVS = ['--config', story('ipvs/config.yaml'), '--host', story('host.json')]
  const SAID =
    'virtual server tcp 10.96.1.10:80: endpoint 10.244.2.5:8080 added; each endpoint now gets 1/3 instead of 1/2'

  function dump(number: number): string {
    for (const tool of ['iptables-save', 'ip6tables-save', 'ipset-save', 'ipvsadm-save', 'kube-ipvs0-addresses'])
      save(`${number}/${tool}`, readFileSync(story(`ipvs/${tool}.${number}`), 'utf8'))
    return path.join(folder.path, String(number))
  }

  test('virtual servers are compared too, by Service, and by address where no Service is known', async () => {
    const ended = await sluice(['diff', story('cluster.1.yaml'), story('cluster.2.yaml'), ...IPVS])
    expect(ended.code).toBe(1)
    expect(ended.stdout).toBe(
      [
        '# Service shop/web, ipv4',
        `--- ${story('cluster.1.yaml')} ipvsadm -t 10.96.1.10:80`,
        `+++ ${story('cluster.2.yaml')} ipvsadm -t 10.96.1.10:80`,
        '@@ -1,3 +1,4 @@',
        ' -A -t 10.96.1.10:80 -s rr',
        ' -a -t 10.96.1.10:80 -r 10.244.1.5:8080 -m -w 1',
        '+-a -t 10.96.1.10:80 -r 10.244.2.5:8080 -m -w 1',
        ' -a -t 10.96.1.10:80 -r 10.244.3.5:8080 -m -w 1',
        '',
      ].join('\n'),
    )
    const dumps = await sluice(['diff', dump(1), dump(2), '--semantic'])
    expect(dumps).toMatchObject({ code: 1, stdout: `# virtual IP 10.96.1.10, ipv4\n${SAID}\n` })
    const mixed = await sluice(['diff', dump(1), story('cluster.2.yaml'), ...IPVS, '--semantic', '-o', 'json'])
    expect(JSON.parse(mixed.stdout)).toMatchObject({
      families: [
        {
          family: 'ipv4',
          groups: [{ group: { kind: 'service', service: 'shop/web' }, objects: [{ kind: 'virtual-server' }] }],
          statements: [{ statements: [SAID] }],
        },
        { family: 'ipv6', groups: [] },
      ],
    })
  })

  test('what a dump lacks is said, and two modes are not compared', async () => {
    const alone = save('x/iptables-save', readFileSync(story('ipvs/iptables-save.1'), 'utf8'))
    const ended = await sluice(['diff', alone, story('cluster.1.yaml'), ...IPVS, '--family', 'ipv4'])
    expect(ended.stderr).toContain('not compared: ipv4 sets, which')
    const modes = await sluice(['diff', story('cluster.1.yaml'), ...IPVS, '--mode-b', 'iptables'])
    expect(modes).toMatchObject({ code: 2, stdout: '' })
    expect(modes.stderr).toMatch(/ipvs mode and .* those of iptables mode.*--migrate iptables/)
  })
})
