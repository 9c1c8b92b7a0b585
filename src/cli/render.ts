// `sluice render`: manifests or a live cluster -> a node's rules.
import { FAMILIES } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { Issue } from '../model/issue.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { readConfig } from './config.ts'
import { EXIT, Failure } from './failure.ts'
import { type Input, readInput } from './input.ts'
import { chooseNodes } from './nodes.ts'
import type { RenderOptions } from './options.ts'
import { type RenderedNode, renderNode } from './rendered.ts'
import type { Streams } from './streams.ts'
import { summarise } from './summary.ts'
import { createTerminal, type Terminal } from './terminal.ts'
import { count, listNames } from './words.ts'
import { printRendered, writeFiles } from './write-rules.ts'

/** Returns the exit code. @throws Failure for bad options, configuration or unreadable input. */
export async function render(options: RenderOptions, streams: Streams): Promise<number> {
  const started = performance.now()
  const terminal = createTerminal(streams.stderr)
  checkOptions(options)
  const { config, issues: configIssues, assumptions } = readConfig(options.config, options.proxyFlags, options.mode)
  const input = await readInput(options, streams.stdin, terminal)
  for (const note of [...input.notes, ...assumptions]) terminal.say(note)
  const issues = [...configIssues, ...input.issues]
  try {
    const { rendered, issues: found } = await renderInput(input, config, options, terminal)
    issues.push(...found)
    await write(rendered, options, streams, terminal)
    terminal.report(issues)
    terminal.progress('counting')
    sayFigures(rendered, options, terminal)
  } catch (error) {
    // What was skipped may be why.
    if (error instanceof Failure) terminal.report(issues)
    throw error
  }
  const errors = issues.filter((issue) => issue.severity === 'error').length
  const skipped = errors === 0 ? '' : `; something was skipped, see the ${count(errors, 'error')} above`
  terminal.say(`rendered in ${Math.round(performance.now() - started)} ms${skipped}`)
  return errors > 0 && options.keepGoing !== true ? EXIT.problems : EXIT.ok
}

function checkOptions({ out, output }: RenderOptions): void {
  if (out === undefined || output === 'save' || output === 'restore') return
  throw new Failure(`--out writes iptables-save and iptables-restore files: leave out -o ${output}, or --out`)
}

interface RenderedInput {
  readonly rendered: readonly RenderedNode[]
  readonly issues: readonly Issue[]
}

async function renderInput(
  { snapshot }: Input,
  config: ProxyConfig,
  options: RenderOptions,
  terminal: Terminal,
): Promise<RenderedInput> {
  if (options.service !== undefined) checkService(options.service, snapshot)
  const chosen = await chooseNodes(options, config, snapshot)
  for (const note of chosen.notes) terminal.say(note)
  const conflicts: Issue[] = []
  const families = options.family === undefined ? FAMILIES : [options.family]
  const { service } = options
  const task = { snapshot, config, families, ...(service !== undefined && { service }) }
  const rendered = chosen.nodes.map((node) => {
    terminal.progress(`compiling ${node.name}`)
    const { rendered: it, conflicts: found } = renderNode(node, task)
    conflicts.push(...found)
    return it
  })
  terminal.clear()
  return { rendered, issues: [...chosen.issues, ...distinct(conflicts), ...noteWithoutRules(rendered, options)] }
}

function checkService(service: string, snapshot: Snapshot): void {
  if (snapshot.services.some(({ key }) => key === service)) return
  const known = snapshot.services.length === 0 ? 'it has none' : listNames(snapshot.services.map(({ key }) => key))
  throw new Failure(`--service ${service}: there is no such Service in the input (${known}): write NAMESPACE/NAME`)
}

/** Nothing printed for a Service looks like a mistake, and may be one. */
function noteWithoutRules(rendered: readonly RenderedNode[], { service }: RenderOptions): readonly Issue[] {
  const shown = rendered.flatMap(({ families: each }) => [...each])
  if (service === undefined || shown.some(({ servicePorts }) => servicePorts.length > 0)) return []
  const families = [...new Set(shown.map(({ family }) => family))].join(' and ')
  const message = `has no rules for ${families}: it has no cluster IP of that family, no ports, or is left to another proxy`
  return [{ severity: 'notice', at: { object: `Service ${service}` }, message }]
}

/** Several nodes and families find the same problems. */
function distinct(issues: readonly Issue[]): readonly Issue[] {
  return [...new Map(issues.map((issue) => [JSON.stringify(issue), issue])).values()]
}

async function write(
  rendered: readonly RenderedNode[],
  options: RenderOptions,
  { stdout }: Streams,
  terminal: Terminal,
): Promise<void> {
  // Rules on the terminal show by themselves that something is going on.
  if (options.out !== undefined || stdout.isTTY !== true) terminal.progress('printing')
  if (options.out === undefined) await printRendered(rendered, options, stdout)
  else terminal.say(`wrote ${count(writeFiles(rendered, options.out, options), 'file')} into ${options.out}`)
}

function sayFigures(rendered: readonly RenderedNode[], options: RenderOptions, terminal: Terminal): void {
  for (const each of rendered) {
    for (const line of summarise(each, options.service !== undefined)) terminal.say(line)
  }
}
