// Options and nodes that make no sense, through the whole command.
import { describe, expect, test } from 'vitest'
import { sluice } from './command.ts'
import { GOOD, useOwnHome } from './own-home.ts'

const { folder, said } = useOwnHome()

describe('a node that is not known is exit code 2', () => {
  const nodes = ['b', 'a'].map((name) => `---\napiVersion: v1\nkind: Node\nmetadata: {name: ${name}}\n`).join('')
  const render = (...args: readonly string[]) => sluice(['render', '-f', folder.write('c.yaml', GOOD + nodes), ...args])

  test('by --node', async () => {
    const ended = await render('--node', 'c')
    expect(said(ended)).toEqual(['sluice: unknown node c: the input has a, b; give --node with one of them'])
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })

  test('by hostnameOverride', async () => {
    const ended = await render('--hostname-override', 'C')
    expect(said(ended)).toEqual([
      'sluice: unknown node c (by hostnameOverride): the input has a, b; give --node with one of them',
    ])
    expect(ended.code).toBe(2)
  })

  test('because nothing says which of several', async () => {
    const ended = await render()
    expect(said(ended)).toEqual([
      expect.stringMatching(
        /^sluice: which node\? The input has a, b, and this is \S+: give --node NAME, or --all-nodes$/,
      ),
    ])
    expect(ended.code).toBe(2)
  })

  test('and the reason may be that it was skipped, which is said first', async () => {
    const broken = '---\napiVersion: v1\nkind: Node\nmetadata: {name: C_}\n'
    const ended = await sluice(['render', '-f', folder.write('c.yaml', GOOD + nodes + broken), '--node', 'c'])
    expect(said(ended)).toEqual([
      expect.stringMatching(/^error: c\.yaml, document 4, line \d+: Node "C_" metadata\.name: "C_" is not a name/),
      expect.stringMatching(/^sluice: unknown node c/),
    ])
  })
})

describe('options that make no sense are exit code 2', () => {
  test.each<[args: readonly string[], message: string]>([
    [
      ['--service', 'shop/none'],
      '--service shop/none: there is no such Service in the input (shop/good): write NAMESPACE/NAME',
    ],
    [
      ['--features', 'nfacct'],
      '--features nfacct: write NAME=true or NAME=false with a name of nfacct, randomFully, tcpBeLiberal',
    ],
    [['--kubeconfig', 'x'], '-f excludes --kubeconfig, --context and --master: read manifests or a cluster'],
    [
      ['--out', 'x', '-o', 'json'],
      '--out writes iptables-save and iptables-restore files: leave out -o json, or --out',
    ],
    [['--node', 'a', '--all-nodes'], '--node and --all-nodes exclude each other: give one of them'],
    [['--all-nodes'], '--all-nodes: there is no Node in the input: add Nodes, or give --node NAME'],
    [['more.yaml'], "'more.yaml' belongs to no option: give each file its own -f, or its folder"],
    [['--masquerade-all', 'false'], "'false' belongs to no option: write --FLAG=false"],
    [['--host', '/none'], '--host /none: there is no such file or folder: check the path'],
    [
      ['--mode', 'iptables', '--proxy-mode', 'ipvs'],
      '--mode iptables and --proxy-mode ipvs exclude each other: give one of them',
    ],
  ])('%j', async (args, message) => {
    const ended = await sluice(['render', '-f', '-', ...args], { stdin: GOOD })
    expect(said(ended)).toEqual([`sluice: ${message}`])
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })

  test.each<[args: readonly string[], message: string]>([
    [['render', '--nodes', 'x'], "error: unknown option '--nodes'"],
    [['render', '--family', 'ipv5'], 'is invalid. Allowed choices are ipv4, ipv6.'],
    [['render', '-o', 'xml'], 'is invalid. Allowed choices are save, restore, json, yaml.'],
    [['render', '--mode', 'userspace'], 'is invalid. Allowed choices are iptables, ipvs, nftables.'],
    [['render', '--node', ''], "error: option '--node <name>' argument '' is invalid. It is empty"],
    [['render', '-f'], "error: option '-f, --filename <file>' argument missing"],
    [['rendre'], "error: unknown command 'rendre'"],
    [['render', '--cleanup'], "error: unknown option '--cleanup"],
    [['--\u001b[31mred'], String.raw`error: unknown option '--\u{1b}[31mred'`],
  ])('%j', async (args, message) => {
    const ended = await sluice(args)
    expect(ended.stderr).toContain(message)
    expect(ended.stderr).toContain('(add --help for the options)')
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })
})

test('a host file that can not be used names its fields', async () => {
  const host = folder.write('host.json', { interfaces: { eth0: 'x' }, feature: {} })
  const ended = await sluice(['render', '-f', '-', '--host', host], { stdin: GOOD })
  expect(said(ended)).toEqual([
    'error: host.json: interfaces.eth0: expected a list of addresses, found "x"',
    'error: host.json: feature: is not a field of a host file: remove it',
  ])
  expect(ended).toMatchObject({ code: 2, stdout: '' })
})
