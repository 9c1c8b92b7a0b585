// `sluice render`: manifests or a live cluster -> a node's rules.
import { compile } from '../iptables/compile.ts'
import type { Program } from '../iptables/program.ts'
import { FAMILIES } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { Issue } from '../model/issue.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { findConflicts } from '../resolve/conflicts.ts'
import { readConfig } from './config.ts'
import { EXIT, Failure } from './failure.ts'
import { readInput } from './input.ts'
import { chooseNodes } from './nodes.ts'
import type { RenderOptions } from './options.ts'
import { summarise } from './summary.ts'
import { createTerminal } from './terminal.ts'
import { writeRules } from './write-rules.ts'

/** Returns the exit code. @throws Failure for bad options, configuration or unreadable input. */
export async function render(options: RenderOptions): Promise<number> {
  const started = performance.now()
  const terminal = createTerminal(process.stderr)
  const { config, issues: configIssues } = readConfig(options.config, options.proxyFlags)
  const input = await readInput(options, terminal)
  const chosen = await chooseNodes(options, config, input.snapshot)
  for (const note of [...input.notes, ...chosen.assumptions]) terminal.say(note)

  const issues: Issue[] = [...configIssues, ...input.issues, ...chosen.issues]
  const families = options.family === undefined ? FAMILIES : [options.family]
  const rendered = chosen.nodes.map((node) => {
    terminal.progress(`compiling ${node.name}`)
    return { node, programs: families.map((family) => compileFor(input.snapshot, config, node, family, options)) }
  })
  issues.push(...distinct(rendered.flatMap(({ programs }) => programs.flatMap((it) => findConflicts(it.servicePorts)))))
  await writeRules(rendered, options)
  terminal.report(issues)
  for (const { node, programs } of rendered) {
    for (const program of programs) terminal.say(summarise(node, program))
  }
  terminal.say(`rendered in ${Math.round(performance.now() - started)} ms`)
  const skipped = issues.some((issue) => issue.severity === 'error')
  return skipped && options.keepGoing !== true ? EXIT.problems : EXIT.ok
}

function compileFor(
  snapshot: Snapshot,
  config: ProxyConfig,
  node: NodeFacts,
  family: Program['family'],
  { service }: RenderOptions,
): Program {
  const program = compile(snapshot, config, node, family)
  return service === undefined ? program : { ...program, servicePorts: onlyService(program, service, snapshot) }
}

function onlyService(program: Program, service: string, snapshot: Snapshot): Program['servicePorts'] {
  if (!snapshot.services.some((entry) => entry.key === service)) {
    throw new Failure(`--service ${service}: there is no such Service in the input: write NAMESPACE/NAME`)
  }
  return program.servicePorts.filter((port) => port.service === service)
}

/** Several nodes and families find the same problems. */
function distinct(issues: readonly Issue[]): readonly Issue[] {
  return [...new Map(issues.map((issue) => [JSON.stringify(issue), issue])).values()]
}
