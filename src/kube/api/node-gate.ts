// What a node agent waits for before it looks at its Node: kube-proxy waits as long, and no longer.

import type { Node } from '../../model/snapshot.ts'
import type { Clock } from './clock.ts'

export interface NodeGateOptions {
  readonly nodeName: string
  /** detectLocalMode is NodeCIDR: without podCIDRs there is no way to tell pods. */
  readonly needsPodCIDRs: boolean
}

export interface NodeGate {
  /** Absent when the cluster has no such Node. */
  readonly node?: Node
  /** What is worth a line in the log: that it was waited for in vain. */
  readonly notice?: string
}

/** The Node will not become what the configuration needs: kube-proxy ends here, with exit code 1. */
export class NodeNotReady extends Error {
  override readonly name = 'NodeNotReady'
}

/** The Node now and at each change, and whether it was listed at all. */
export interface NodeView {
  readonly isListed: () => boolean
  readonly current: () => Node | undefined
  /** Calls back after each change until the returned function is called. */
  readonly onChange: (listener: () => void) => () => void
}

const ADDRESS_WAIT_MS = 30_000
const POD_CIDR_WAIT_MS = 300_000

/**
 * Waits for the first list of the Node, however long that takes; then for its addresses at most 30 seconds, and for its
 * podCIDRs, where they are needed, at most 5 minutes.
 * @throws NodeNotReady, and the signal's reason when aborted.
 */
export async function awaitNode(
  view: NodeView,
  { nodeName, needsPodCIDRs }: NodeGateOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<NodeGate> {
  await waitUntil(view.isListed, view, clock, signal)
  const hasAddresses = () => (view.current()?.addresses.length ?? 0) > 0
  const isKnown = await waitUntil(hasAddresses, view, clock, signal, ADDRESS_WAIT_MS)
  const hasPodCIDRs = () => (view.current()?.podCIDRs.length ?? 0) > 0
  if (needsPodCIDRs && !(await waitUntil(hasPodCIDRs, view, clock, signal, POD_CIDR_WAIT_MS))) {
    throw new NodeNotReady(
      view.current() === undefined
        ? `there is no Node ${nodeName}, and detectLocalMode NodeCIDR needs its podCIDRs: register the node, set --hostname-override to its name, or choose another detectLocalMode`
        : `Node ${nodeName} has no podCIDRs, and detectLocalMode NodeCIDR needs them: let the controller manager allocate them (--allocate-node-cidrs), or choose another detectLocalMode`,
    )
  }
  const node = view.current()
  const lack = node === undefined ? `there is no Node ${nodeName}` : `Node ${nodeName} has no addresses`
  return {
    ...(node !== undefined && { node }),
    ...(!isKnown && { notice: `${lack}: going on as 127.0.0.1 and ::1; set --bind-address for another address` }),
  }
}

/** Whether the condition came true in time; without a time it is waited for until the signal is aborted. */
async function waitUntil(
  condition: () => boolean,
  view: NodeView,
  clock: Clock,
  signal: AbortSignal,
  atMostMs?: number,
): Promise<boolean> {
  signal.throwIfAborted()
  if (condition()) return true
  let cleanUp = () => {}
  await new Promise<void>((resolve) => {
    const stopListening = view.onChange(() => {
      if (condition()) resolve()
    })
    const cancel = atMostMs === undefined ? () => {} : clock.after(atMostMs, resolve)
    const abort = () => {
      resolve()
    }
    signal.addEventListener('abort', abort)
    cleanUp = () => {
      signal.removeEventListener('abort', abort)
      stopListening()
      cancel()
    }
  })
  cleanUp()
  signal.throwIfAborted()
  return condition()
}
