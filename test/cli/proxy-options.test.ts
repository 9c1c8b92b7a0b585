// kube-proxy's flags on sluice's command line, alone and beside --config.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { normaliseArguments } from '../../src/cli/proxy-options.ts'
import { PROXY_FLAGS } from '../../src/kube/config/proxy-flag-table.ts'
import { type Folder, temporaryFolder } from '../support/kubeconfig-file.ts'
import { rawNode, rawService, rawSlice } from '../support/raw-objects.ts'
import { type Ended, reported, sluice } from './command.ts'

let folder: Folder
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => folder[Symbol.dispose]())

const ITEMS = [rawService({ type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] }), rawSlice(), rawNode()]
const STDIN = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: ITEMS })
const OTHER_TASKS = ['cleanup', 'init-only', 'write-config-to']
const HEAD = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n'

function render(...args: readonly string[]): Promise<Ended> {
  return sluice(['render', ...args, '-f', '-', '--family', 'ipv4'], { stdin: STDIN })
}

/** Whether the cluster IP's own chain begins with the mark, which is what masqueradeAll is about. */
function masqueradesAll({ stdout }: Ended): boolean {
  return /-A KUBE-SVC-\S+ -d 172\.30\.0\.41\/32 .* -j KUBE-MARK-MASQ/.test(stdout)
}

describe('a boolean flag', () => {
  test.each([
    [['--masquerade-all'], true],
    [['--masquerade-all=true'], true],
    [['--masquerade-all=1'], true],
    [['--masquerade_all'], true],
    [['--masquerade_all=T'], true],
    [['--masquerade-all=false'], false],
    [['--masquerade-all', '--masquerade-all=false'], false],
    [[], false],
  ] as const)('%j takes a value only behind the =, and never the next word', async (flags, expected) => {
    const ended = await render(...flags)
    expect(ended.code).toBe(0)
    expect(masqueradesAll(ended)).toBe(expected)
  })

  test('with a value that is none is refused', async () => {
    const ended = await render('--masquerade-all=maybe')
    expect(reported(ended)).toEqual([
      'error: command line: --masquerade-all: invalid argument "maybe" for "--masquerade-all" flag: strconv.ParseBool: parsing "maybe": invalid syntax: use true or false',
    ])
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })
})

describe('arguments', () => {
  test('keep their underscores where they are no names of flags', () => {
    expect(normaliseArguments(['--cluster_cidr=a_b', '-f', 'a_b', '--out', 'c_d', '--', '--e_f', '--cleanup'])).toEqual(
      ['--cluster-cidr=a_b', '-f', 'a_b', '--out', 'c_d', '--', '--e_f', '--cleanup'],
    )
  })
})

describe('list flags', () => {
  test('may be repeated and have commas, and all of it counts', async () => {
    const addresses = (...flags: readonly string[]) => render('--nodeport-addresses', '10.0.0.0/8', ...flags)
    const several = await addresses('--nodeport-addresses=192.0.2.0/24,198.51.100.0/24')
    const commas = await addresses('--nodeport_addresses', '198.51.100.0/24,192.0.2.0/24')
    const one = await addresses()
    expect([several.code, commas.code, one.code]).toEqual([0, 0, 0])
    expect(several.stdout).toBe(commas.stdout)
    const invalid = await addresses('--nodeport-addresses=x')
    expect(reported(invalid)).toEqual([expect.stringMatching(/^error: command line: --nodeport-addresses: .*"x"/)])
  })

  test('of gates add up', async () => {
    const ended = await render(
      '--feature-gates',
      'AllAlpha=false',
      '--feature-gates=ContextualLogging=true,AllBeta=true',
    )
    expect(ended.code).toBe(0)
  })
})

