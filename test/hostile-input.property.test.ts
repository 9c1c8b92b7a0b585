import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  assembleSnapshot,
  compile,
  createCompiler,
  decodeProxyConfig,
  defaultProxyConfig,
  describeNode,
  diffPrograms,
  formatIssue,
  link,
  parseDocuments,
  parseSave,
  printPayload,
  printRestore,
  printSave,
} from '../src/index.ts'
import { printRuleLine } from '../src/iptables/print-rule.ts'
import type { Program } from '../src/iptables/program.ts'
import { BASE_CHAIN_JUMPS } from '../src/iptables/static.ts'
import { FAMILIES } from '../src/model/address.ts'
import type { ProxyConfig } from '../src/model/config.ts'
import { applyRestore } from './support/apply-restore.ts'
import { comparable } from './support/comparable-rules.ts'
import { hostileDocument } from './support/hostile.ts'

const CONTROL = /\p{Cc}|[\u2028\u2029]/u

/** Every line that a payload may have: those of the model, once for each time, and comments. */
function expectOnlyLinesOfTheModel(program: Program, payload: string): void {
  const ruleset = link(program)
  const wanted: string[] = BASE_CHAIN_JUMPS.map(({ chain, rule }) => printRuleLine(`-I ${chain}`, rule, program.family))
  for (const [table, chains] of ruleset.tables) {
    wanted.push(`*${table}`, 'COMMIT')
    for (const [name, { policy, rules }] of chains) {
      if (policy !== undefined) continue
      wanted.push(`:${name} - [0:0]`)
      for (const rule of rules) wanted.push(printRuleLine(`-A ${name}`, rule, program.family))
    }
  }
  const lines = payload
    .split(/\r\n|[\n\r\v\f\u0085\u2028\u2029]/)
    .filter((line) => line !== '' && !line.startsWith('#'))
  expect(lines.toSorted()).toEqual(wanted.toSorted())
  expect(payload.split('\n').filter((line) => CONTROL.test(line))).toEqual([])
}

/** What is in the rules but not in any test of the model: nothing is accepted but what kube-proxy accepts. */
function expectNothingStrange(program: Program): void {
  for (const line of printSave(link(program)).split('\n')) {
    expect(line).toMatch(/^[\x20-\x7e]*$/)
    expect(line).not.toMatch(/reboot|passwd|^-A (?!KUBE-(?:FORWARD|NODEPORTS) ).*-j ACCEPT/)
  }
}

describe('whatever strangers write into any field', () => {
  test('it compiles, and the payload loads as exactly the model and has no line that the model does not have', () => {
    let services = 0
    fc.assert(
      fc.property(hostileDocument(), (text) => {
        const { objects } = parseDocuments(text, 'hostile.json')
        const { snapshot } = assembleSnapshot(objects)
        services += snapshot.services.length
        for (const family of FAMILIES) {
          const config: ProxyConfig = { ...defaultProxyConfig(), detectLocalMode: 'NodeCIDR' }
          const { facts } = describeNode('node1', snapshot.nodes.get('node1'), config, undefined)
          const compiler = createCompiler(config, facts, family)
          const empty = compiler({ services: [], nodes: new Map() })
          const program = compiler(snapshot)
          const payload = printPayload(program)
          expectOnlyLinesOfTheModel(program, payload)
          expectNothingStrange(program)
          const ruleset = link(program)
          const saved = printSave(ruleset)
          expect(printSave(applyRestore({ family, tables: new Map() }, payload))).toBe(saved)
          const changed = applyRestore(link(empty), printRestore(diffPrograms(program, empty)))
          expect(comparable(changed, printSave)).toBe(comparable(ruleset, printSave))
          const parsed = parseSave(saved, family)
          expect(parsed.ruleset).toEqual(ruleset)
          expect(parsed.issues).toEqual([])
        }
      }),
      { numRuns: 400 },
    )
    expect(services).toBeGreaterThan(400)
  })

  test('every message about it is one line without control characters', () => {
    fc.assert(
      fc.property(hostileDocument(), (text) => {
        const { objects, issues } = parseDocuments(text, 'hostile.json')
        const assembly = assembleSnapshot(objects)
        for (const issue of [...issues, ...assembly.issues]) expect(formatIssue(issue)).not.toMatch(CONTROL)
      }),
      { numRuns: 300 },
    )
  })
})

describe('a configuration with a strange interface', () => {
  const names = [
    '-j',
    '--',
    '-',
    'br-1:2@x.y_z',
    'a b',
    'a"b',
    "a'b",
    'a\nb',
    '-j ACCEPT',
    '\0',
    '!',
    '',
    ' ',
    '+',
    'veth\u2028',
  ]
  test.each(
    (['bridgeInterface', 'interfaceNamePrefix'] as const).flatMap((field) =>
      names.map((name) => [field, name] as const),
    ),
  )('%s %j is refused, or stands in the rules as it is', (field, name) => {
    const detectLocalMode = field === 'bridgeInterface' ? 'BridgeInterface' : 'InterfaceNamePrefix'
    const text = JSON.stringify({
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      detectLocalMode,
      detectLocal: { [field]: name },
    })
    const { config, issues } = decodeProxyConfig(text, 'config.yaml')
    expect(config === undefined).toBe(issues.some(({ severity }) => severity === 'error'))
    if (config === undefined) return
    const { facts } = describeNode('node1', undefined, config, undefined)
    const { objects } = parseDocuments(CLUSTER, 'cluster.json')
    const program = compile(assembleSnapshot(objects).snapshot, config, facts, 'ipv4')
    expectOnlyLinesOfTheModel(program, printPayload(program))
    const saved = printSave(link(program))
    expect(parseSave(saved, 'ipv4').ruleset).toEqual(link(program))
  })
})

const CLUSTER = JSON.stringify({
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'svc1', namespace: 'ns1' },
      spec: { clusterIP: '172.30.0.41', ports: [{ port: 80 }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'svc1-1', namespace: 'ns1', labels: { 'kubernetes.io/service-name': 'svc1' } },
      addressType: 'IPv4',
      ports: [{ name: '', port: 8080 }],
      endpoints: [{ addresses: ['10.0.0.1'] }],
    },
  ],
})
