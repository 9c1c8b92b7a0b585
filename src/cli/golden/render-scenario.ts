// A scenario's inputs -> its outputs, as text by file name. They depend on nothing but the scenario's files: not on the
// machine, the clock, or the folder from which the command is run.
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { decodeHost, type NamedHost } from '../../host/host-file.ts'
import { createCompiler } from '../../iptables/compile.ts'
import { diffPrograms } from '../../iptables/diff-programs.ts'
import { link } from '../../iptables/link.ts'
import { printSave } from '../../iptables/print.ts'
import type { Program } from '../../iptables/program.ts'
import { printRestore } from '../../iptables/restore.ts'
import { createIpvsCompiler } from '../../ipvs/compile.ts'
import { linkIpvs } from '../../ipvs/link.ts'
import { printNodeSave } from '../../ipvs/print-node.ts'
import { showState } from '../../ipvs/shown-state.ts'
import { parseDocuments } from '../../kube/manifests/documents.ts'
import { type Assembly, assembleSnapshot } from '../../kube/manifests/manifest.ts'
import { FAMILIES, type Family } from '../../model/address.ts'
import type { ProxyConfig } from '../../model/config.ts'
import { formatIssue, type Issue } from '../../model/issue.ts'
import type { NodeFacts } from '../../model/node.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import { findConflicts } from '../../resolve/conflicts.ts'
import { assumeHost, describeNode } from '../../resolve/node-facts.ts'
import { printStep } from '../../sync/ipvs/plan.ts'
import { readConfig } from '../config.ts'
import { Failure } from '../failure.ts'
import { readText } from '../read-text.ts'
import type { Scenario, Step } from './scenario.ts'

/** Contents by path below the scenario's folder: `iptables/ip6tables-save`. */
export type Outputs = ReadonlyMap<string, string>

/** The names of a family's tools, which are the names of its files. */
const TOOLS: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' }

/** The same input serves all modes, so it is read once. @throws Failure when something can't be read at all. */
export function renderScenario(scenario: Scenario): Outputs {
  const { folder, steps, modes, recorded } = scenario
  const pictures = steps.map((step) => ({ step, ...readCluster(folder, step) }))
  const outputs = new Map<string, string>()
  for (const mode of modes) {
    const config = readModeConfig(folder, mode)
    const host = readHost(scenario, mode)
    const rendered = pictures.map((picture): RenderedStep => {
      const node = chooseNode(scenario, picture.snapshot, config.config, host.host)
      return {
        ...picture,
        node: node.facts,
        issues: [...config.issues, ...host.issues, ...picture.issues, ...node.issues],
      }
    })
    for (const [name, text] of renderMode(rendered, config.config)) {
      // Nobody recorded what sluice has to say about the input.
      if (!recorded || !name.startsWith('issues')) outputs.set(path.join(mode, name), text)
    }
  }
  return outputs
}

interface RenderedStep {
  readonly step: Step
  readonly snapshot: Snapshot
  readonly node: NodeFacts
  readonly issues: readonly Issue[]
}

function renderMode(steps: readonly RenderedStep[], config: ProxyConfig): Outputs {
  const { texts, conflicts } = config.mode === 'ipvs' ? renderIpvs(steps, config) : renderIptables(steps, config)
  const outputs = new Map(texts)
  for (const { step, issues } of steps) {
    const all = [...issues, ...conflicts.filter((conflict) => conflict.step === step).map(({ issue }) => issue)]
    const lines = new Set(all.map((issue) => `${issue.severity}: ${formatIssue(issue)}\n`))
    if (lines.size > 0) outputs.set(`issues${step.suffix}`, [...lines].join(''))
  }
  return outputs
}

interface RenderedMode {
  /** Contents by file name. */
  readonly texts: readonly (readonly [string, string])[]
  readonly conflicts: readonly { readonly step: Step; readonly issue: Issue }[]
}

function renderIptables(steps: readonly RenderedStep[], config: ProxyConfig): RenderedMode {
  const compiled = FAMILIES.flatMap((family) => {
    return compileSteps(steps, (node) => createCompiler(config, node, family))
  })
  const texts = compiled.flatMap(({ step, program, before }): RenderedMode['texts'] => {
    const tool = TOOLS[program.family]
    const plan = before && ([`${tool}-plan${step.suffix}`, printRestore(diffPrograms(program, before))] as const)
    return [[`${tool}-save${step.suffix}`, printSave(link(program))], ...(plan === undefined ? [] : [plan])]
  })
  return { texts, conflicts: conflictsOf(compiled) }
}

