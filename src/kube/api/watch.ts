// A cluster as a stream of Snapshots: three reflectors, and what they tell put together.
import type { Issue } from '../../model/issue.ts'
import type { Node, Snapshot } from '../../model/snapshot.ts'
import type { Clock } from './clock.ts'
import type { Connection } from './connection.ts'
import { awaitNode, type NodeGate, type NodeView } from './node-gate.ts'
import {
  type Reflector,
  type ReflectorOptions,
  type ReflectorState,
  type ReflectorTrouble,
  startReflector,
} from './reflector.ts'
import type { Held, ObjectChange } from './replica.ts'
import type { Resource } from './resource.ts'
import { createSnapshotBuilder, type SnapshotChanges } from './snapshot-builder.ts'
import { endpointSlicesOf, nodeOf, servicesOf } from './watched-resources.ts'

export interface WatchClusterOptions {
  readonly connection: Connection
  readonly clock: Clock
  readonly nodeName: string
  /**
   * The first comes when Services and EndpointSlices are both completely listed, then one after each change that could bear
   * on rules. When this throws, the source lists again and tells the same changes once more, together with later ones.
   */
  readonly onSnapshot: (snapshot: Snapshot, changes: SnapshotChanges) => void
  /** The Node changed, or was listed for the first time; also when nothing in it bears on rules. */
  readonly onNode?: (node: Node | undefined) => void
  readonly onIssue: (issue: Issue) => void
  /** The API server is not as it should be; it is asked again in `retryInMs`. */
  readonly onTrouble?: (trouble: ReflectorTrouble) => void
  /** Ends everything; nothing is told afterwards. */
  readonly signal: AbortSignal
}

export interface ClusterWatch {
  /** For metrics and health. */
  readonly state: () => ClusterWatchState
  /** Undefined when there is no such Node, or before it was listed. */
  readonly node: () => Node | undefined
  /** The gate that kube-proxy has before everything else. @throws NodeNotReady, and the signal's reason when aborted. */
  readonly awaitNode: (options: { readonly needsPodCIDRs: boolean }) => Promise<NodeGate>
  /** Settles some time after the signal was aborted. The connection stays open: it is its owner's. */
  readonly done: Promise<void>
}

export interface ClusterWatchState {
  readonly services: ReflectorState
  readonly endpointSlices: ReflectorState
  readonly node: ReflectorState
}

/** Begins at once. @throws the signal's reason when it is aborted already. */
export function watchCluster(options: WatchClusterOptions): ClusterWatch {
  const { connection, clock, nodeName, signal } = options
  const { server } = connection
  const builder = createSnapshotBuilder()
  const own = createNodeView()

  function emit(): void {
    const built = builder.build()
    if (built === undefined) return
    options.onSnapshot(built.snapshot, built.changes)
    builder.confirm(built)
  }

  function watchOne<T>(
    resource: Resource<T>,
    replace: (objects: ReadonlyMap<string, Held<T>>) => void,
    change: (changes: readonly ObjectChange<T>[]) => void,
  ): Reflector {
    return reflect(options, resource, {
      onList: (objects) => {
        replace(objects)
        // Without a change too: an earlier Snapshot may not have arrived.
        emit()
      },
      onChanges: (changes) => {
        change(changes)
        emit()
      },
    })
  }

  function setNode(node: Node | undefined): void {
    if (!own.set(node)) return
    builder.setNode(node)
    options.onNode?.(node)
  }

  if (signal.aborted) throw signal.reason
  const services = watchOne(servicesOf(server), builder.replaceServices, builder.changeServices)
  const slices = watchOne(endpointSlicesOf(server, clock.wall()), builder.replaceSlices, builder.changeSlices)
  const node = watchOne(
    nodeOf(server, nodeName),
    (objects) => setNode(objects.get(nodeName)?.object),
    (changes) => setNode(changes.at(-1)?.after),
  )
  const all: readonly Reflector[] = [services, slices, node]
  signal.addEventListener('abort', () => {
    for (const reflector of all) reflector.stop()
  })
  return {
    state: () => ({ services: services.state(), endpointSlices: slices.state(), node: node.state() }),
    node: own.current,
    awaitNode: ({ needsPodCIDRs }) => awaitNode(own, { nodeName, needsPodCIDRs }, clock, signal),
    done: allDone(all),
  }
}

function reflect<T>(
  { connection, clock, onIssue, onTrouble }: WatchClusterOptions,
  resource: Resource<T>,
  told: Pick<ReflectorOptions<T>, 'onList' | 'onChanges'>,
): Reflector {
  return startReflector<T>({
    connection,
    clock,
    resource,
    ...told,
    onIssues: (issues) => {
      for (const issue of issues) onIssue(issue)
    },
    ...(onTrouble && { onTrouble }),
  })
}

async function allDone(reflectors: readonly Reflector[]): Promise<void> {
  await Promise.all(reflectors.map(({ done }) => done))
}

interface OwnNode extends NodeView {
  /** Whether that was a change; the first list is one. */
  readonly set: (node: Node | undefined) => boolean
}

function createNodeView(): OwnNode {
  const listeners = new Set<() => void>()
  let node: Node | undefined
  let isListed = false
  return {
    isListed: () => isListed,
    current: () => node,
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    set: (next) => {
      if (isListed && node === next) return false
      node = next
      isListed = true
      for (const listener of listeners) listener()
      return true
    },
  }
}
