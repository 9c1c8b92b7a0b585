// Which nodes a command is about, and what is known of each.
import { hostname } from 'node:os'
import { decodeHost } from '../host/host-file.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { Host, HostFeatures } from '../model/host.ts'
import type { Issue } from '../model/issue.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { assumeHost, describeNode } from '../resolve/node-facts.ts'
import { Failure } from './failure.ts'
import type { NodeOptions } from './options.ts'
import { readText } from './read-text.ts'

export interface ChosenNodes {
  readonly nodes: readonly NodeFacts[]
  readonly issues: readonly Issue[]
  /** What was assumed, in words. */
  readonly assumptions: readonly string[]
}

/** @throws Failure when a node is unknown, or an option unreadable. */
export async function chooseNodes(options: NodeOptions, config: ProxyConfig, snapshot: Snapshot): Promise<ChosenNodes> {
  const { host, issues, assumptions } = await readHost(options)
  const features = parseFeatures(options.features ?? '')
  const names = chooseNames(options, config, snapshot)
  const described = names.map((name) => {
    const node = snapshot.nodes.get(name)
    const known = host ?? assumeHost(node)
    return describeNode(name, node, config, { ...known, features: { ...known.features, ...features } })
  })
  const absent = names.filter((name) => !snapshot.nodes.has(name))
  return {
    nodes: described.map(({ facts }) => facts),
    issues: [...issues, ...described.flatMap((node) => node.issues)],
    assumptions: [
      ...assumptions,
      ...absent.map((name) => `there is no Node ${name} in the input: it has no zone, no podCIDRs and no addresses`),
    ],
  }
}

function chooseNames(options: NodeOptions, config: ProxyConfig, snapshot: Snapshot): readonly string[] {
  const known = [...snapshot.nodes.keys()].toSorted()
  if (options.allNodes === true) {
    if (options.node !== undefined) throw new Failure('--node and --all-nodes exclude each other: give one of them')
    if (known.length === 0)
      throw new Failure('--all-nodes: there is no Node in the input: add Nodes, or give --node NAME')
    return known
  }
  if (options.node !== undefined) {
    if (known.length > 0 && !snapshot.nodes.has(options.node)) {
      throw new Failure(`unknown node ${options.node}: the input has ${listNames(known)}`)
    }
    return [options.node]
  }
  const [only] = known
  if (config.hostnameOverride !== '') return [config.hostnameOverride]
  return [known.length === 1 && only !== undefined ? only : hostname().trim().toLowerCase()]
}

function listNames(names: readonly string[]): string {
  const shown = names.slice(0, 10)
  return shown.length < names.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ')
}

interface ReadHost {
  readonly host?: Host
  readonly issues: readonly Issue[]
  readonly assumptions: readonly string[]
}

async function readHost({ host: source }: NodeOptions): Promise<ReadHost> {
  if (source === undefined) {
    const { nfacct, randomFully, tcpBeLiberal } = assumeHost(undefined).features
    const features = `nfacct=${nfacct}, randomFully=${randomFully}, tcpBeLiberal=${tcpBeLiberal}`
    const text = `host: loopback and the addresses in the Node's status, features ${features} (--host FILE or --host live for others)`
    return { issues: [], assumptions: [text] }
  }
  if (source === 'live') {
    const { readLiveHost } = await import('../host/live-host.ts')
    const live = await readLiveHost()
    return { host: live.host, issues: live.issues, assumptions: [] }
  }
  const { host, issues } = decodeHost(readText(source, '--host'), source)
  if (host === undefined) throw new Failure(issues.map((issue) => issue.message).join('; '))
  return { host, issues, assumptions: [] }
}

const FEATURES: readonly (keyof HostFeatures)[] = ['nfacct', 'randomFully', 'tcpBeLiberal']

/** `nfacct=false,randomFully=true` */
function parseFeatures(list: string): Partial<HostFeatures> {
  const features: Partial<Record<keyof HostFeatures, boolean>> = {}
  for (const item of list.split(',').filter((text) => text !== '')) {
    const [name, value] = item.split('=')
    const feature = FEATURES.find((candidate) => candidate === name)
    if (feature === undefined || (value !== 'true' && value !== 'false')) {
      throw new Failure(`--features ${item}: write NAME=true or NAME=false with a name of ${FEATURES.join(', ')}`)
    }
    features[feature] = value === 'true'
  }
  return features
}
