// The API server as the daemon's source: watches, the Node's gate, Events, and what all of these tell the log and metrics.
import type { Clock } from '../kube/api/clock.ts'
import { type Connection, openConnection } from '../kube/api/connection.ts'
import { openCredentials } from '../kube/api/credentials.ts'
import { type ClusterWatchState, watchCluster } from '../kube/api/watch.ts'
import type { ProxyConfig } from '../model/config.ts'
import { formatIssue } from '../model/issue.ts'
import type { Node, Snapshot } from '../model/snapshot.ts'
import type { Log } from './log.ts'
import type { DaemonMetrics } from './metrics.ts'

export interface SourceOptions {
  readonly config: ProxyConfig
  readonly nodeName: string
  readonly clock: Clock
  readonly log: Log
  readonly metrics: DaemonMetrics
  /** `triggerTimes`: when the causes of the change happened, in milliseconds since 1970. */
  readonly onSnapshot: (snapshot: Snapshot, triggerTimes: readonly number[]) => void
  readonly onNode: (node: Node | undefined) => void
  readonly signal: AbortSignal
}

/** Something that Snapshots come from. */
export interface Source {
  /** For log lines: the server's URL, or the paths. */
  readonly name: string
  /** Resolves when the Node is known, as far as it will be; absent when there is none. */
  readonly firstNode: () => Promise<Node | undefined>
  /** Sends a new object to the API server. */
  readonly post?: (path: string, body: string) => Promise<unknown>
  readonly close: () => Promise<void>
}

/** How often what the reflectors count is told to the metrics. */
const TELL_EVERY_MS = 1_000

export function openClusterSource(options: SourceOptions & { readonly master?: string }): Source {
  const { config, clock, log, metrics, signal } = options
  const { kubeconfig } = config.clientConnection
  const credentials = openCredentials({
    clock,
    ...(kubeconfig !== '' && { kubeconfig }),
    ...(options.master !== undefined && { master: options.master }),
  })
  const connection: Connection = openConnection({ credentials, clock, userAgent: 'sluice' })
  const watch = watchCluster({
    connection,
    clock,
    nodeName: options.nodeName,
    signal,
    onSnapshot: (snapshot, changes) => {
      metrics.servicesChanged(changes.services.size)
      metrics.endpointsChanged(changes.triggerTimes.size)
      options.onSnapshot(snapshot, [...changes.triggerTimes.values()].flat())
    },
    onNode: options.onNode,
    onIssue: (issue) =>
      issue.severity === 'error' ? log.warn(formatIssue(issue)) : log.verbose(2, formatIssue(issue)),
    onTrouble: ({ resource, message, retryInMs, relist }) =>
      log.warn('the API server does not answer as it should; the rules stay', { resource, message, retryInMs, relist }),
  })
  const stopTelling = tellStates(watch.state, metrics, clock)
  return {
    name: connection.server,
    firstNode: async () => {
      const { node, notice } = await watch.awaitNode({ needsPodCIDRs: config.detectLocalMode === 'NodeCIDR' })
      if (notice !== undefined) log.warn(notice)
      return node
    },
    post: (path, body) => connection.post(path, body, signal),
    close: async () => {
      stopTelling()
      await watch.done
      connection.close()
    },
  }
}

/** Tells the metrics what happened since the last look. */
function tellStates(read: () => ClusterWatchState, metrics: DaemonMetrics, clock: Clock): () => void {
  let before: ClusterWatchState | undefined
  let cancel = () => {}
  const tell = () => {
    const now = read()
    for (const resource of ['services', 'endpointSlices', 'node'] as const) {
      const state = now[resource]
      const known = before?.[resource]
      metrics.sourceSynced(resource, state.synced)
      for (let count = known?.relists ?? 0; count < state.relists; count += 1) metrics.sourceRelisted(resource)
      for (let count = known?.reconnects ?? 0; count < state.reconnects; count += 1) metrics.sourceReconnected(resource)
      if (state.lastEventAt !== known?.lastEventAt) metrics.sourceHeard(resource)
    }
    before = now
    cancel = clock.after(TELL_EVERY_MS, tell)
  }
  tell()
  return () => cancel()
}
