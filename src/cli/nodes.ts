// Which nodes a command is about.
import { hostname } from 'node:os'
import type { NamedHost } from '../host/host-file.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { Issue } from '../model/issue.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { assumeHost, describeNode } from '../resolve/node-facts.ts'
import { Failure } from './failure.ts'
import { parseFeatures, readHost } from './host.ts'
import type { NodeOptions } from './options.ts'
import { listNames } from './words.ts'

export interface ChosenNodes {
  readonly nodes: readonly NodeFacts[]
  readonly issues: readonly Issue[]
  /** What was chosen and what was assumed, in words. */
  readonly notes: readonly string[]
}

/** @throws Failure when a node is unknown, or an option unreadable. */
export async function chooseNodes(options: NodeOptions, config: ProxyConfig, snapshot: Snapshot): Promise<ChosenNodes> {
  const { host, issues, notes } = await readHost(options.host)
  const features = parseFeatures(options.features ?? '')
  const { names, why } = chooseNames(options, config, snapshot, host)
  const described = names.map((name) => {
    const node = snapshot.nodes.get(name)
    const known = host ?? assumeHost(node)
    return describeNode(name, node, config, { ...known, features: { ...known.features, ...features } })
  })
  const absent = names.filter((name) => !snapshot.nodes.has(name))
  return {
    nodes: described.map(({ facts }) => facts),
    issues: [...issues, ...described.flatMap((node) => node.issues), ...findOtherHost(names, host, options.host)],
    notes: [
      ...(why === '' ? [] : [`node: ${listNames(names)}, ${why}`]),
      ...absent.map((name) => `assumed: Node ${name} is not in the input, so it has no zone, podCIDRs and addresses`),
      ...notes,
    ],
  }
}

interface ChosenNames {
  readonly names: readonly string[]
  /** Empty when the user named them. */
  readonly why: string
}

function chooseNames(
  options: NodeOptions,
  config: ProxyConfig,
  snapshot: Snapshot,
  host: NamedHost | undefined,
): ChosenNames {
  const known = [...snapshot.nodes.keys()].toSorted()
  if (options.allNodes === true) {
    if (options.node !== undefined) throw new Failure('--node and --all-nodes exclude each other: give one of them')
    if (known.length > 0) return { names: known, why: 'every Node of the input' }
    throw new Failure('--all-nodes: there is no Node in the input: add Nodes, or give --node NAME')
  }
  if (options.node !== undefined) return knownNode(options.node, '', known)
  if (config.hostnameOverride !== '') return knownNode(config.hostnameOverride, 'by hostnameOverride', known)
  const [only] = known
  if (only !== undefined && known.length === 1) return { names: [only], why: 'the only Node of the input' }
  // What --host tells about stands for this machine.
  const own = host?.nodeName ?? hostname().trim().toLowerCase()
  const why = host?.nodeName === undefined ? "this machine's name" : 'by --host'
  if (known.length === 0 || known.includes(own)) return { names: [own], why }
  throw new Failure(
    `which node? The input has ${listNames(known)}, and this is ${own}: give --node NAME, or --all-nodes`,
  )
}

/** Manifests without any Node may leave out this one too. */
function knownNode(name: string, why: string, known: readonly string[]): ChosenNames {
  if (known.length === 0 || known.includes(name)) return { names: [name], why }
  const chosen = why === '' ? '' : ` (${why})`
  throw new Failure(`unknown node ${name}${chosen}: the input has ${listNames(known)}; give --node with one of them`)
}

function findOtherHost(
  names: readonly string[],
  host: NamedHost | undefined,
  source: string | undefined,
): readonly Issue[] {
  const others = names.filter((name) => host?.nodeName !== undefined && name !== host.nodeName)
  if (others.length === 0 || host?.nodeName === undefined) return []
  const message = `tells about ${host.nodeName}, and was used for ${listNames(others)}: leave it out unless that is meant`
  return [{ severity: 'notice', at: { source: 'command line', field: `--host ${source ?? ''}` }, message }]
}
