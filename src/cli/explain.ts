// `sluice explain`: why a Service can't be reached, from the objects, and from the kernel where it is at hand.
import { hostname } from 'node:os'
import { assembleCluster } from '../explain/assemble.ts'
import { identifyClient } from '../explain/client.ts'
import type { Cluster } from '../explain/cluster.ts'
import { explainAmongOthers, explainNode, explainService } from '../explain/explain.ts'
import { reaches } from '../explain/finding.ts'
import type { ServiceObject } from '../explain/service-object.ts'
import { suggestServices } from '../explain/suggest.ts'
import type { Viewpoint } from '../explain/viewpoint.ts'
import type { Ip } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { Issue } from '../model/issue.ts'
import type { NodeFacts } from '../model/node.ts'
import { objectKey } from '../model/object-name.ts'
import { readConfig } from './config.ts'
import { describeAssembly } from './describe-input.ts'
import { readKernelState } from './explain-kernel.ts'
import { type Asked, type ExplainOptions, readAsked, readClient, readTried } from './explain-options.ts'
import { type Found, writeExplanations } from './explain-output.ts'
import { EXIT, Failure } from './failure.ts'
import { readObjects } from './input.ts'
import { chooseNodes } from './nodes.ts'
import type { Streams } from './streams.ts'
import { createTerminal, type Terminal } from './terminal.ts'
import { count, listNames } from './words.ts'

/** Returns the exit code. @throws Failure for bad options, unreadable input, and a Service that does not exist. */
export async function explain(name: string | undefined, options: ExplainOptions, streams: Streams): Promise<number> {
  const terminal = createTerminal(streams.stderr)
  const asked = readAsked(name, options)
  const client = readClient(options.client)
  const tried = readTried(options.to)
  if (options.filename.includes('-') && options.dump?.includes('-') === true) {
    throw new Failure('-f - and --dump - both read standard input: give one of them a file')
  }
  const { config, issues: configIssues } = readConfig(options.config, options.proxyFlags, options.mode)
  const { cluster, issues, skipped } = await readCluster(asked, options, streams, terminal, client)
  terminal.report([...configIssues, ...issues])
  const services = chooseServices(asked, cluster)
  const kernel = await readKernelState(options, streams, terminal)
  const node = await chooseNode(options, config, cluster, client, terminal)
  const assumesConfig = options.config === undefined && options.proxyFlags.size === 0
  const view: Viewpoint = {
    // A kernel shows the mode, which nobody has to tell then.
    config:
      kernel !== undefined && assumesConfig && options.mode === undefined ? { ...config, mode: kernel.mode } : config,
    assumesConfig,
    ...(node && { node }),
    ...(client && { client }),
    ...(tried && { tried }),
    ...(kernel && { kernel }),
  }
  const found = explainAll(asked, services, cluster, view, terminal)
  terminal.clear()
  await writeExplanations(found, options, streams.stdout)
  const findings = [...found.node, ...found.explanations.flatMap((explanation) => explanation.findings)]
  return skipped || reaches(findings, options.failOn) ? EXIT.problems : EXIT.ok
}

interface ReadCluster {
  readonly cluster: Cluster
  /** What no finding tells. */
  readonly issues: readonly Issue[]
  /** Something could not be read, so what was found may be wrong. */
  readonly skipped: boolean
}

async function readCluster(
  asked: Asked,
  options: ExplainOptions,
  { stdin }: Streams,
  terminal: Terminal,
  client: Ip | undefined,
): Promise<ReadCluster> {
  const complete = options.filename.length === 0
  // A client may be any Pod.
  const near = asked.kind !== 'all' && client === undefined ? { podNamespace: asked.namespace } : {}
  const read = await readObjects(options, stdin, terminal, near)
  terminal.progress('decoding')
  const { cluster, assembly } = assembleCluster(read.objects, { complete, knowsPods: read.knowsPods === true })
  for (const note of describeAssembly(assembly).filter((line) => line.startsWith('input:'))) terminal.say(note)
  if (cluster.pods === undefined) terminal.say('there are no Pods in the input, so nothing is said about them')
  const told = new Set([...cluster.issues.values()].flat())
  const issues = [...read.issues, ...assembly.issues.filter((issue) => issue.severity === 'error' && !told.has(issue))]
  return { cluster, issues, skipped: issues.some(({ severity }) => severity === 'error') }
}

