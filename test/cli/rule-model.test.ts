// `-o json` and `-o yaml`: the document that docs/rule-model.md describes, saying what iptables-save says.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { GOLDEN_ROOT, listCases } from '../support/golden-case.ts'
import { sluice } from './command.ts'
import { ipvsNodeRules, match, type NodeRules, nodeRules, nodeRulesList, target } from './rule-model-schema.ts'

const RECORDED = listCases().filter((name) => name.startsWith('recorded/'))
const TOOLS = { ipv4: 'iptables', ipv6: 'ip6tables' } as const

async function render(name: string, ...args: readonly string[]): Promise<string> {
  const folder = path.join(GOLDEN_ROOT, name)
  const host = path.join(folder, 'host.json')
  const { nodeName } = JSON.parse(readFileSync(host, 'utf8')) as { nodeName: string }
  const input = ['-f', path.join(folder, 'cluster.yaml'), '--config', path.join(folder, 'iptables', 'config.yaml')]
  const { code, stdout } = await sluice([
    'render',
    ...input,
    '--host',
    host,
    '--node',
    nodeName,
    '--keep-going',
    ...args,
  ])
  expect(code).toBe(0)
  return stdout
}

/** The document told as iptables-save tells rules. */
function saveText({ tables }: NodeRules['families'][number]): string {
  const lines = tables.flatMap(({ name, chains }) => [
    `*${name}`,
    ...chains.map((chain) => `:${chain.name} ${chain.policy ?? '-'}`),
    ...chains.flatMap((chain) => chain.rules.map(({ text }) => `-A ${chain.name} ${text}`)),
    'COMMIT',
  ])
  return `${lines.join('\n')}\n`
}

describe('of every recorded case', () => {
  test.each(RECORDED)('%s has the documented shape, and its texts are what kube-proxy programmed', async (name) => {
    const document = v.parse(nodeRules, JSON.parse(await render(name, '-o', 'json')))
    expect(document.families.map(({ family }) => family)).toEqual(['ipv4', 'ipv6'])
    for (const family of document.families) {
      const recorded = readFileSync(path.join(GOLDEN_ROOT, name, 'iptables', `${TOOLS[family.family]}-save`), 'utf8')
      expect(saveText(family)).toBe(recorded)
      const named = [...recorded.matchAll(/--nfacct-name {1,2}(\S+)/g)].map(([, counter]) => counter)
      expect(family.nfacct).toEqual(expect.arrayContaining(named))
    }
  })
})

describe('the document', () => {
  test('is the same in YAML', async () => {
    const json = await render('recorded/dual-stack', '-o', 'json')
    const yaml = await render('recorded/dual-stack', '-o', 'yaml')
    expect(parse(yaml)).toEqual(JSON.parse(json))
  })

  test('has one family with --family', async () => {
    const document = v.parse(
      nodeRules,
      JSON.parse(await render('recorded/dual-stack', '-o', 'json', '--family', 'ipv6')),
    )
    expect(document.families.map(({ family }) => family)).toEqual(['ipv6'])
  })

  test('is one list with --all-nodes, also for one node', async () => {
    const file = path.join(GOLDEN_ROOT, 'recorded/dual-stack/cluster.yaml')
    for (const output of ['json', 'yaml']) {
      const { stdout } = await sluice(['render', '-f', file, '--all-nodes', '-o', output])
      const { items } = v.parse(nodeRulesList, output === 'json' ? JSON.parse(stdout) : parse(stdout))
      const names = items.map(({ node }) => node)
      expect(names.length).toBeGreaterThan(0)
      expect(names).toEqual(names.toSorted())
    }
    const stdin = '{"apiVersion":"v1","kind":"Node","metadata":{"name":"only"}}'
    const { stdout } = await sluice(['render', '-f', '-', '--all-nodes', '-o', 'json'], { stdin })
    expect(v.parse(nodeRulesList, JSON.parse(stdout)).items.map(({ node }) => node)).toEqual(['only'])
  })

  test('of one Service names only the counters of that Service', async () => {
    const file = path.join(import.meta.dirname, '..', '..', 'examples', 'nginx')
    const render4 = async (...args: readonly string[]) => {
      const { stdout } = await sluice(['render', '-f', file, '--family', 'ipv4', '-o', 'json', ...args])
      return v.parse(nodeRules, JSON.parse(stdout)).families[0]?.nfacct
    }
    expect(await render4()).toEqual(['ct_state_invalid_dropped_pkts', 'localhost_nps_accepted_pkts'])
    expect(await render4('--service', 'default/my-nginx')).toEqual([])
    expect(await render4('--service', 'default/my-nginx-nodeport')).toEqual(['localhost_nps_accepted_pkts'])
  })
})

describe('docs/rule-model.md', () => {
  const text = readFileSync(path.join(import.meta.dirname, '..', '..', 'docs', 'rule-model.md'), 'utf8')
  const [document, matches, targets, ipvsDocument] = [...text.matchAll(/```json\n([\s\S]*?)```/g)].map(
    ([, json]) => JSON.parse(json ?? '') as unknown,
  )

  test('has examples of the documented shape, and of every kind of match and target', () => {
    expect(v.safeParse(nodeRules, document).issues).toBeUndefined()
    expect(v.safeParse(ipvsNodeRules, ipvsDocument).issues).toBeUndefined()
    const kindsOf = (schema: typeof match | typeof target, examples: unknown) => {
      const kinds = v.parse(v.array(schema), examples).map(({ kind }) => kind)
      return [...new Set<string>(kinds)].toSorted()
    }
    const kindsIn = (schema: typeof match | typeof target) =>
      schema.options.flatMap(({ entries: { kind } }) => (kind.type === 'literal' ? [kind.literal] : [...kind.options]))
    expect(kindsOf(match, matches)).toEqual(kindsIn(match).toSorted())
    expect(kindsOf(target, targets)).toEqual(kindsIn(target).toSorted())
  })
})
