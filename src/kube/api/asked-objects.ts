// Which objects rules are made of, as an API server is asked for them; the selectors are kube-proxy's.
// https://kubernetes.io/docs/reference/networking/virtual-ips/

/** Objects of one kind. */
export interface AskedObjects {
  /** As in URLs and messages: `services`. */
  readonly name: string
  /** `/api/v1/services` */
  readonly path: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

/** Without headless Services and those of other proxies. */
export const SERVICES = {
  name: 'services',
  path: '/api/v1/services',
  labelSelector: '!service.kubernetes.io/service-proxy-name',
  fieldSelector: 'spec.clusterIP!=None',
} as const satisfies AskedObjects

/** Without those of headless Services. */
export const ENDPOINT_SLICES = {
  name: 'endpointslices',
  path: '/apis/discovery.k8s.io/v1/endpointslices',
  labelSelector: '!service.kubernetes.io/headless',
} as const satisfies AskedObjects

export const NODES = { name: 'nodes', path: '/api/v1/nodes' } as const satisfies AskedObjects

export function oneNode(name: string): AskedObjects {
  return { ...NODES, fieldSelector: `metadata.name=${name}` }
}
