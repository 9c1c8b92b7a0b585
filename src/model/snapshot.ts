// One immutable picture of the cluster, stripped to what bears on a node's rules. Addresses are canonical and names are
// valid: src/kube/decode/decode.ts lets nothing else in. Unchanged objects keep their identity from one Snapshot to the next,
// and the compiler relies on it.
import type { Cidr, Family, Ip } from './address.ts'
import type { ObjectKey, Protocol } from './object-name.ts'

export interface Snapshot {
  /** Sorted by key. */
  readonly services: readonly ServiceEntry[]
  readonly nodes: ReadonlyMap<string, Node>
}

/** A Service with its EndpointSlices, sorted by name. When neither changed, it is the same object as before. */
export interface ServiceEntry {
  readonly key: ObjectKey
  readonly service: Service
  readonly slices: readonly EndpointSlice[]
}

export type TrafficPolicy = 'Cluster' | 'Local'

export interface Service {
  readonly namespace: string
  readonly name: string
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName'
  /** None for a headless Service. */
  readonly clusterIPs: Readonly<Partial<Record<Family, Ip>>>
  readonly ports: readonly ServicePortSpec[]
  /** Both families, in the object's order; unreadable ones are left out. */
  readonly externalIPs: readonly Ip[]
  /** Whether the object lists any external IP at all, readable or not: it decides whether its traffic policy counts. */
  readonly listsExternalIPs: boolean
  /** Ingress addresses of `status.loadBalancer` that are to be served here: `ipMode` is absent or `VIP`. */
  readonly loadBalancerIPs: readonly Ip[]
  readonly loadBalancerSourceRanges: readonly Cidr[]
  readonly externalTrafficPolicy: TrafficPolicy
  readonly internalTrafficPolicy: TrafficPolicy
  /** Seconds of ClientIP affinity; absent without affinity. */
  readonly affinitySeconds?: number
  readonly healthCheckNodePort?: number
}

export interface ServicePortSpec {
  /** Empty for an unnamed port. */
  readonly name: string
  readonly protocol: Protocol
  readonly port: number
  readonly nodePort?: number
}

export interface EndpointSlice {
  readonly namespace: string
  readonly name: string
  /** The Service it belongs to: `namespace/` and its label `kubernetes.io/service-name`. */
  readonly service: ObjectKey
  readonly family: Family
  readonly ports: readonly SlicePort[]
  readonly endpoints: readonly SliceEndpoint[]
}

export interface SlicePort {
  readonly name: string
  readonly protocol: Protocol
  readonly port: number
}

/** Conditions are resolved: absent `ready` and `serving` mean true, absent `terminating` means false. */
export interface SliceEndpoint {
  readonly ip: Ip
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  readonly nodeName?: string
  readonly zoneHints?: readonly string[]
  readonly nodeHints?: readonly string[]
}

export interface Node {
  readonly name: string
  /** Label `topology.kubernetes.io/zone`. */
  readonly zone?: string
  readonly podCIDRs: readonly Cidr[]
  /** InternalIPs in order, then ExternalIPs in order. */
  readonly addresses: readonly Ip[]
  /** Is being deleted, or the cluster autoscaler is about to: load balancers must look elsewhere. Rules don't change. */
  readonly leaving?: true
}
