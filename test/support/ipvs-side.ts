// The two sides of a golden case in IPVS mode: the texts that were recorded, and what sluice compiles.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { compileIpvsSource } from '../../src/cli/rule-source-ipvs.ts'
import { type IpvsSide, readIpvsSide } from '../../src/compare/ipvs-side.ts'
import {
  assembleSnapshot,
  decodeHost,
  decodeProxyConfig,
  describeNode,
  type Family,
  type Ip,
  type NodeFacts,
  type ProxyConfig,
  parseDocuments,
  type Snapshot,
} from '../../src/index.ts'
import { parseSave } from '../../src/iptables/parse.ts'
import type { Ruleset } from '../../src/iptables/rule.ts'
import { parseSavedSets } from '../../src/iptables/simulate-sets.ts'
import { compileIpvs } from '../../src/ipvs/compile.ts'
import { GOLDEN_ROOT } from './golden-case.ts'

export interface IpvsCase {
  readonly snapshot: Snapshot
  readonly config: ProxyConfig
  readonly node: NodeFacts
}

const SAVE: Readonly<Record<Family, string>> = { ipv4: 'iptables-save', ipv6: 'ip6tables-save' }

/** `suffix` is that of a story: `.1`. */
export function readIpvsCase(name: string, suffix = ''): IpvsCase {
  const read = (file: string) => readFileSync(path.join(GOLDEN_ROOT, name, file), 'utf8')
  // As recorded: with kube-ipvs0 in the picture.
  const hostFile = existsSync(path.join(GOLDEN_ROOT, name, 'ipvs', 'host.json')) ? 'ipvs/host.json' : 'host.json'
  const cluster = `cluster${suffix}.yaml`
  const { snapshot } = assembleSnapshot(parseDocuments(read(cluster), cluster).objects)
  const { config } = decodeProxyConfig(read('ipvs/config.yaml'), 'config.yaml')
  const { host } = decodeHost(read(hostFile), hostFile)
  if (config === undefined || host === undefined) throw new Error(`${name}: its configuration or host can't be read`)
  const nodeName = config.hostnameOverride
  const { facts } = describeNode(nodeName, snapshot.nodes.get(nodeName), config, host)
  return { snapshot, config, node: facts }
}

/** Texts by the names of their files: `ipvsadm-save`. */
export type IpvsFiles = Readonly<Record<'ipvsadm-save' | 'ipset-save' | 'kube-ipvs0-addresses', string>>

export function ipvsFiles(name: string, suffix = ''): IpvsFiles {
  const read = (file: string) => readFileSync(path.join(GOLDEN_ROOT, name, 'ipvs', `${file}${suffix}`), 'utf8')
  return {
    'ipvsadm-save': read('ipvsadm-save'),
    'ipset-save': read('ipset-save'),
    'kube-ipvs0-addresses': read('kube-ipvs0-addresses'),
  }
}

/** What sluice wants. */
export function compiledSide(known: IpvsCase, family: Family): IpvsSide {
  const { states, families: _, ...texts } = compileIpvsSource(known, [family])
  return readIpvsSide({ ...texts, servicePorts: states.get(family)?.servicePorts ?? [] }, family)
}

export function savedSide(
  files: IpvsFiles,
  family: Family,
  { snapshot, config, node }: Partial<IpvsCase> = {},
): IpvsSide {
  const addresses = files['kube-ipvs0-addresses'].split('\n').flatMap((line) => line.split('/', 1)[0] || [])
  const { sets, issues } = parseSavedSets(files['ipset-save'])
  if (issues.length > 0) throw new Error('the sets can not be read')
  return readIpvsSide(
    {
      ipvs: files['ipvsadm-save'],
      sets,
      addresses: new Set(addresses as Ip[]),
      ...(snapshot && config && node && { servicePorts: compileIpvs(snapshot, config, node, family).servicePorts }),
    },
    family,
  )
}

export function savedRules(name: string, family: Family, suffix = ''): Ruleset {
  const text = readFileSync(path.join(GOLDEN_ROOT, name, 'ipvs', `${SAVE[family]}${suffix}`), 'utf8')
  return parseSave(text, family).ruleset
}
