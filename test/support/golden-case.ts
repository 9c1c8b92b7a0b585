// The recorded and own scenarios of rules-golden, as tests and scripts read them.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { Host, NodeFacts, ProxyConfig, Snapshot } from '../../src/index.ts'
import { assembleSnapshot, decodeHost, decodeProxyConfig, describeNode, parseDocuments } from '../../src/index.ts'

export const GOLDEN_ROOT = path.join(import.meta.dirname, '..', '..', 'rules-golden')

export interface GoldenCase {
  /** `recorded/seed-kube-dns` */
  readonly name: string
  readonly folder: string
  readonly snapshot: Snapshot
  readonly config: ProxyConfig
  readonly node: NodeFacts
}

/** The folders below `recorded` and `own` that have an `iptables` folder. */
export function listCases(root = GOLDEN_ROOT): readonly string[] {
  return ['recorded', 'own']
    .filter((group) => existsSync(path.join(root, group)))
    .flatMap((group) => readdirSync(path.join(root, group)).map((name) => `${group}/${name}`))
    .filter((name) => existsSync(path.join(root, name, 'iptables')))
}

export function readCase(name: string, root = GOLDEN_ROOT): GoldenCase {
  const folder = path.join(root, name)
  const read = (file: string) => readFileSync(path.join(folder, file), 'utf8')
  const { snapshot } = assembleSnapshot(parseDocuments(read('cluster.yaml'), 'cluster.yaml').objects)
  const { config } = decodeProxyConfig(read('iptables/config.yaml'), 'config.yaml')
  const { host } = decodeHost(read('host.json'), 'host.json')
  if (config === undefined || host === undefined) throw new Error(`${name}: its configuration or host can't be read`)
  return { name, folder, snapshot, config, node: factsOf(snapshot, config, host) }
}

function factsOf(snapshot: Snapshot, config: ProxyConfig, host: Host): NodeFacts {
  const name = config.hostnameOverride
  return describeNode(name, snapshot.nodes.get(name), config, host).facts
}
