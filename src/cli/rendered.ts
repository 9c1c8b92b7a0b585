// What a node comes to, in either mode, and its texts by the names of their files.

import { compile } from '../iptables/compile.ts'
import type { RuleDocument } from '../iptables/document.ts'
import { DOCUMENT_VERSION, describeRules, type FamilyRules } from '../iptables/document.ts'
import { link, linkServices } from '../iptables/link.ts'
import { printSave } from '../iptables/print.ts'
import { printServicesPayload, writePayload } from '../iptables/print-payload.ts'
import type { Program } from '../iptables/program.ts'
import type { Ruleset } from '../iptables/rule.ts'
import { compileIpvs } from '../ipvs/compile.ts'
import { describeIpvs, type IpvsDocument } from '../ipvs/print-document.ts'
import { printNodeRestore, printNodeSave } from '../ipvs/print-node.ts'
import { type ShownState, showState } from '../ipvs/shown-state.ts'
import type { Family } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { Issue } from '../model/issue.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { findConflicts } from '../resolve/conflicts.ts'
import type { Pieces } from './write-out.ts'

export type RenderedNode = IptablesNode | IpvsNode

export interface IptablesNode {
  readonly mode: 'iptables'
  readonly node: NodeFacts
  /** One per family. */
  readonly families: readonly Program[]
  /** `namespace/name`: only what belongs to this Service is shown. */
  readonly service?: string
}

export interface IpvsNode {
  readonly mode: 'ipvs'
  readonly node: NodeFacts
  /** One per family. */
  readonly families: readonly ShownState[]
}

export type TextFormat = 'save' | 'restore'
export const TEXT_FORMATS: readonly TextFormat[] = ['save', 'restore']

export interface NodeText {
  /** `ip6tables-save`, `ipset-restore` */
  readonly name: string
  readonly pieces: Pieces
}

/** The names of a family's tools, which are the names of its files. */
const TOOLS: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' }

export interface RenderTask {
  readonly snapshot: Snapshot
  readonly config: ProxyConfig
  readonly families: readonly Family[]
  readonly service?: string
}

export interface RenderResult {
  readonly rendered: RenderedNode
  /** Of all Services, also when one of them is shown. */
  readonly conflicts: readonly Issue[]
}

/** In the mode of the configuration, which is a served one. */
export function renderNode(node: NodeFacts, task: RenderTask): RenderResult {
  const { snapshot, config, families, service } = task
  if (config.mode === 'ipvs') {
    const programs = families.map((family) => compileIpvs(snapshot, config, node, family))
    const states = programs.map((program) => showState(program, service))
    return { rendered: { mode: 'ipvs', node, families: states }, conflicts: conflictsOf(programs) }
  }
  const programs = families.map((family) => compile(snapshot, config, node, family))
  const limited = programs.map((program) => limit(program, service))
  const rendered = { mode: 'iptables', node, families: limited, ...(service !== undefined && { service }) } as const
  return { rendered, conflicts: conflictsOf(programs) }
}

function conflictsOf(programs: readonly Pick<Program, 'servicePorts'>[]): readonly Issue[] {
  return programs.flatMap(({ servicePorts }) => findConflicts(servicePorts))
}

function limit(program: Program, service: string | undefined): Program {
  if (service === undefined) return program
  return { ...program, servicePorts: program.servicePorts.filter((port) => port.service === service) }
}

/** In the order in which they are to be read, or restored. Each is made when its turn comes. */
export function* textsOf(rendered: RenderedNode, format: TextFormat): Generator<NodeText, undefined> {
  if (rendered.mode === 'iptables') {
    for (const program of rendered.families) {
      yield { name: `${TOOLS[program.family]}-${format}`, pieces: printRules(program, format, rendered) }
    }
    return
  }
  const texts = format === 'save' ? printNodeSave(rendered.families) : printNodeRestore(rendered.families)
  for (const { name, text } of texts) yield { name, pieces: [text] }
}

function printRules(program: Program, format: TextFormat, { service }: IptablesNode): Pieces {
  if (format === 'restore') {
    return service === undefined ? writePayload(program).blocks() : [printServicesPayload(program)]
  }
  return [printSave(rulesetOf(program, service))]
}

function rulesetOf(program: Program, service: string | undefined): Ruleset {
  return service === undefined ? link(program) : linkServices(program)
}

/** The model of docs/rule-model.md. */
export function documentOf(rendered: RenderedNode): RuleDocument | IpvsDocument {
  if (rendered.mode === 'ipvs') return describeIpvs(rendered.node.name, rendered.families)
  return {
    apiVersion: DOCUMENT_VERSION,
    kind: 'NodeRules',
    node: rendered.node.name,
    mode: 'iptables',
    families: rendered.families.map((program) => describeFamily(program, rendered.service)),
  }
}

/** A single Service names few of the node's counters, if any. */
function describeFamily(program: Program, service: string | undefined): FamilyRules {
  const described = describeRules(program, rulesetOf(program, service))
  if (service === undefined) return described
  const matches = described.tables.flatMap(({ chains }) =>
    chains.flatMap(({ rules }) => rules.flatMap((it) => it.matches)),
  )
  const named = new Set(matches.flatMap((match) => (match.kind === 'nfacct' ? match.name : [])))
  return { ...described, nfacct: described.nfacct.filter((name) => named.has(name)) }
}
