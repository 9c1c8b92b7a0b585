// Where a command takes a node's rules from: compiled from manifests or a live cluster, read from a saved dump, or from
// this machine's kernel. Every command that explains, compares or checks rules starts here, so that they all take the
// same options and say the same about what is wrong with them.
import type { RuleText } from '../compare/rule-text.ts'
import { compile } from '../iptables/compile.ts'
import { link } from '../iptables/link.ts'
import type { Program } from '../iptables/program.ts'
import type { Ruleset } from '../iptables/rule.ts'
import type { SavedSets } from '../iptables/simulate-sets.ts'
import type { ShownState } from '../ipvs/shown-state.ts'
import type { RawObject } from '../kube/manifests/documents.ts'
import { FAMILIES, type Family, type Ip } from '../model/address.ts'
import type { ProxyConfig, ProxyMode } from '../model/config.ts'
import type { Issue } from '../model/issue.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { readConfig } from './config.ts'
import { Failure } from './failure.ts'
import { readInput } from './input.ts'
import { chooseNodes } from './nodes.ts'
import type { ConfigOptions, InputOptions, NodeOptions } from './options.ts'
import type { ReadDump } from './rule-source-dump.ts'
import type { Streams } from './streams.ts'
import type { Terminal } from './terminal.ts'

export interface RuleSource {
  /** For headings: `cluster.yaml`, `live`. */
  readonly label: string
  readonly mode: ProxyMode
  readonly families: ReadonlyMap<Family, Ruleset>
  /** Of a dump and of this machine: the tables as they were saved, where they have no counters. */
  readonly texts?: ReadonlyMap<Family, RuleText>
  /** The ipsets, in IPVS mode also of what was compiled. */
  readonly sets?: SavedSets
  /** The virtual servers, as `ipvsadm -Sn` prints them. */
  readonly ipvs?: string
  /** Those of kube-ipvs0, as far as they are known: a dump has them only with the file that `render --out` writes. */
  readonly addresses?: ReadonlySet<Ip>
  /** What the objects come to in IPVS mode; absent in iptables mode, for a dump and for --live. */
  readonly states?: ReadonlyMap<Family, ShownState>
  /** The objects: always for manifests and clusters; beside a dump or --live only when -f or a cluster was named too. */
  readonly snapshot?: Snapshot
  /** The same as they were read, for what the snapshot leaves out, such as Pods. */
  readonly objects?: readonly RawObject[]
  /** The node, as far as it is known; never guessed for a dump. */
  readonly node?: NodeFacts
  readonly config?: ProxyConfig
  /** What the rules were compiled from in iptables mode; absent for a dump and for --live. */
  readonly programs?: ReadonlyMap<Family, Program>
  readonly issues: readonly Issue[]
}

export interface RuleSourceOptions extends InputOptions, ConfigOptions, NodeOptions {
  /** Files, folders as `render --out` writes them, or `-`. */
  readonly dump?: readonly string[]
  readonly live?: true
  /** Only this family. */
  readonly family?: Family
}

/**
 * Reads the rules that the options name. Beside --dump and --live, -f and the cluster's options give the objects and the
 * node that the rules are looked at with. What was read and assumed is said on the terminal; issues are the caller's to
 * report.
 * @throws Failure for options that exclude each other and for anything that can't be read.
 */
export async function readRuleSource(
  options: RuleSourceOptions,
  streams: Streams,
  terminal: Terminal,
): Promise<RuleSource> {
  checkOptions(options)
  if (options.dump === undefined && options.live === undefined) return readCompiled(options, streams, terminal)
  const read = await readSaved(options, streams, terminal)
  const beside = await readBeside(options, streams, terminal)
  const families = new Map([...read.families].filter(([family]) => (options.family ?? family) === family))
  if (families.size === 0) {
    const has = [...read.families.keys()].join(' and ')
    throw new Failure(
      `${read.label} has no ${options.family ?? ''} rules${has === '' ? '' : `, only ${has}`}: leave out --family, or give the other file`,
    )
  }
  terminal.say(describeSaved(read, families))
  return { ...beside, ...read, mode: modeOfRules(read), families, issues: [...beside.issues, ...read.issues] }
}

function checkOptions(options: RuleSourceOptions): void {
  if (options.dump !== undefined && options.live === true) {
    throw new Failure('--dump and --live exclude each other: read saved rules, or those of this machine')
  }
  if (options.allNodes === true) throw new Failure('--all-nodes: this command looks at one node: give --node NAME')
  if (options.dump?.includes('-') === true && options.filename.includes('-')) {
    throw new Failure('-f - and --dump - both read standard input: give one of them a file')
  }
}

