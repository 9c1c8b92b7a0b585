// Counts what the metric sync_proxy_rules_no_local_endpoints_total tells: traffic that policy Local drops on this node.
import type { ServicePort } from '../model/service-port.ts'

/** Ports whose endpoints all run on other nodes, by the policy that cuts them off. */
export function countNoLocalEndpoints(servicePorts: readonly ServicePort[]): { internal: number; external: number } {
  let internal = 0
  let external = 0
  for (const port of servicePorts) {
    if (port.internal.kind === 'drop') internal += 1
    // The policy of a port that nobody can reach from outside counts only along with the internal one, in kube-proxy.
    const usesLocal = port.externallyAccessible || port.internalPolicy === 'Local'
    if (port.external.kind === 'drop' && usesLocal) external += 1
  }
  return { internal, external }
}
