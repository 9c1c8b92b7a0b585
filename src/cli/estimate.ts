// `sluice estimate`: what a cluster's Services come to on a node.
import { COEFFICIENTS } from '../estimate/coefficients.ts'
import {
  type Amounts,
  type Costs,
  type Estimate,
  estimateCosts,
  measureAmounts,
  scaleAmounts,
} from '../estimate/estimate.ts'
import {
  estimateIpvsCosts,
  type IpvsAmounts,
  type IpvsEstimate,
  measureIpvsAmounts,
  scaleIpvsAmounts,
} from '../estimate/ipvs.ts'
import { makeSnapshot, type Shape } from '../estimate/synthetic.ts'
import { compile, LARGE_CLUSTER_ENDPOINTS } from '../iptables/compile.ts'
import { compileIpvs } from '../ipvs/compile.ts'
import { describeNode } from '../resolve/node-facts.ts'
import { readConfig } from './config.ts'
import { EXIT, Failure } from './failure.ts'
import { type RuleSourceOptions, readRuleSource } from './rule-source.ts'
import type { Streams } from './streams.ts'
import { createTerminal, type Terminal } from './terminal.ts'
import { writeOut } from './write-out.ts'

export interface EstimateOptions extends RuleSourceOptions {
  readonly services?: number
  /** Of each Service. */
  readonly endpoints: number
  readonly type: Shape['type']
  readonly maxRules?: number
  readonly output: 'text' | 'json'
}

/** Returns the exit code: 1 when a family has more rules than --max-rules. @throws Failure for unreadable input. */
export async function estimate(options: EstimateOptions, streams: Streams): Promise<number> {
  const terminal = createTerminal(streams.stderr)
  const estimates =
    options.services === undefined
      ? await estimateCluster(options, streams, terminal)
      : [estimateShape({ ...options, services: options.services }, terminal)]
  terminal.clear()
  const { output, maxRules } = options
  const over = estimates.filter(({ amounts }) => maxRules !== undefined && amounts.rules > maxRules)
  const document = {
    apiVersion: 'sluice/v1',
    kind: 'Estimate',
    measuredOn: COEFFICIENTS.measuredOn,
    ...(maxRules !== undefined && { maxRules, withinBudget: over.length === 0 }),
    estimates,
  }
  await writeOut(
    output === 'json' ? `${JSON.stringify(document, undefined, 2)}\n` : estimates.map(printEstimate).join('\n'),
    streams.stdout,
  )
  terminal.say(
    `times and memory: from measurements on ${COEFFICIENTS.measuredOn}; other machines differ, ratios less so`,
  )
  const { ipvs } = COEFFICIENTS
  if (ipvs !== undefined && estimates.some(({ mode }) => mode === 'ipvs'))
    terminal.say(`IPVS mode was measured in ${ipvs.measuredIn}`)
  for (const { family, amounts } of over) {
    terminal.say(
      `${family}: ${number(amounts.rules)} rules are over the budget of ${number(maxRules ?? 0)} (--max-rules)`,
    )
  }
  return over.length === 0 ? EXIT.ok : EXIT.problems
}

async function estimateCluster(
  options: EstimateOptions,
  streams: Streams,
  terminal: Terminal,
): Promise<readonly AnyEstimate[]> {
  const source = await readRuleSource(options, streams, terminal)
  terminal.report(source.issues)
  const { config, node, snapshot } = source
  if (source.mode === 'ipvs' && config !== undefined && node !== undefined && snapshot !== undefined) {
    return [...source.families.keys()].map((family) =>
      estimateIpvsCosts(family, measureIpvsAmounts(compileIpvs(snapshot, config, node, family)), COEFFICIENTS),
    )
  }
  return [...(source.programs ?? [])].map(([family, program]) =>
    estimateCosts(family, measureAmounts(program), COEFFICIENTS),
  )
}

/** Services that are compiled; they are alike, so the rest is multiplied. */
const MOST_COMPILED = 2_000
const MOST_ENDPOINTS_COMPILED = 50_000
const MOST_ENDPOINTS = 100_000

