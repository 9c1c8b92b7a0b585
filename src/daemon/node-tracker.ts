// The node that rules are made for, as it changes: its zone and its addresses count while the daemon runs. What
// kube-proxy fixes at start-up stays fixed: node IPs are only logged, and other podCIDRs end the process.
import { isDeepStrictEqual } from 'node:util'
import type { Ip } from '../model/address.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { Host } from '../model/host.ts'
import type { NodeFacts } from '../model/node.ts'
import type { Node } from '../model/snapshot.ts'
import { describeNode } from '../resolve/node-facts.ts'
import type { Log } from './log.ts'

export interface NodeTracker {
  readonly facts: () => NodeFacts
  readonly nodeChanged: (node: Node | undefined) => void
  readonly addressesChanged: (addresses: readonly Ip[]) => void
}

export interface NodeTrackerOptions {
  readonly nodeName: string
  readonly node: Node | undefined
  readonly host: Host
  readonly config: ProxyConfig
  readonly log: Log
  /** Rules have to be made anew. */
  readonly onChange: (facts: NodeFacts) => void
  /** The daemon has to be started anew. */
  readonly onFatal: (error: Error) => void
}

export function trackNode(options: NodeTrackerOptions): NodeTracker {
  const { nodeName, config, log, onChange, onFatal } = options
  const { facts: first, issues } = describeNode(nodeName, options.node, config, options.host)
  for (const { message } of issues) log.warn(message, { node: nodeName })
  let facts = first

  function set(next: NodeFacts): void {
    if (isDeepStrictEqual(next, facts)) return
    facts = next
    onChange(facts)
  }
  return {
    facts: () => facts,
    nodeChanged: (node) => {
      // A Node that is gone for a moment changes nothing.
      if (node === undefined) {
        log.warn('the Node object is gone; rules stay as they are', { node: nodeName })
        return
      }
      if (config.detectLocalMode === 'NodeCIDR' && !isDeepStrictEqual(node.podCIDRs, facts.podCIDRs)) {
        onFatal(new Error(`the podCIDRs of Node ${nodeName} changed, and detectLocalMode NodeCIDR depends on them`))
        return
      }
      const { nodeIPs } = describeNode(nodeName, node, config, facts.host).facts
      if (!isDeepStrictEqual(nodeIPs, facts.nodeIPs)) {
        log.warn('the addresses of the Node changed; they count from the next start on', { node: nodeName, ...nodeIPs })
      }
      set({ ...facts, zone: node.zone ?? '' })
    },
    addressesChanged: (addresses) => set({ ...facts, host: { ...facts.host, addresses } }),
  }
}
