// Small Services, EndpointSlices and Nodes for tests that need some.
import type { ApiStore, Value } from './api-store.ts'

export function service(name: string, clusterIP = '10.96.0.10', labels: Readonly<Record<string, string>> = {}): Value {
  const metadata = { namespace: 'ns1', name, labels: { ...labels } }
  return { metadata, spec: { clusterIP, clusterIPs: [clusterIP], ports: [{ protocol: 'TCP', port: 80 }] } }
}

export function endpointSlice(name: string, serviceName: string, labels: Readonly<Record<string, string>> = {}): Value {
  const metadata = { namespace: 'ns1', name, labels: { 'kubernetes.io/service-name': serviceName, ...labels } }
  return {
    metadata,
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.244.1.5'] }],
    ports: [{ name: '', protocol: 'TCP', port: 8080 }],
  }
}

export function node(name: string): Value {
  return { metadata: { name, labels: {} }, status: { addresses: [{ type: 'InternalIP', address: '192.168.1.63' }] } }
}

/** Two Services, one slice, two Nodes. */
export function putSmallCluster(store: ApiStore): void {
  store.put('services', service('one', '10.96.0.11'))
  store.put('services', service('two', '10.96.0.12'))
  store.put('endpointslices', endpointSlice('one-abc', 'one'))
  store.put('nodes', node('node-a'))
  store.put('nodes', node('node-b'))
}
