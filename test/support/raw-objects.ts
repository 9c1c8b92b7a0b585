// Raw objects for decoder tests, as small as the API allows.
import type { RawObject } from '../../src/kube/manifests/documents.ts'

type Fields = Record<string, unknown>

/** A ClusterIP Service with one port; `spec` and `more` go over it. */
export function rawService(spec: Fields = {}, more: Fields = {}): Fields {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { clusterIP: '172.30.0.41', ports: [{ port: 80 }], ...spec },
    ...more,
  }
}

/** A slice of `shop/web` with one endpoint; `more` goes over it. */
export function rawSlice(more: Fields = {}): Fields {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: '', port: 8080 }],
    endpoints: [{ addresses: ['10.0.0.1'] }],
    ...more,
  }
}

export function rawNode(more: Fields = {}): Fields {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' }, ...more }
}

/** As if each stood in a file of its own: `1.yaml`, `2.yaml`. */
export function placed(...values: readonly Fields[]): readonly RawObject[] {
  return values.map((value, index) => ({ value, at: { source: `${index + 1}.yaml` } }))
}
