// Reads the inputs of kube-proxy's own generator: Services and EndpointSlices in several steps, a configuration and a
// host. Each mode has its own expectations of them.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import {
  assembleSnapshot,
  defaultProxyConfig,
  type Family,
  type Host,
  type NodeFacts,
  type ProxyConfig,
  parseCidr,
  parseDocuments,
  parseIp,
  type Ruleset,
  type Snapshot,
} from '../../src/index.ts'
import type { Ip } from '../../src/model/address.ts'

const FOLDER = path.join(import.meta.dirname, '..', 'data', 'kube-proxy-fixtures')

export interface Fixture {
  readonly name: string
  readonly config: FixtureConfig
  readonly steps: readonly FixtureStep[]
}

export interface FixtureConfig {
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
  readonly ipvsScheduler?: string
  readonly interfaceAddrs: readonly string[]
}

interface KubernetesObject {
  readonly metadata: { readonly namespace: string; readonly name: string }
}

export interface FixtureStep {
  readonly note?: string
  readonly upsertServices?: readonly KubernetesObject[]
  readonly deleteServices?: readonly (KubernetesObject | string)[]
  readonly upsertEndpointSlices?: readonly KubernetesObject[]
  readonly deleteEndpointSlices?: readonly (KubernetesObject | string)[]
  readonly expected: { readonly 'iptables-restore': string }
}

/** All fixtures, by file name. */
export function readFixtures(): readonly Fixture[] {
  return readdirSync(FOLDER).map((file) => JSON.parse(readFileSync(path.join(FOLDER, file), 'utf8')) as Fixture)
}

export function familyOfFixture(config: FixtureConfig): Family {
  return config.family === 'IPv4' ? 'ipv4' : 'ipv6'
}

/** The cluster of one fixture: a step changes it, the answer is what it is then. */
export function createFixtureCluster(): (step: FixtureStep) => Snapshot {
  const objects = new Map<string, KubernetesObject>()
  return (step) => {
    for (const object of [...(step.upsertServices ?? []), ...(step.upsertEndpointSlices ?? [])])
      objects.set(keyOf(object), object)
    for (const object of step.deleteServices ?? []) objects.delete(deletedKey('Service', object))
    for (const object of step.deleteEndpointSlices ?? []) objects.delete(deletedKey('EndpointSlice', object))
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [...objects.values()] })
    return assembleSnapshot(parseDocuments(list, 'fixture').objects).snapshot
  }
}

/** filter and nat of a kernel that nobody has written to. */
export function baseChains(): Ruleset['tables'] {
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

export function readFixtureConfig(config: FixtureConfig): { proxy: ProxyConfig; node: NodeFacts } {
  const family = familyOfFixture(config)
  const [kind, value = ''] = splitOnce(config.detectLocal)
  const local: Partial<ProxyConfig> =
    kind === 'bridge'
      ? { detectLocalMode: 'BridgeInterface', bridgeInterface: value }
      : kind === 'prefix'
        ? { detectLocalMode: 'InterfaceNamePrefix', interfaceNamePrefix: value }
        : { detectLocalMode: 'ClusterCIDR', clusterCIDRs: kind === 'cidr' ? [need(parseCidr(value))] : [] }
  const defaults = defaultProxyConfig()
  const proxy: ProxyConfig = {
    ...defaults,
    ...local,
    masqueradeAll: config.masqueradeAll,
    masqueradeBit: Math.log2(Number(config.masqueradeMark)),
    localhostNodePorts: config.localhostNodePorts,
    ipvs: { ...defaults.ipvs, scheduler: config.ipvsScheduler ?? '' },
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
