// Snapshot -> IpvsProgram. What did not change is not resolved again, and keeps its identity (resolve/resolver.ts).
import type { Family } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { createResolver } from '../resolve/resolver.ts'
import { resolveContext } from '../resolve/service-ports.ts'
import type { IpvsProgram } from './program.ts'
import { settingsForIpvs } from './settings.ts'

/** Compiles one Snapshot from scratch. */
export function compileIpvs(snapshot: Snapshot, config: ProxyConfig, node: NodeFacts, family: Family): IpvsProgram {
  return createIpvsCompiler(config, node, family)(snapshot)
}

/** A compiler for one node, configuration and family that resolves only what differs from the last Snapshot. */
export function createIpvsCompiler(
  config: ProxyConfig,
  node: NodeFacts,
  family: Family,
): (snapshot: Snapshot) => IpvsProgram {
  const settings = settingsForIpvs(config, node, family)
  // KUBE-LOOP-BACK holds this node's endpoints whether they are ready or not.
  const resolve = createResolver({ ...resolveContext(config, node, family), keepHere: true })
  return (snapshot) => ({ family, settings, servicePorts: resolve(snapshot).servicePorts })
}
