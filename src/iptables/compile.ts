// Snapshot -> Program. What did not change is not resolved again (resolve/resolver.ts), so a stale memory is the only risk:
// test/iptables/incremental.property.test.ts holds that there is none.
import type { Family } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { createResolver } from '../resolve/resolver.ts'
import { resolveContext } from '../resolve/service-ports.ts'
import { RETIRED_BY_IPTABLES } from './ipvs-chains.ts'
import type { Program } from './program.ts'
import { settingsFor } from './settings.ts'
import { BASE_CHAIN_JUMPS, compileStatic } from './static.ts'

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
  const full = { ...settings, endpointComments: true }
  const short = { ...settings, endpointComments: false }
  const staticChunk = compileStatic(settings)
  const resolve = createResolver(resolveContext(config, node, family))

  return (snapshot) => {
    const { servicePorts, endpoints } = resolve(snapshot)
    const large = endpoints > LARGE_CLUSTER_ENDPOINTS
    return {
      family,
      settings: large ? short : full,
      static: staticChunk,
      jumps: BASE_CHAIN_JUMPS,
      servicePorts,
      retired: RETIRED_BY_IPTABLES,
    }
  }
}
