// A cluster as a stream of Snapshots: three reflectors with kube-proxy's selectors.
// https://kubernetes.io/docs/reference/networking/virtual-ips/
import type { Issue } from '../../model/issue.ts'
import type { EndpointSlice, Node, Service, Snapshot } from '../../model/snapshot.ts'
import { decodeEndpointSlice, decodeNode, decodeService } from '../decode/decode.ts'
import { isMapping } from '../manifests/parsed-document.ts'
import type { Clock } from './clock.ts'
import type { Connection } from './connection.ts'
import { awaitNode, type NodeGate, type NodeView } from './node-gate.ts'
import { type Reflector, type ReflectorState, type ReflectorTrouble, startReflector } from './reflector.ts'
import type { RawValue, Resource } from './resource.ts'
import { createSnapshotBuilder, type SnapshotChanges } from './snapshot-builder.ts'

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

const CHANGED_AT = 'endpoints.kubernetes.io/last-change-trigger-time'

export function watchCluster(options: WatchClusterOptions): ClusterWatch {
  const { connection, clock, nodeName, signal } = options
  const builder = createSnapshotBuilder()
  const own = createNodeView()
  const common = {
    connection,
    clock,
    onIssues: (issues: readonly Issue[]) => {
      for (const issue of issues) options.onIssue(issue)
    },
    ...(options.onTrouble && { onTrouble: options.onTrouble }),
  }

  function emit(): void {
    const built = builder.build()
    if (built === undefined) return
    options.onSnapshot(built.snapshot, built.changes)
    builder.confirm(built)
  }

  function setNode(node: Node | undefined): void {
    if (own.set(node)) {
      builder.setNode(node)
      options.onNode?.(node)
    }
    // Without a change too: an earlier Snapshot may not have arrived.
    emit()
  }

  if (signal.aborted) throw signal.reason
  const services = startReflector<Service>({
    ...common,
    resource: servicesOf(connection.server),
    onList: (objects) => {
      builder.replaceServices(objects)
      emit()
    },
    onChanges: (changes) => {
      builder.changeServices(changes)
      emit()
    },
  })
  const endpointSlices = startReflector<EndpointSlice>({
    ...common,
    resource: endpointSlicesOf(connection.server, clock.wall()),
    onList: (objects) => {
      builder.replaceSlices(objects)
      emit()
    },
    onChanges: (changes) => {
      builder.changeSlices(changes)
      emit()
    },
  })
  const node = startReflector<Node>({
    ...common,
    resource: nodeOf(connection.server, nodeName),
    onList: (objects) => {
      setNode(objects.get(nodeName)?.object)
    },
    onChanges: (changes) => {
      setNode(changes.at(-1)?.after)
    },
  })
  const all: readonly Reflector[] = [services, endpointSlices, node]
  signal.addEventListener('abort', () => {
    for (const reflector of all) reflector.stop()
  })
  return {
    state: () => ({ services: services.state(), endpointSlices: endpointSlices.state(), node: node.state() }),
    node: own.current,
    awaitNode: ({ needsPodCIDRs }) => awaitNode(own, { nodeName, needsPodCIDRs }, clock, signal),
    done: allDone(all),
  }
}

async function allDone(reflectors: readonly Reflector[]): Promise<void> {
  await Promise.all(reflectors.map(({ done }) => done))
}

/** A Service that gains the label or becomes headless arrives as deleted. */
function servicesOf(server: string): Resource<Service> {
  return {
    name: 'services',
    path: '/api/v1/services',
    labelSelector: '!service.kubernetes.io/service-proxy-name',
    fieldSelector: 'spec.clusterIP!=None',
    selects: ({ spec }) => !isMapping(spec) || spec['clusterIP'] !== 'None',
    decode: (value) => decodeService(value, { source: server }),
  }
}

function endpointSlicesOf(server: string, startedAt: number): Resource<EndpointSlice> {
  return {
    name: 'endpointslices',
    path: '/apis/discovery.k8s.io/v1/endpointslices',
    labelSelector: '!service.kubernetes.io/headless',
    decode: (value) => {
      const changedAt = readChangeTime(value)
      const decoded = decodeEndpointSlice(value, { source: server })
      // What happened before we were there says nothing about how fast we are.
      return changedAt !== undefined && changedAt > startedAt ? { ...decoded, changedAt } : decoded
    },
  }
}

function nodeOf(server: string, nodeName: string): Resource<Node> {
  return {
    name: 'nodes',
    path: '/api/v1/nodes',
    fieldSelector: `metadata.name=${nodeName}`,
    decode: (value) => decodeNode(value, { source: server }),
  }
}

function readChangeTime({ metadata }: RawValue): number | undefined {
  const annotations = isMapping(metadata) ? metadata['annotations'] : undefined
  const written = isMapping(annotations) ? annotations[CHANGED_AT] : undefined
  const time = typeof written === 'string' ? Date.parse(written) : Number.NaN
  return Number.isNaN(time) ? undefined : time
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
