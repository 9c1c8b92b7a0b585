// `sluice lint`, `sluice verify` and `sluice estimate` as people use them.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { type Folder, temporaryFolder } from '../support/kubeconfig-file.ts'
import { edit, goldenText } from '../support/rule-text.ts'
import { sluice } from './command.ts'

let folder: Folder
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => folder[Symbol.dispose]())

const CASE = path.join(GOLDEN_ROOT, 'own', 'external-policy-local')
const CLUSTER = ['-f', path.join(CASE, 'cluster.yaml')]
const NODE = ['--config', path.join(CASE, 'iptables', 'config.yaml'), '--host', path.join(CASE, 'host.json')]
const SOUND = goldenText('own/external-policy-local')
const UNEVEN = edit(SOUND, '--probability 0.50000000000', '--probability 0.25000000000')

function save(text: string): string {
  const file = path.join(folder.path, 'iptables-save')
  writeFileSync(file, text)
  return file
}

describe('lint', () => {
  test('finds nothing in sound rules, and says what it could not check', async () => {
    const ended = await sluice(['lint', '--dump', save(SOUND)])
    expect(ended).toMatchObject({ code: 0, stdout: '' })
    expect(ended.stderr).toContain('nothing found (endpoints were not checked')
  })

  test('prints a finding with its rule, and fails as --fail-on says', async () => {
    const file = save(UNEVEN)
    const ended = await sluice(['lint', '--dump', file])
    expect(ended.stdout).toMatch(
      /^warning: ipv4 nat KUBE-SVC-\S+ rule \d+: \S+: this endpoint gets 16\.67%.*\n {4}rule: .*--probability 0\.25/,
    )
    expect(ended.code).toBe(0)
    expect((await sluice(['lint', '--dump', file, '--fail-on', 'warning'])).code).toBe(1)
    expect((await sluice(['lint', '--dump', file, '--fail-on', 'never'])).code).toBe(0)
  })

  test('compares endpoints with the cluster when it is given', async () => {
    const file = save(SOUND.replaceAll(/10\.244\.(\d+)\.5\b/g, '10.244.$1.200'))
    const ended = await sluice(['lint', '--dump', file, ...CLUSTER, '-o', 'json'])
    expect(ended.code).toBe(1)
    const { kind, findings } = JSON.parse(ended.stdout) as { kind: string; findings: { kind: string }[] }
    expect(kind).toBe('Findings')
    expect(findings[0]?.kind).toBe('not-an-endpoint')
  })

  test('looks at rules that were never written: those of manifests', async () => {
    const ended = await sluice([
      'lint',
      '-f',
      path.join(GOLDEN_ROOT, 'own', 'conflict', 'cluster.yaml'),
      '--family',
      'ipv4',
    ])
    expect(ended.stdout).toContain('is also claimed by shop/new:http')
  })

  test.each([
    ['half a dump', SOUND.slice(0, -8), /ends inside a table/],
    ['the syntax of nft', 'table ip nat {\n}\n', /syntax of nft/],
  ])('refuses %s', async (_, text, message) => {
    const ended = await sluice(['lint', '--dump', save(text)])
    expect(ended.code).toBe(2)
    expect(ended.stderr).toMatch(message)
  })
})

describe('verify', () => {
  const verify = (text: string, ...more: readonly string[]) =>
    sluice(['verify', '--dump', save(text), ...CLUSTER, ...NODE, '--family', 'ipv4', ...more])

  test('finds nothing where the rules are those of the cluster', async () => {
    expect(await verify(SOUND)).toMatchObject({ code: 0, stdout: '' })
  })

  test('tells by Service what is wrong and what a sync would do, and lints too', async () => {
    const ended = await verify(UNEVEN)
    expect(ended.code).toBe(1)
    expect(ended.stdout).toMatch(
      /^error: ipv4: Service \S+: the kernel does not do what the cluster asks for \(rules: 1 missing, 1 too many\)/,
    )
    expect(ended.stdout).toMatch(/ {4}to be right: .*now gets 1\/3 instead of 1\/6/)
    expect(ended.stdout).toContain('warning: ipv4 nat KUBE-SVC-')
  })

  test('sees rules of others in the way', async () => {
    const ended = await verify(
      edit(SOUND, '-A PREROUTING', '-A PREROUTING -p tcp -j ACCEPT\n-A PREROUTING'),
      '-o',
      'json',
    )
    const { findings } = JSON.parse(ended.stdout) as { findings: { kind: string }[] }
    expect(findings.map(({ kind }) => kind)).toEqual(['foreign-rule-before'])
    expect(ended.code).toBe(0)
  })

  test('does not read two things from standard input', async () => {
    const ended = await sluice(['verify', '--dump', '-', '-f', '-'], { stdin: '' })
    expect(ended).toMatchObject({ code: 2, stdout: '' })
    expect(ended.stderr).toContain('both read standard input')
  })
})

describe('estimate', () => {
  test('counts the rules of a cluster, and knows a budget', async () => {
    const args = ['estimate', ...CLUSTER, ...NODE, '--family', 'ipv4', '-o', 'json']
    const ended = await sluice(args)
    expect(ended.code).toBe(0)
    const { estimates } = JSON.parse(ended.stdout) as { estimates: { amounts: { rules: number } }[] }
    const rules = estimates[0]?.amounts.rules ?? 0
    expect(rules).toBe(SOUND.match(/^-A /gm)?.length)
    expect((await sluice([...args, '--max-rules', String(rules)])).code).toBe(0)
    const over = await sluice([...args, '--max-rules', String(rules - 1)])
    expect(over.code).toBe(1)
    expect(over.stderr).toContain(`are over the budget of ${rules - 1}`)
  })

  // As many as a kube-proxy with these Services has: spec, example oracle of the rule metrics; 14 filter and nat jumps.
  test('counts those of N Services with E endpoints, by table', async () => {
    const ended = await sluice([
      'estimate',
      '--services',
      '10',
      '--endpoints',
      '10',
      '--cluster-cidr',
      '10.128.0.0/9',
      '-o',
      'json',
    ])
    expect(JSON.parse(ended.stdout)).toMatchObject({
      estimates: [
        {
          mode: 'iptables',
          amounts: { services: 10, endpoints: 100, setEntries: 0, rulesByTable: { filter: 4 + 11, nat: 325 + 3 } },
        },
      ],
    })
  })

  test('does so quickly for very many', async () => {
    const ended = await sluice(['estimate', '--services', '100000', '--endpoints', '20'])
    expect(ended.stdout).toMatch(/services +100,000 with 100,000 ports and 2,000,000 endpoints/)
    expect(ended.stdout).toMatch(/first sync +nft .* s, legacy .* s/)
  })

  test.each([
    [['--services', 'many'], /Write a whole number/],
    [['--services', '1', '-f', 'cluster.yaml'], /--services is instead of a cluster/],
    [['--services', '1', '--endpoints', '1000000'], /use at most 100000/],
  ])('refuses %j', async (args, message) => {
    const ended = await sluice(['estimate', ...args])
    expect(ended.code).toBe(2)
    expect(ended.stderr).toMatch(message)
  })
})
