// A Service as a person wrote it: the fields that no rule is made of, and that decide whether it works all the same.
import { type ObjectKey, objectKey, PROTOCOLS, type Protocol } from '../model/object-name.ts'
import { fieldAt, listAt, numberAt, textAt, textMapAt, textsAt } from './raw-fields.ts'

export interface ServiceObject {
  readonly key: ObjectKey
  readonly namespace: string
  readonly name: string
  readonly type: string
  /** Empty when none is assigned; `None` for a headless Service. */
  readonly clusterIP: string
  readonly clusterIPs: readonly string[]
  readonly ipFamilies: readonly string[]
  readonly externalName?: string
  /** Absent when it selects no Pods by itself. */
  readonly selector?: Readonly<Record<string, string>>
  readonly ports: readonly WrittenPort[]
  readonly externalIPs: readonly string[]
  readonly sourceRanges: readonly string[]
  readonly rangesAnnotation?: string
  /** The proxy that the Service is left to. */
  readonly otherProxy?: string
  readonly deleting: boolean
  readonly publishNotReady: boolean
  readonly trafficDistribution?: string
  readonly topologyMode?: string
  readonly externalTrafficPolicy?: string
  readonly healthCheckNodePort?: number
  readonly loadBalancerClass?: string
  readonly ingress: readonly WrittenIngress[]
}

export interface WrittenPort {
  /** Empty for an unnamed port. */
  readonly name: string
  readonly protocol: Protocol
  readonly port: number
  /** A number, or the name of a container's port. */
  readonly targetPort: number | string
  readonly nodePort?: number
}

export interface WrittenIngress {
  readonly ip?: string
  readonly hostname?: string
  readonly ipMode?: string
}

export const PROXY_NAME_LABEL = 'service.kubernetes.io/service-proxy-name'
export const RANGES_ANNOTATION = 'service.beta.kubernetes.io/load-balancer-source-ranges'
const TOPOLOGY_ANNOTATIONS = [
  'service.kubernetes.io/topology-aware-hints',
  'service.kubernetes.io/topology-mode',
] as const

/** Undefined for an object without a name. */
export function readServiceObject(value: unknown): ServiceObject | undefined {
  const name = textAt(value, 'metadata', 'name')
  if (name === undefined) return undefined
  const namespace = textAt(value, 'metadata', 'namespace') ?? 'default'
  const spec = fieldAt(value, 'spec')
  const annotations = textMapAt(value, 'metadata', 'annotations')
  const clusterIPs = textsAt(spec, 'clusterIPs')
  const selector = textMapAt(spec, 'selector')
  const externalName = textAt(spec, 'externalName')
  const otherProxy = textMapAt(value, 'metadata', 'labels')[PROXY_NAME_LABEL]
  const trafficDistribution = textAt(spec, 'trafficDistribution')
  const topologyMode = TOPOLOGY_ANNOTATIONS.map((annotation) => annotations[annotation]).find(Boolean)
  const externalTrafficPolicy = textAt(spec, 'externalTrafficPolicy')
  const healthCheckNodePort = numberAt(spec, 'healthCheckNodePort')
  const loadBalancerClass = textAt(spec, 'loadBalancerClass')
  const rangesAnnotation = annotations[RANGES_ANNOTATION]
  return {
    key: objectKey(namespace, name),
    namespace,
    name,
    type: textAt(spec, 'type') ?? 'ClusterIP',
    clusterIP: textAt(spec, 'clusterIP') ?? clusterIPs[0] ?? '',
    clusterIPs,
    ipFamilies: textsAt(spec, 'ipFamilies'),
    ...(externalName !== undefined && { externalName }),
    ...(Object.keys(selector).length > 0 && { selector }),
    ports: listAt(spec, 'ports').map(readPort),
    externalIPs: textsAt(spec, 'externalIPs'),
    sourceRanges: textsAt(spec, 'loadBalancerSourceRanges'),
    ...(rangesAnnotation !== undefined && { rangesAnnotation }),
    ...(otherProxy !== undefined && { otherProxy }),
    deleting: textAt(value, 'metadata', 'deletionTimestamp') !== undefined,
    publishNotReady: fieldAt(spec, 'publishNotReadyAddresses') === true,
    ...(trafficDistribution !== undefined && { trafficDistribution }),
    ...(topologyMode !== undefined && { topologyMode }),
    ...(externalTrafficPolicy !== undefined && { externalTrafficPolicy }),
    ...(healthCheckNodePort !== undefined && healthCheckNodePort > 0 && { healthCheckNodePort }),
    ...(loadBalancerClass !== undefined && { loadBalancerClass }),
    ingress: listAt(value, 'status', 'loadBalancer', 'ingress').map(readIngress),
  }
}

/** TCP when absent or unknown. */
export function readProtocol(value: unknown): Protocol {
  const given = textAt(value, 'protocol')?.toLowerCase()
  return PROTOCOLS.find((protocol) => protocol === given) ?? 'tcp'
}

function readPort(value: unknown): WrittenPort {
  const port = numberAt(value, 'port') ?? 0
  const target = numberAt(value, 'targetPort') ?? textAt(value, 'targetPort') ?? 0
  const nodePort = numberAt(value, 'nodePort')
  return {
    name: textAt(value, 'name') ?? '',
    protocol: readProtocol(value),
    port,
    targetPort: target === 0 ? port : target,
    ...(nodePort !== undefined && nodePort > 0 && { nodePort }),
  }
}

function readIngress(value: unknown): WrittenIngress {
  const ip = textAt(value, 'ip')
  const hostname = textAt(value, 'hostname')
  const ipMode = textAt(value, 'ipMode')
  return {
    ...(ip !== undefined && { ip }),
    ...(hostname !== undefined && { hostname }),
    ...(ipMode !== undefined && { ipMode }),
  }
}