describe('flags that other flags of sluice do not clash with', () => {
  const cases = PROXY_FLAGS.filter(({ name }) => !['config', 'kubeconfig', 'master'].includes(name))
  const values: Readonly<Record<string, string>> = {
    int32: '7',
    uint32: '1',
    float32: '5',
    duration: '30s',
    ip: '192.0.2.1',
    'ip-port': '192.0.2.1:1',
    list: '192.0.2.0/24',
    gates: 'AllAlpha=false',
    vmodule: 'a=1',
    quantity: '1Ki',
  }
  const special: Readonly<Record<string, string>> = {
    'proxy-mode': 'iptables',
    'detect-local-mode': 'ClusterCIDR',
    'cluster-cidr': '10.0.0.0/8',
    'logging-format': 'text',
    'hostname-override': 'node-1',
    'show-hidden-metrics-for-version': '',
  }

  test.each(cases.filter(({ name }) => !OTHER_TASKS.includes(name)))('--$name is taken', async ({ name, type }) => {
    const value = special[name] ?? (type === 'bool' ? 'false' : (values[type] ?? 'x'))
    const ended = await render(`--${name}=${value}`)
    expect([ended.code, ended.stdout.slice(0, 8)]).toEqual([0, '*filter\n'])
  })

  test.each(OTHER_TASKS)('--%s asks for something else than rules, and is refused', async (name) => {
    const ended = await render(`--${name}`)
    expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining(`unknown option '--${name}`)])
  })

  test('and have no bearing on rules are said to be ignored, after they were checked', async () => {
    expect(reported(await render('-v', '3', '--oom_score_adj=-5'))).toEqual([
      'notice: command line: --oom-score-adj: has no bearing on rules, and was ignored',
      'notice: command line: -v: has no bearing on rules, and was ignored',
    ])
    expect((await render('-v=x')).code).toBe(2)
  })
})

describe('beside --config', () => {
  const config = (text: string) => ['--config', folder.write('kp.yaml', HEAD + text)]

  test('each flag that does not count is a notice, and does not count', async () => {
    const ended = await render(...config('mode: iptables\n'), '--masquerade-all', '--cluster-cidr=10.0.0.0/8', '--v=2')
    const file = `${folder.path}/kp.yaml`
    expect(reported(ended)).toEqual([
      `notice: command line: --masquerade-all: has no effect, because --config replaces it: set iptables.masqueradeAll in ${file} instead`,
      `notice: command line: --cluster-cidr: has no effect, because --config replaces it: set clusterCIDR in ${file} instead`,
      'notice: command line: -v: has no bearing on rules, and was ignored',
    ])
    expect(ended.code).toBe(0)
    expect(masqueradesAll(ended)).toBe(false)
  })

  test('hostname-override counts', async () => {
    const ended = await render(...config('hostnameOverride: other\n'), '--hostname-override', 'node-1')
    expect(ended.stderr).toContain('\nnode-1 ipv4: ')
  })

  test('--mode counts too: over the file, with the section of the file that is for it', async () => {
    const text = 'mode: nftables\nnftables:\n  masqueradeAll: false\niptables:\n  masqueradeAll: true\n'
    const ended = await render(...config(text), '--mode', 'iptables')
    expect(ended.code).toBe(0)
    expect(reported(ended)).toEqual([])
    expect(masqueradesAll(ended)).toBe(true)
    expect((await render(...config(text), '--proxy-mode', 'iptables')).code).toBe(2)
  })

  test('--mode may ask for what is not served', async () => {
    const ended = await render(...config('mode: iptables\n'), '--mode', 'nftables')
    expect(reported(ended)).toEqual([
      'error: command line: --mode: mode nftables is valid for kube-proxy and not served by sluice, which serves iptables, ipvs: use --mode iptables',
    ])
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })
})

test('without --config, --mode is short for --proxy-mode', async () => {
  for (const flag of ['--mode', '--proxy-mode']) {
    expect(reported(await render(flag, 'nftables'))).toEqual([
      'error: command line: --mode: mode nftables is valid for kube-proxy and not served by sluice, which serves iptables, ipvs: use --mode iptables',
    ])
    expect((await render(flag, 'iptables')).code).toBe(0)
  }
})
