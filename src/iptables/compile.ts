// Snapshot -> Program. Every ServicePort is resolved alone, and what did not change is not resolved again. It is
// recognised by identity, so a stale memory is the only risk: test/iptables/incremental.property.test.ts holds that
// there is none.
import type { Family } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { NodeFacts } from '../model/node.ts'
import type { ServicePort } from '../model/service-port.ts'
import type { ServiceEntry, Snapshot } from '../model/snapshot.ts'
import { type ResolveContext, resolveServicePorts } from '../resolve/service-ports.ts'
import type { Program } from './program.ts'
import { settingsFor } from './settings.ts'
import { compileStatic } from './static.ts'

/** Above this many endpoints, endpoint rules go without comments (kube-proxy's large-cluster mode). */
export const LARGE_CLUSTER_ENDPOINTS = 1000

/** Compiles one Snapshot from scratch. */
export function compile(snapshot: Snapshot, config: ProxyConfig, node: NodeFacts, family: Family): Program {
  return createCompiler(config, node, family)(snapshot)
}

/**
 * A compiler for one node, configuration and family that remembers the last Snapshot: from the next one it compiles only
 * what differs.
 */
export function createCompiler(config: ProxyConfig, node: NodeFacts, family: Family): (snapshot: Snapshot) => Program {
  const settings = settingsFor(config, node, family)
  const context: ResolveContext = {
    family,
    nodeName: node.name,
    zone: node.zone,
    nodeIP: node.nodeIPs[family],
    allowExternalIPs: config.featureGates['AllowServiceExternalIPs'] ?? true,
  }
  const full = { ...settings, endpointComments: true }
  const short = { ...settings, endpointComments: false }
  const staticChunk = compileStatic(settings)
  let before: readonly Resolved[] = []

  return (snapshot) => {
    before = resolveChanged(snapshot.services, before, context)
    const servicePorts: ServicePort[] = []
    let endpoints = 0
    for (const { ports } of before) {
      for (const port of ports) {
        servicePorts.push(port)
        endpoints += port.endpoints.known
      }
    }
    servicePorts.sort(compareServicePorts)
    const large = endpoints > LARGE_CLUSTER_ENDPOINTS
    return { family, settings: large ? short : full, static: staticChunk, servicePorts }
  }
}

interface Resolved {
  readonly entry: ServiceEntry
  readonly ports: readonly ServicePort[]
}

/** Walks both lists, which are sorted by key, side by side. */
function resolveChanged(
  entries: readonly ServiceEntry[],
  before: readonly Resolved[],
  context: ResolveContext,
): readonly Resolved[] {
  let at = 0
  return entries.map((entry) => {
    let known = before[at]
    while (known !== undefined && known.entry.key < entry.key) {
      at += 1
      known = before[at]
    }
    if (known?.entry === entry) return known
    return { entry, ports: resolveServicePorts(entry.service, entry.slices, context) }
  })
}

/** The order of rules in shared chains. */
export function compareServicePorts(a: ServicePort, b: ServicePort): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1
  return a.protocol < b.protocol ? -1 : a.protocol > b.protocol ? 1 : 0
}