/** @throws Failure when there is no such Service. */
function chooseServices(asked: Asked, { services, byKey }: Cluster): readonly ServiceObject[] {
  if (asked.kind === 'all') return services
  if (asked.kind === 'namespace') {
    const inside = services.filter(({ namespace }) => namespace === asked.namespace)
    if (inside.length > 0) return inside
    const others = [...new Set(services.map(({ namespace }) => namespace))]
    throw new Failure(
      `there is no Service in namespace ${asked.namespace}: ${others.length === 0 ? 'the input has none at all' : `those with Services are ${listNames(others)}`}`,
    )
  }
  const key = objectKey(asked.namespace, asked.name)
  // `svc/web` of kubectl, unless there is a namespace of that name.
  const kindWord = ['svc', 'service', 'services'].includes(asked.namespace)
  const found = byKey.get(key) ?? (kindWord ? byKey.get(objectKey('default', asked.name)) : undefined)
  if (found === undefined) throw unknownService(asked.namespace, asked.name, [...byKey.keys()])
  return [found]
}

function unknownService(namespace: string, name: string, known: readonly string[]): Failure {
  const start = `there is no Service ${name} in namespace ${namespace}`
  if (known.length === 0) return new Failure(`${start}: the input has no Service at all`)
  const elsewhere = known.filter((key) => key.endsWith(`/${name}`))
  if (elsewhere.length > 0) {
    return new Failure(`${start}, but there is ${listNames(elsewhere)}: give its namespace`)
  }
  const near = suggestServices(namespace, name, known)
  if (near.length > 0) return new Failure(`${start}: did you mean ${near.join(' or ')}?`)
  const inside = known.filter((key) => key.startsWith(`${namespace}/`))
  return new Failure(
    `${start}: ${inside.length > 0 ? `it has ${listNames(inside)}` : `that namespace has none; there are ${count(known.length, 'Service')} in others`}`,
  )
}

/** Undefined where the input does not say which node to look from, and none was named. */
async function chooseNode(
  options: ExplainOptions,
  config: ProxyConfig,
  cluster: Cluster,
  client: Ip | undefined,
  terminal: Terminal,
): Promise<NodeFacts | undefined> {
  const { nodes } = cluster.snapshot
  const host = options.host ?? (options.live === true ? 'live' : undefined)
  const named = options.node ?? nodeOfClient(client, config, cluster)
  const own = hostname().trim().toLowerCase()
  const isOpen = named === undefined && config.hostnameOverride === '' && nodes.size !== 1 && !nodes.has(own)
  if (isOpen && host === undefined) {
    if (options.dump !== undefined) throw new Failure('--dump: give --node NAME, the node that the rules are of')
    return undefined
  }
  const chosen = await chooseNodes(
    { ...options, ...(named !== undefined && { node: named }), ...(host !== undefined && { host }) },
    config,
    cluster.snapshot,
  )
  for (const note of chosen.notes.filter((line) => line.startsWith('node:'))) terminal.say(note)
  if (options.node === undefined && named !== undefined) terminal.say(`node: ${named}, where the client is`)
  terminal.report(chosen.issues)
  return chosen.nodes[0]
}

/** Its own node decides on the connections of a Pod. */
function nodeOfClient(client: Ip | undefined, config: ProxyConfig, cluster: Cluster): string | undefined {
  if (client === undefined) return undefined
  const { node } = { node: undefined, ...identifyClient(client, cluster, { config }) }
  return node !== undefined && cluster.snapshot.nodes.has(node) ? node : undefined
}

function explainAll(
  asked: Asked,
  services: readonly ServiceObject[],
  cluster: Cluster,
  view: Viewpoint,
  terminal: Terminal,
): Found {
  if (asked.kind === 'one') {
    return { explanations: services.map((service) => explainService(service, cluster, view)), node: [], isOne: true }
  }
  const explanations = services.map((service, index) => {
    terminal.progress(`explaining ${service.key}`, index / services.length)
    return explainAmongOthers(service, cluster, view)
  })
  return { explanations, node: explainNode(cluster, view), isOne: false }
}
