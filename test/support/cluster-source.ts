// watchCluster over the test double, and what it ought to say: assembleSnapshot of what the double holds.

import type { Clock } from '../../src/kube/api/clock.ts'
import type { ReflectorTrouble } from '../../src/kube/api/reflector.ts'
import type { SnapshotChanges } from '../../src/kube/api/snapshot-builder.ts'
import { type ClusterWatch, watchCluster } from '../../src/kube/api/watch.ts'
import { assembleSnapshot } from '../../src/kube/manifests/assemble.ts'
import type { Issue } from '../../src/model/issue.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { connectTo } from './api-connection.ts'
import type { ApiServer } from './api-server.ts'
import { type ApiStore, RESOURCES } from './api-store.ts'

export interface ClusterSource extends AsyncDisposable {
  readonly watch: ClusterWatch
  readonly snapshots: { readonly snapshot: Snapshot; readonly changes: SnapshotChanges }[]
  readonly issues: Issue[]
  readonly trouble: ReflectorTrouble[]
  onSnapshot: (snapshot: Snapshot, changes: SnapshotChanges) => void
}

export function startSource(server: ApiServer, clock: Clock, user: object = {}): ClusterSource {
  const connection = connectTo(server, clock, user)
  const controller = new AbortController()
  const state = { snapshots: [], issues: [], trouble: [], onSnapshot: () => {} } as unknown as Omit<
    ClusterSource,
    'watch'
  >
  const watch = watchCluster({
    connection,
    clock,
    nodeName: 'node-a',
    onSnapshot: (snapshot, changes) => {
      source.onSnapshot(snapshot, changes)
      source.snapshots.push({ snapshot, changes })
    },
    onIssue: (issue) => state.issues.push(issue),
    onTrouble: (trouble) => state.trouble.push(trouble),
    signal: controller.signal,
  })
  const source: ClusterSource = Object.assign(state, {
    watch,
    [Symbol.asyncDispose]: async () => {
      controller.abort(new Error('the test is over'))
      connection[Symbol.dispose]()
      await watch.done
    },
  })
  return source
}

const SELECTORS: Readonly<Record<string, { readonly labels: string; readonly fields: string }>> = {
  services: { labels: '!service.kubernetes.io/service-proxy-name', fields: 'spec.clusterIP!=None' },
  endpointslices: { labels: '!service.kubernetes.io/headless', fields: '' },
  nodes: { labels: '', fields: 'metadata.name=node-a' },
}

/** What a node agent should make of the store, put together by other code than that under test. */
export function expectedSnapshot(store: ApiStore): Snapshot {
  const objects = RESOURCES.flatMap(({ name, kind, apiVersion }) =>
    store
      .list(name, store.resourceVersion, SELECTORS[name] ?? { labels: '', fields: '' })
      .map(([, value]) => ({ value: { kind, apiVersion, ...value }, at: {} })),
  )
  return assembleSnapshot(objects).snapshot
}
