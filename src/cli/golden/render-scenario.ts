// A scenario's inputs -> its outputs, as text by file name. They depend on nothing but the scenario's files: not on the
// machine, the clock, or the folder from which the command is run.
import { existsSync } from 'node:fs'
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { decodeHost, type NamedHost } from '../../host/host-file.ts'
import { createCompiler } from '../../iptables/compile.ts'
import { diffPrograms } from '../../iptables/diff-programs.ts'
import { link } from '../../iptables/link.ts'
import { printSave } from '../../iptables/print.ts'
import type { Program } from '../../iptables/program.ts'
import { printRestore } from '../../iptables/restore.ts'
import { parseDocuments } from '../../kube/documents.ts'
import { type Assembly, assembleSnapshot } from '../../kube/manifest.ts'
import { FAMILIES, type Family } from '../../model/address.ts'
import type { ProxyConfig } from '../../model/config.ts'
import { formatIssue, type Issue } from '../../model/issue.ts'
import type { NodeFacts } from '../../model/node.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import { findConflicts } from '../../resolve/conflicts.ts'
import { assumeHost, describeNode } from '../../resolve/node-facts.ts'
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
  const host = readHost(folder)
  const pictures = steps.map((step) => ({ step, ...readCluster(folder, step) }))
  const outputs = new Map<string, string>()
  for (const mode of modes) {
    const config = readModeConfig(folder, mode)
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
  const outputs = new Map<string, string>()
  const conflicts = new Map<Step, Issue[]>(steps.map(({ step }) => [step, []]))
  for (const family of FAMILIES) {
    for (const { step, program, before } of compileSteps(steps, config, family)) {
      outputs.set(`${TOOLS[family]}-save${step.suffix}`, printSave(link(program)))
      if (before !== undefined) {
        outputs.set(`${TOOLS[family]}-plan${step.suffix}`, printRestore(diffPrograms(program, before)))
      }
      conflicts.get(step)?.push(...findConflicts(program.servicePorts))
    }
  }
  for (const { step, issues } of steps) {
    const all = [...issues, ...(conflicts.get(step) ?? [])]
    const lines = new Set(all.map((issue) => `${issue.severity}: ${formatIssue(issue)}\n`))
    if (lines.size > 0) outputs.set(`issues${step.suffix}`, [...lines].join(''))
  }
  return outputs
}

interface CompiledStep {
  readonly step: Step
  readonly program: Program
  readonly before?: Program
}

/** One compiler goes through a story, as in a running proxy; a node that changes needs a new one. */
function compileSteps(steps: readonly RenderedStep[], config: ProxyConfig, family: Family): readonly CompiledStep[] {
  const compiled: CompiledStep[] = []
  let known: { readonly node: NodeFacts; readonly compile: ReturnType<typeof createCompiler> } | undefined
  for (const { step, snapshot, node } of steps) {
    if (known === undefined || !isDeepStrictEqual(known.node, node)) {
      known = { node, compile: createCompiler(config, node, family) }
    }
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

function readHost(folder: string): { host?: NamedHost; issues: readonly Issue[] } {
  const file = path.join(folder, 'host.json')
  if (!existsSync(file)) return { issues: [] }
  const { host, issues } = decodeHost(readText(file, 'golden'), 'host.json')
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
