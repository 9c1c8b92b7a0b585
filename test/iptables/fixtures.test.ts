// What kube-proxy's own generator wrote for iptables-restore, before any kernel: the same rules, chain by chain.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  assembleSnapshot,
  canonicalise,
  compile,
  defaultProxyConfig,
  type Family,
  type Host,
  link,
  type NodeFacts,
  type Program,
  type ProxyConfig,
  parseCidr,
  parseDocuments,
  parseIp,
  printSave,
  type Ruleset,
} from '../../src/index.ts'
import { compileStatic } from '../../src/iptables/static.ts'
import type { Ip } from '../../src/model/address.ts'
import { applyRestore } from '../support/apply-restore.ts'

const FOLDER = path.join(import.meta.dirname, '..', 'data', 'kube-proxy-fixtures')

interface Fixture {
  readonly name: string
  readonly config: FixtureConfig
  readonly steps: readonly FixtureStep[]
}

interface FixtureConfig {
  readonly family: 'IPv4' | 'IPv6'
  readonly nodeName: string
  readonly nodeIP: string
  readonly zone?: string
  readonly detectLocal: string
  readonly masqueradeAll: boolean
  readonly localhostNodePorts: boolean
  readonly nodePortAddresses: readonly string[] | null
  readonly nfacctCounters: boolean
  readonly randomFully: boolean
  readonly conntrackTCPLiberal: boolean
  readonly masqueradeMark: string
  readonly interfaceAddrs: readonly string[]
}

interface KubernetesObject {
  readonly metadata: { readonly namespace: string; readonly name: string }
}

interface FixtureStep {
  readonly note?: string
  readonly upsertServices?: readonly KubernetesObject[]
  readonly deleteServices?: readonly (KubernetesObject | string)[]
  readonly upsertEndpointSlices?: readonly KubernetesObject[]
  readonly deleteEndpointSlices?: readonly (KubernetesObject | string)[]
  readonly expected: { readonly 'iptables-restore': string }
}

const fixtures = readdirSync(FOLDER).map((file) => JSON.parse(readFileSync(path.join(FOLDER, file), 'utf8')) as Fixture)

test('all 33 fixtures with 38 texts are here', () => {
  expect(fixtures).toHaveLength(33)
  expect(fixtures.flatMap((fixture) => fixture.steps)).toHaveLength(38)
})

describe.each(fixtures)('$name', ({ config, steps }) => {
  const family = config.family === 'IPv4' ? 'ipv4' : 'ipv6'
  const { proxy, node } = readConfig(config, family)
  const objects = new Map<string, KubernetesObject>()
  let kernel: Ruleset = { family, tables: baseChains() }

  test.each(steps.map((step, index) => ({ ...step, title: step.note ?? `step ${index + 1}` })))('$title', (step) => {
    for (const object of [...(step.upsertServices ?? []), ...(step.upsertEndpointSlices ?? [])])
      objects.set(keyOf(object), object)
    for (const object of step.deleteServices ?? []) objects.delete(deletedKey('Service', object))
    for (const object of step.deleteEndpointSlices ?? []) objects.delete(deletedKey('EndpointSlice', object))
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [...objects.values()] })
    const { snapshot } = assembleSnapshot(parseDocuments(list, 'fixture').objects)

    kernel = applyRestore(kernel, step.expected['iptables-restore'])
    const program = withLocalhostNodePorts(compile(snapshot, proxy, node, family), config)
    expect(printServiceTables(link(program))).toBe(printServiceTables(kernel))
  })
})

/**
 * The fixtures were made with this decision given, past the check of nodePortAddresses that comes before it; the recorded
 * case config-variants-nodeport-cidr shows the same addresses with the check.
 */
function withLocalhostNodePorts(program: Program, { localhostNodePorts }: FixtureConfig): Program {
  const settings = { ...program.settings, localhostNodePorts: localhostNodePorts && program.family === 'ipv4' }
  return { ...program, settings, static: compileStatic(settings) }
}

/** filter and nat without base chains and canaries, which the texts do not have. */
function printServiceTables({ family, tables }: Ruleset): string {
  const kept = ['filter', 'nat'].map((name) => {
    const chains = [...(tables.get(name) ?? [])].filter(
      ([chain]) => chain.startsWith('KUBE-') && chain !== 'KUBE-PROXY-CANARY',
    )
    return [
      name,
      new Map(chains.filter(([chain, { rules }]) => chain !== 'KUBE-FIREWALL' || rules.length > 0)),
    ] as const
  })
  return printSave(canonicalise({ family, tables: new Map(kept) }))
}

function baseChains(): Ruleset['tables'] {
  const chains = (names: readonly string[]) => new Map(names.map((name) => [name, { policy: 'ACCEPT', rules: [] }]))
  return new Map([
    ['filter', chains(['INPUT', 'FORWARD', 'OUTPUT'])],
    ['nat', chains(['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'])],
  ])
}

function keyOf(object: KubernetesObject & { kind?: string }): string {
  return `${object.kind} ${object.metadata.namespace}/${object.metadata.name}`
}

function deletedKey(kind: string, deleted: KubernetesObject | string): string {
  return typeof deleted === 'string'
    ? `${kind} ${deleted}`
    : `${kind} ${deleted.metadata.namespace}/${deleted.metadata.name}`
}

function readConfig(config: FixtureConfig, family: Family): { proxy: ProxyConfig; node: NodeFacts } {
  const [kind, value = ''] = splitOnce(config.detectLocal)
  const local: Partial<ProxyConfig> =
    kind === 'bridge'
      ? { detectLocalMode: 'BridgeInterface', bridgeInterface: value }
      : kind === 'prefix'
        ? { detectLocalMode: 'InterfaceNamePrefix', interfaceNamePrefix: value }
        : { detectLocalMode: 'ClusterCIDR', clusterCIDRs: kind === 'cidr' ? [need(parseCidr(value))] : [] }
  const proxy: ProxyConfig = {
    ...defaultProxyConfig(),
    ...local,
    masqueradeAll: config.masqueradeAll,
    masqueradeBit: Math.log2(Number(config.masqueradeMark)),
    localhostNodePorts: config.localhostNodePorts,
    nodePortAddresses: (config.nodePortAddresses ?? []).map((cidr) => need(parseCidr(cidr))),
  }
  const nodeIP = need(parseIp(config.nodeIP))
  const host: Host = {
    addresses: config.interfaceAddrs.map((line) => need(parseIp(line.replace(/^\S+ |\/\d+$/g, '')))),
    features: {
      nfacct: config.nfacctCounters,
      randomFully: config.randomFully,
      tcpBeLiberal: config.conntrackTCPLiberal,
    },
  }
  const loopback = { ipv4: '127.0.0.1' as Ip, ipv6: '::1' as Ip }
  const node: NodeFacts = {
    name: config.nodeName,
    zone: config.zone ?? '',
    nodeIPs: { ...loopback, [family]: nodeIP },
    primaryFamily: family,
    podCIDRs: [],
    host,
  }
  return { proxy, node }
}

function splitOnce(text: string): readonly string[] {
  const colon = text.indexOf(':')
  return colon < 0 ? [text] : [text.slice(0, colon), text.slice(colon + 1)]
}

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a value in the fixture could not be read')
  return value
}
