// The test double of the API server as a process of its own: what it needs of the machine is not charged to whoever
// measures. Started by api-double-client.ts, and driven over its IPC channel.
import { type ApiServer, type Fault, startApiServer } from '../../test/support/api-server.ts'
import type { Value } from '../../test/support/api-store.ts'
import { generateServices } from '../benchmarks/cluster.ts'
import { monotonicMs } from './clock.ts'

export type Write =
  | { readonly kind: 'put'; readonly resource: string; readonly value: object }
  | { readonly kind: 'delete'; readonly resource: string; readonly key: string }

/** `watches`: what happens to every open watch. `compact`: older versions can't be watched from any more. */
export type Trouble =
  | { readonly kind: 'next requests'; readonly count: number; readonly fault: Fault }
  | { readonly kind: 'watches'; readonly what: 'end' | 'cut' | 'bookmark' }
  | { readonly kind: 'cut' }
  | { readonly kind: 'compact' }

export interface Calls {
  /** A cluster of so many generated Services, and the Node `node1`. */
  readonly fill: { readonly request: { readonly services: number }; readonly answer: { readonly url: string } }
  /** `at`: when the first event was about to be sent; see monotonicMs. */
  readonly write: { readonly request: { readonly writes: readonly Write[] }; readonly answer: { readonly at: number } }
  /** When Services were first listed since the last call. */
  readonly firstList: { readonly request: object; readonly answer: { readonly at?: number } }
  readonly trouble: { readonly request: { readonly trouble: Trouble }; readonly answer: object }
  /** All that is there, as the JSON of the objects. */
  readonly objects: { readonly request: object; readonly answer: { readonly objects: readonly object[] } }
}

export type Call = {
  readonly [Kind in keyof Calls]: { readonly id: number; readonly kind: Kind } & Calls[Kind]['request']
}[keyof Calls]

const NODE = {
  metadata: { name: 'node1', labels: {} },
  spec: { podCIDRs: ['10.128.0.0/24'] },
  status: { addresses: [{ type: 'InternalIP', address: '192.168.1.1' }] },
}
const KINDS = { services: 'Service', endpointslices: 'EndpointSlice' } as const
const VERSIONS = { services: 'v1', endpointslices: 'discovery.k8s.io/v1' } as const

if (process.send !== undefined) await serve()

async function serve(): Promise<void> {
  const server = await startApiServer()
  let firstList: number | undefined
  server.onRequest = ({ path }) => {
    // The requests themselves would fill the memory of a long run.
    server.requests.length = 0
    // A list, or a watch that begins with one.
    if (path.endsWith('/services')) firstList ??= monotonicMs()
  }
  process.on('disconnect', () => process.exit(0))
  process.on('message', (message) => {
    const call = message as Call
    process.send?.({ id: call.id, answer: answer(call) })
  })

  function answer(call: Call): object {
    switch (call.kind) {
      case 'fill':
        server.store.put('nodes', NODE)
        for (const { service, slice } of generateServices(call.services)) {
          server.store.put('services', service as unknown as Value)
          server.store.put('endpointslices', slice as unknown as Value)
        }
        return { url: server.url }
      case 'write': {
        const at = monotonicMs()
        for (const write of call.writes) perform(server, write)
        return { at }
      }
      case 'firstList': {
        const at = firstList
        firstList = undefined
        return at === undefined ? {} : { at }
      }
      case 'trouble':
        makeTrouble(server, call.trouble)
        return {}
      case 'objects':
        return { objects: allObjects(server) }
      default:
        return call satisfies never
    }
  }
}

function perform({ store }: ApiServer, write: Write): void {
  if (write.kind === 'put') store.put(write.resource, write.value as Value)
  else store.delete(write.resource, write.key)
}

function makeTrouble(server: ApiServer, trouble: Trouble): void {
  switch (trouble.kind) {
    case 'next requests':
      server.failNext(trouble.count, trouble.fault)
      break
    case 'watches':
      server.watches[trouble.what]()
      break
    case 'cut':
      server.cutConnections()
      break
    case 'compact':
      server.store.compact()
      // A history without end would be read at every new watch.
      server.store.changes.length = 0
      break
    default:
      trouble satisfies never
  }
}

function allObjects({ store }: ApiServer): readonly object[] {
  return (['services', 'endpointslices'] as const).flatMap((resource) =>
    store
      .list(resource, store.resourceVersion, { labels: '', fields: '' })
      .map(([, object]) => ({ apiVersion: VERSIONS[resource], kind: KINDS[resource], ...object })),
  )
}
