// The cluster that benchmarks work on, as an API server would return it: N ClusterIP Services with 5 endpoints each,
// every 20th of them a NodePort Service, and default/kubernetes with one endpoint. The same for the same N.

export const ENDPOINTS_PER_SERVICE = 5
const NODES = 10

export interface ApiObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Readonly<Record<string, unknown>>
}

/** The objects of one Service. */
export interface ApiService {
  readonly service: ApiObject
  readonly slice: ApiObject
}

/** One after the other, so that nobody has to hold them all. */
export function* generateServices(services: number): Generator<ApiService> {
  yield {
    service: apiService(
      'default',
      'kubernetes',
      '10.96.0.1',
      [{ name: 'https', protocol: 'TCP', port: 443 }],
      'ClusterIP',
    ),
    slice: apiSlice('default', 'kubernetes', ['192.168.1.1'], [{ name: 'https', protocol: 'TCP', port: 6443 }]),
  }
  for (let number = 0; number < services; number += 1) {
    yield generateOne(number)
  }
}

/** The Service of that number, from 0. */
export function generateOne(number: number): ApiService {
  return { service: generateService(number), slice: generateSlice(number) }
}

/** Everything as one list. */
export function generateList(services: number): ApiObject & { readonly items: readonly ApiObject[] } {
  const items = [...generateServices(services)].flatMap(({ service, slice }) => [service, slice])
  return { apiVersion: 'v1', kind: 'List', metadata: {}, items }
}

function generateService(number: number): ApiObject {
  const isNodePort = number % 20 === 0
  const port = { name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 }
  const ports = [isNodePort ? { ...port, nodePort: 30000 + number / 20 } : port]
  return apiService(
    namespaceOf(number),
    `service-${number}`,
    address(0x0a60_0100 + number),
    ports,
    isNodePort ? 'NodePort' : 'ClusterIP',
  )
}

function generateSlice(number: number): ApiObject {
  const first = 0x0a80_0000 + number * ENDPOINTS_PER_SERVICE
  const addresses = Array.from({ length: ENDPOINTS_PER_SERVICE }, (_, index) => address(first + index))
  return apiSlice(namespaceOf(number), `service-${number}`, addresses, [{ name: 'http', protocol: 'TCP', port: 8080 }])
}

function apiService(namespace: string, name: string, clusterIP: string, ports: unknown, type: string): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name, uid: `${namespace}-${name}`, resourceVersion: '1', labels: { app: name } },
    spec: {
      type,
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
      ...(type === 'NodePort' && { externalTrafficPolicy: 'Cluster' }),
      sessionAffinity: 'None',
      selector: { app: name },
      ports,
    },
    status: { loadBalancer: {} },
  } as ApiObject
}

function apiSlice(namespace: string, service: string, addresses: readonly string[], ports: unknown): ApiObject {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace, name: `${service}-abcde`, uid: service, labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    ports,
    endpoints: addresses.map((ip, index) => ({
      addresses: [ip],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: `node${index % NODES}`,
      zone: `zone-${index % 3}`,
      targetRef: { kind: 'Pod', namespace, name: `${service}-${index}` },
    })),
  } as ApiObject
}

function namespaceOf(number: number): string {
  return `namespace-${number % 50}`
}

function address(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.')
}