async function readCompiled(options: RuleSourceOptions, streams: Streams, terminal: Terminal): Promise<RuleSource> {
  const objects = await readObjects(options, streams, terminal)
  const { snapshot, config, node } = objects
  const families = options.family === undefined ? FAMILIES : [options.family]
  terminal.progress('compiling')
  if (config.mode === 'ipvs') {
    const { compileIpvsSource } = await import('./rule-source-ipvs.ts')
    return { ...objects, label: labelOf(options), mode: 'ipvs', ...compileIpvsSource(objects, families) }
  }
  const programs = new Map(families.map((family) => [family, compile(snapshot, config, node, family)] as const))
  const rules = new Map([...programs].map(([family, program]) => [family, link(program)] as const))
  return { ...objects, label: labelOf(options), mode: config.mode, families: rules, programs }
}

function labelOf({ filename, context }: RuleSourceOptions): string {
  return filename.length === 0 ? (context ?? 'cluster') : filename.join(', ')
}

interface ReadObjects {
  readonly snapshot: Snapshot
  readonly objects: readonly RawObject[]
  readonly config: ProxyConfig
  readonly node: NodeFacts
  readonly issues: readonly Issue[]
}

async function readObjects(options: RuleSourceOptions, streams: Streams, terminal: Terminal): Promise<ReadObjects> {
  const { config, issues: configIssues, assumptions } = readConfig(options.config, options.proxyFlags, options.mode)
  const input = await readInput(options, streams.stdin, terminal)
  const chosen = await chooseNodes(options, config, input.snapshot)
  for (const note of [...input.notes, ...assumptions, ...chosen.notes]) terminal.say(note)
  const [node] = chosen.nodes
  if (node === undefined) throw new Failure('there is no node to look at: give --node NAME')
  const issues = [...configIssues, ...input.issues, ...chosen.issues]
  return { snapshot: input.snapshot, objects: input.objects, config, node, issues }
}

async function readSaved(options: RuleSourceOptions, streams: Streams, terminal: Terminal): Promise<ReadDump> {
  if (options.dump === undefined) {
    const { readLiveRules } = await import('./rule-source-live.ts')
    return readLiveRules(options.family, terminal)
  }
  const { readDump } = await import('./rule-source-dump.ts')
  return readDump(options.dump, streams.stdin, terminal)
}

/** Objects and node to look at saved rules with. Nothing of them is needed, so nothing is assumed. */
async function readBeside(
  options: RuleSourceOptions,
  streams: Streams,
  terminal: Terminal,
): Promise<Pick<RuleSource, 'snapshot' | 'objects' | 'node' | 'config' | 'issues'>> {
  const { filename, kubeconfig, context, master } = options
  if (filename.length > 0 || (kubeconfig ?? context ?? master) !== undefined) {
    const host = options.host ?? (options.live === true ? 'live' : undefined)
    return readObjects({ ...options, ...(host !== undefined && { host }) }, streams, terminal)
  }
  const host = options.host ?? (options.live === true ? 'live' : undefined)
  if (host === undefined) return { issues: [] }
  const { config, issues: configIssues } = readConfig(options.config, options.proxyFlags, options.mode)
  const chosen = await chooseNodes({ ...options, host }, config, { services: [], nodes: new Map() })
  for (const note of chosen.notes.filter((line) => line.startsWith('host:'))) terminal.say(note)
  const [node] = chosen.nodes
  const given = options.config !== undefined || options.proxyFlags.size > 0
  return { ...(node && { node }), ...(given && { config }), issues: [...configIssues, ...chosen.issues] }
}

/** What tells the mode of saved rules. */
interface SavedRules extends Pick<ReadDump, 'ipvs' | 'sets'> {
  readonly families: ReadonlyMap<Family, { readonly tables: ReadonlyMap<string, ReadonlyMap<string, unknown>> }>
}

/** The proxy's mode as its traces show it: chains first, since sets and virtual servers may be left of another mode. */
export function modeOfRules({ families, ipvs, sets }: SavedRules): ProxyMode {
  const tables = [...families.values()].map((family) => family.tables)
  const has = (table: string, chain: string) => tables.some((found) => found.get(table)?.has(chain) === true)
  if (has('filter', 'KUBE-IPVS-FILTER')) return 'ipvs'
  if (has('filter', 'KUBE-EXTERNAL-SERVICES') || has('nat', 'KUBE-NODEPORTS')) return 'iptables'
  return (ipvs ?? '') !== '' || sets?.has('KUBE-CLUSTER-IP') === true ? 'ipvs' : 'iptables'
}

function describeSaved({ label, ruleCounts }: ReadDump, families: ReadonlyMap<Family, Ruleset>): string {
  const counts = [...families.keys()].map((family) => `${ruleCounts.get(family) ?? 0} ${family} rules`)
  return `${label}: ${counts.join(', ')}`
}
