// What happens in the histories of test/daemon-kernel: changes of objects, and faults between the API server and its clients.
import type { ApiServer } from './api-server.ts'
import type { ApiStore, Value } from './api-store.ts'
import type { Folder } from './kubeconfig-file.ts'

export const NODE = 'node-a'

/** A number from 0, below this one. */
export type Random = (below: number) => number

/** Something goes wrong between the server and its clients; `folder` holds the file `token` that they read. */
export function apiFault(server: ApiServer, folder: Folder, random: Random): void {
  const faults: readonly (() => void)[] = [
    () => {},
    () => server.cutConnections(),
    () => server.watches.cut(),
    () => server.watches.end(),
    () => server.watches.send('{"type":"MODIF'),
    () => {
      server.store.compact()
      server.watches.cut()
    },
    () => {
      server.failNext(1 + random(2), { kind: 'status', code: 500 })
      server.watches.end()
    },
    () => {
      server.failNext(1, { kind: 'status', code: 429, retryAfter: 1 })
      server.watches.end()
    },
    () => {
      server.failNext(1, { kind: 'cut' })
      server.watches.end()
    },
    () => {
      const token = `token-${server.store.resourceVersion}`
      server.token = token
      folder.write('token', token)
      server.watches.cut()
    },
  ]
  faults[random(faults.length)]?.()
}

/** Creates, changes or deletes a Service with its EndpointSlice; now and then the Node's zone. */
export function changeObjects(store: ApiStore, random: Random): void {
  const name = `svc-${random(10)}`
  const key = `ns1/${name}`
  if (random(4) > 0 || store.get('services', key) === undefined) putService(store, name, random(4), random)
  else {
    store.delete('services', key)
    if (random(2) === 0) store.delete('endpointslices', key)
  }
  if (random(12) === 0) store.put('nodes', node(`zone-${random(2)}`))
}

/** A NodePort Service of this name, which ends with a digit or letter of its own. */
export function putService(store: ApiStore, name: string, endpoints: number, random: Random = () => 0): void {
  const number = name.charCodeAt(name.length - 1)
  const family = random(3) === 1 ? 'IPv6' : 'IPv4'
  const host = family === 'IPv4' ? '10.244.1.' : 'fd00:10:244:1::'
  const clusterIP = family === 'IPv4' ? `10.96.0.${number}` : `fd00:10:96::${number}`
  const protocol = random(4) === 1 ? 'UDP' : 'TCP'
  store.put('services', {
    metadata: { namespace: 'ns1', name },
    spec: {
      type: 'NodePort',
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: [family],
      ports: [{ protocol, port: 80 + random(2), nodePort: 30_000 + number }],
      externalTrafficPolicy: random(2) === 1 ? 'Local' : 'Cluster',
      ...(random(3) === 1 && {
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } },
      }),
    },
  })
  store.put('endpointslices', {
    metadata: { namespace: 'ns1', name, labels: { 'kubernetes.io/service-name': name } },
    addressType: family,
    endpoints: Array.from({ length: endpoints }, (_, index) => ({
      addresses: [`${host}${index + 1}`],
      nodeName: random(2) === 1 ? NODE : 'node-b',
      conditions: { ready: random(5) !== 1 },
    })),
    ports: [{ name: '', protocol, port: 8080 }],
  })
}

export function node(zone: string): Value {
  return {
    metadata: { name: NODE, labels: { 'topology.kubernetes.io/zone': zone } },
    status: { addresses: ['192.168.1.63', 'fd00:1::63'].map((address) => ({ type: 'InternalIP', address })) },
  }
}

/** Numbers from 0, below the one that is asked for; the same for the same seed. */
export function createRandom(seed: number): Random {
  let state = seed * 7919
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return (state >> 8) % below
  }
}