function renderIpvs(steps: readonly RenderedStep[], config: ProxyConfig): RenderedMode {
  const compiled = FAMILIES.flatMap((family) => {
    return compileSteps(steps, (node) => createIpvsCompiler(config, node, family))
  })
  const saves = steps.flatMap(({ step }) => {
    const states = compiled.filter((each) => each.step === step).map(({ program }) => showState(program))
    return printNodeSave(states).map(({ name, text }) => [`${name}${step.suffix}`, text] as const)
  })
  const plans = compiled.flatMap(({ step, program, before }): RenderedMode['texts'] => {
    if (before === undefined) return []
    const plan = printStep(linkIpvs(program), linkIpvs(before), program.settings)
    return [[`${program.family}-plan${step.suffix}`, plan]]
  })
  return { texts: [...saves, ...plans], conflicts: conflictsOf(compiled) }
}

function conflictsOf(compiled: readonly CompiledStep<Pick<Program, 'servicePorts'>>[]): RenderedMode['conflicts'] {
  return compiled.flatMap(({ step, program }) => {
    return findConflicts(program.servicePorts).map((issue) => ({ step, issue }))
  })
}

interface CompiledStep<P> {
  readonly step: Step
  readonly program: P
  readonly before?: P
}

/** One compiler goes through a story, as in a running proxy; a node that changes needs a new one. */
function compileSteps<P>(
  steps: readonly RenderedStep[],
  createFor: (node: NodeFacts) => (snapshot: Snapshot) => P,
): readonly CompiledStep<P>[] {
  const compiled: CompiledStep<P>[] = []
  let known: { readonly node: NodeFacts; readonly compile: (snapshot: Snapshot) => P } | undefined
  for (const { step, snapshot, node } of steps) {
    if (known === undefined || !isDeepStrictEqual(known.node, node)) known = { node, compile: createFor(node) }
    const before = compiled.at(-1)?.program
    compiled.push({ step, program: known.compile(snapshot), ...(before && { before }) })
  }
  return compiled
}

function readCluster(folder: string, { file }: Step): { snapshot: Snapshot; issues: readonly Issue[] } {
  const { objects, issues } = parseDocuments(readText(path.join(folder, file), 'golden'), file)
  const assembly: Assembly = assembleSnapshot(objects)
  return { snapshot: assembly.snapshot, issues: [...issues, ...assembly.issues] }
}

function readModeConfig(folder: string, mode: string): { config: ProxyConfig; issues: readonly Issue[] } {
  const source = path.join(mode, 'config.yaml')
  const { config, issues } = readConfig(path.join(folder, source), new Map())
  // The outputs must not depend on where the person stands.
  return { config, issues: issues.map((issue) => ({ ...issue, at: { ...issue.at, source } })) }
}

/** The same host may have a kernel that can do other things in one mode than in another. */
function readHost({ folder, files }: Scenario, mode: string): { host?: NamedHost; issues: readonly Issue[] } {
  const name = [path.join(mode, 'host.json'), 'host.json'].find((file) => files.includes(file))
  if (name === undefined) return { issues: [] }
  const { host, issues } = decodeHost(readText(path.join(folder, name), 'golden'), name)
  if (host === undefined) throw new Failure(`${folder}: ${issues.map(formatIssue).join('; ')}`)
  return { host, issues }
}

/** hostnameOverride, host.json, or the only Node; never this machine. */
function chooseNode(scenario: Scenario, { nodes }: Snapshot, config: ProxyConfig, host: NamedHost | undefined) {
  const [only] = nodes.size === 1 ? nodes.keys() : []
  const name = config.hostnameOverride || host?.nodeName || only
  if (name === undefined) {
    throw new Failure(`${scenario.folder}: which node is it about? Name it as hostnameOverride in config.yaml`)
  }
  const node = nodes.get(name)
  if (node === undefined && nodes.size > 0) {
    throw new Failure(
      `${scenario.folder}: unknown node ${name}: the input has ${[...nodes.keys()].toSorted().join(', ')}`,
    )
  }
  return describeNode(name, node, config, host ?? assumeHost(node))
}
