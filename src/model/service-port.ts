// One port of one Service, for one IP family, resolved for this node: everything that Kubernetes' rules decide is decided
// here, as values, and every backend only renders them.
import type { Cidr, Family, Ip } from './address.ts'
import type { ObjectKey, Protocol } from './object-name.ts'
import type { TrafficPolicy } from './snapshot.ts'

export interface ServicePort {
  readonly service: ObjectKey
  /** As in comments and hashes: `ns1/svc1:p80`; see servicePortName. */
  readonly name: string
  readonly protocol: Protocol
  readonly family: Family
  readonly clusterIP: Ip
  readonly port: number
  readonly nodePort?: number
  readonly externalIPs: readonly Ip[]
  readonly loadBalancerIPs: readonly Ip[]
  /** Who may use the load-balancer IPs; empty: everybody. */
  readonly sourceRanges: readonly Cidr[]
  /** Whether some source range holds this node's IP. */
  readonly nodeInSourceRanges: boolean
  /** Seconds of ClientIP affinity; absent without affinity. */
  readonly affinitySeconds?: number
  readonly healthCheckNodePort?: number
  readonly internalPolicy: TrafficPolicy
  /** `Local` only where it has an effect: see resolve/service-ports.ts. */
  readonly externalPolicy: TrafficPolicy
  /** Has a node port, an external IP or a load-balancer IP. */
  readonly externallyAccessible: boolean
  /** What happens to traffic to the cluster IP. */
  readonly internal: Decision
  /** What happens to traffic from outside to node port, external IPs and load-balancer IPs. */
  readonly external: Decision
  readonly endpoints: EndpointLists
}

export type Decision =
  | { readonly kind: 'balance'; readonly over: 'cluster' | 'local' }
  /** Policy Local, and the endpoints there are run on other nodes. */
  | { readonly kind: 'drop' }
  /** Nobody can serve it anywhere. */
  | { readonly kind: 'reject' }

export interface EndpointLists {
  /** Candidates of policy Cluster; sorted by text, like the others. */
  readonly cluster: readonly Endpoint[]
  /** Candidates of policy Local. */
  readonly local: readonly Endpoint[]
  /** The union: what this node may send traffic to. */
  readonly reachable: readonly Endpoint[]
  /** How many endpoints are known at all, ready or not. */
  readonly known: number
  /** UDP only, for conntrack clean-up: all that are known, ready or not, anywhere; sorted by text. */
  readonly udp?: readonly Endpoint[]
  /** IPVS mode only: all that run on this node, ready or not; sorted by text. */
  readonly here?: readonly Endpoint[]
}

export interface Endpoint {
  /** `ip:port`, IPv6 in brackets. */
  readonly text: string
  readonly ip: Ip
  readonly port: number
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  /** Runs on this node. */
  readonly local: boolean
  readonly zoneHints?: readonly string[]
  readonly nodeHints?: readonly string[]
}