function estimateShape(options: EstimateOptions & { readonly services: number }, terminal: Terminal): AnyEstimate {
  const { filename, kubeconfig, context, master, services, endpoints, type } = options
  if (filename.length > 0 || (kubeconfig ?? context ?? master) !== undefined) {
    throw new Failure('--services is instead of a cluster: leave out -f, --kubeconfig, --context and --master')
  }
  if (options.family === 'ipv6')
    throw new Failure('--services counts IPv4 rules, and IPv6 has as many: leave out --family')
  if (endpoints > MOST_ENDPOINTS) {
    throw new Failure(`--endpoints ${endpoints}: Kubernetes has no Service with so many: use at most ${MOST_ENDPOINTS}`)
  }
  const { config, assumptions } = readConfig(options.config, options.proxyFlags, options.mode)
  for (const note of assumptions) terminal.say(note)
  const compiled = Math.min(
    services,
    MOST_COMPILED,
    Math.max(1, Math.floor(MOST_ENDPOINTS_COMPILED / Math.max(endpoints, 1))),
  )
  const { facts } = describeNode('node', undefined, config, undefined)
  const snapshot = makeSnapshot({ services: compiled, endpoints, type })
  if (config.mode === 'ipvs') {
    const ipvs = compileIpvs(snapshot, config, facts, 'ipv4')
    const scaled = compiled === services ? measureIpvsAmounts(ipvs) : scaleIpvsAmounts(ipvs, services / compiled)
    return estimateIpvsCosts('ipv4', scaled, COEFFICIENTS)
  }
  const program = compile(snapshot, config, facts, 'ipv4')
  const endpointComments = services * endpoints <= LARGE_CLUSTER_ENDPOINTS
  const sized = { ...program, settings: { ...program.settings, endpointComments } }
  const amounts: Amounts = compiled === services ? measureAmounts(sized) : scaleAmounts(sized, services / compiled)
  return estimateCosts('ipv4', amounts, COEFFICIENTS)
}

type AnyEstimate = Estimate | IpvsEstimate

function printEstimate(each: AnyEstimate): string {
  const rows = [...amountRows(each), ...(each.mode === 'ipvs' ? ipvsCostRows(each) : costRows(each))]
  return `${each.mode}, ${each.family}\n${rows.map(([name, value]) => `  ${name.padEnd(16)}${value}\n`).join('')}`
}

type Row = readonly [name: string, value: string]

function amountRows(each: AnyEstimate): readonly Row[] {
  const { amounts } = each
  const tables = Object.entries(amounts.rulesByTable)
    .map(([table, rules]) => `${table} ${number(rules)}`)
    .join(', ')
  const { services, servicePorts, endpoints, setEntries } = amounts
  return [
    ['services', `${number(services)} with ${number(servicePorts)} ports and ${number(endpoints)} endpoints`],
    ['rules', `${number(amounts.rules)} (${tables})`],
    ['chains', number(amounts.chains)],
    ['set entries', number(setEntries)],
    ...(each.mode === 'ipvs' ? serverRows(each.amounts) : []),
    ['payload', bytes(amounts.payloadBytes)],
  ]
}

function serverRows({ virtualServers, realServers, addresses }: IpvsAmounts): readonly Row[] {
  return [
    ['virtual servers', `${number(virtualServers)} with ${number(realServers)} real servers`],
    ['addresses', `${number(addresses)} on kube-ipvs0`],
  ]
}

function costRows({ agentBytes, costs }: Estimate): readonly Row[] {
  const both = (show: (variant: Costs) => string) => `nft ${show(costs.nft)}, legacy ${show(costs.legacy)}`
  return [
    ['first sync', both(({ firstSyncMs }) => time(firstSyncMs))],
    ['one change', both(({ changeMs }) => time(changeMs))],
    ['reading back', both(({ readBackMs }) => time(readBackMs))],
    ['memory', `agent ${bytes(agentBytes)}; kernel: ${both(({ kernelBytes }) => bytes(kernelBytes))}`],
  ]
}

function ipvsCostRows({ costs }: IpvsEstimate): readonly Row[] {
  if (costs === undefined) return [['times', 'not measured']]
  return [
    ['first sync', `${time(costs.firstSyncMs)} in a second kernel, less in a real one`],
    ['one change', `${time(costs.changeMs)} in a second kernel, less in a real one`],
    ['memory', `agent ${bytes(costs.agentBytes)}`],
  ]
}

function number(value: number): string {
  return value.toLocaleString('en')
}

function bytes(value: number): string {
  if (value < 10_000) return `${number(value)} B`
  return value < 1_000_000 ? `${(value / 1e3).toFixed(0)} kB` : `${(value / 1e6).toFixed(value < 1e7 ? 1 : 0)} MB`
}

function time(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`
}
