// Every assertion of Kubernetes' end-to-end suites about a Service implementation (1.36.2), and where it is held: what
// docs/traffic.md shows. Numbers are lines of test/e2e/network/service.go; other suites go by their names.
import type { LiveRow } from './live-bench.ts'
import { LIVE_ROWS } from './live-rows.ts'
import type { Row } from './row.ts'
import { ROWS } from './rows.ts'

export interface Case {
  readonly source: number | string
  readonly name: string
  /** The sources of the rows that hold it; its own when absent. */
  readonly of?: readonly (number | string)[]
  /** The names of these rows; all of the source when absent. */
  readonly rows?: readonly string[]
  /** Why it is not held, or not by packets here. */
  readonly instead?: string
}

export interface Holding {
  readonly row: Row | LiveRow
  /** By `sluice run`, or by rules that `sluice render` prints. */
  readonly by: 'run' | 'render'
}

const API_ONLY = 'concerns the API server alone: no packet is sent'
const SECOND_KERNEL = 'held in a second kernel, both families (test/second-kernel): most machines have no SCTP'

/** Those of service.go. */
// biome-ignore format: one case per line
const SERVICES: readonly Case[] = [
  { source: 733, name: 'should serve a basic endpoint from pods' },
  { source: 803, name: 'should serve multiport endpoints from pods' },
  { source: 906, name: 'should be updated after adding or deleting ports' },
  { source: 1020, name: 'should preserve source pod IP for traffic thru service cluster IP' },
  { source: 1095, name: 'should allow pods to hairpin back to themselves through services' },
  { source: 1125, name: 'should be able to up and down services' },
  { source: 1171, name: 'should work after the service has been recreated' },
  { source: 1207, name: 'should work after restarting kube-proxy' },
  { source: 1240, name: 'should work after restarting apiserver' },
  { source: 1287, name: 'should be able to create a functioning NodePort service' },
  { source: 1313, name: 'should be possible to connect to a service via ExternalIP when the external IP is not assigned to a node' },
  { source: 1350, name: 'should be able to update service type to NodePort listening on same port number but different protocols' },
  { source: 1423, name: 'should be able to change the type from ExternalName to ClusterIP' },
  { source: 1462, name: 'should be able to change the type from ExternalName to NodePort' },
  { source: 1500, name: 'should be able to change the type from ClusterIP to ExternalName' },
  { source: 1540, name: 'should be able to change the type from NodePort to ExternalName' },
  { source: 1575, name: 'should prevent NodePort collisions', instead: API_ONLY },
  { source: 1629, name: 'should check NodePort out-of-range', instead: API_ONLY },
  { source: 1696, name: 'should release NodePorts on delete', instead: API_ONLY },
  { source: 1792, name: 'should create endpoints for unready pods' },
  { source: 1948, name: 'should be able to connect to terminating and unready endpoints if PublishNotReadyAddresses is true' },
  { source: 2068, name: 'should not be able to connect to terminating and unready endpoints if PublishNotReadyAddresses is false' },
  { source: 2229, name: 'should have session affinity work for service with type clusterIP' },
  { source: 2235, name: 'should have session affinity timeout work for service with type clusterIP' },
  { source: 2251, name: 'should be able to switch session affinity for service with type clusterIP' },
  { source: 2266, name: 'should have session affinity work for NodePort service' },
  { source: 2272, name: 'should have session affinity timeout work for NodePort service' },
  { source: 2288, name: 'should be able to switch session affinity for NodePort service' },
  { source: 2294, name: 'should implement service.kubernetes.io/service-proxy-name' },
  { source: 2345, name: 'should implement service.kubernetes.io/headless' },
  { source: 2419, name: 'should be rejected when no endpoints exist' },
  { source: 2464, name: 'should be rejected for evicted pods (no endpoints exist)' },
  { source: 2528, name: 'should respect internalTrafficPolicy=Local Pod to Pod' },
  { source: 2597, name: 'should respect internalTrafficPolicy=Local Pod (hostNetwork: true) to Pod' },
  { source: 2668, name: 'should respect internalTrafficPolicy=Local Pod and Node, to Pod (hostNetwork: true)' },
  { source: 2771, name: 'should support externalTrafficPolicy=Local for type=NodePort' },
  { source: 2823, name: 'should fail health check node port if there are only terminating endpoints' },
  { source: 2920, name: 'should fallback to terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Cluster' },
  { source: 2994, name: 'should fallback to local terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Local' },
  { source: 3073, name: 'should fallback to terminating endpoints when there are no ready endpoints with externallTrafficPolicy=Cluster' },
  { source: 3149, name: 'should fallback to local terminating endpoints when there are no ready endpoints with externalTrafficPolicy=Local' },
  { source: 3243, name: 'should find a service from listing all namespaces', instead: API_ONLY },
  { source: 3269, name: 'should complete a service status lifecycle', instead: API_ONLY },
  { source: 3495, name: 'should delete a collection of services', instead: API_ONLY },
  { source: 3579, name: 'should serve endpoints on same port and different protocols' },
  { source: 3701, name: 'should serve endpoints on same port and different protocol for internal traffic on Type LoadBalancer' },
  { source: 3776, name: 'should allow creating a basic SCTP service with pod and endpoints', instead: SECOND_KERNEL },
  { source: 3833, name: 'should implement NodePort and HealthCheckNodePort correctly when ExternalTrafficPolicy changes' },
  { source: 4044, name: 'should connect to the ports exposed by restartable init containers' },
  { source: 4080, name: 'should connect to the named ports exposed by restartable init containers' },
  { source: 4116, name: 'should support named targetPorts that resolve to different ports on different endpoints' },
]

/** Those of the other suites. */
// biome-ignore format: one case per line
const OTHERS: readonly Case[] = [
  { source: 'Conntrack', name: 'UDP when the server pod cycles: NodePort (140)', rows: ['should be able to preserve UDP traffic when server pod cycles for a NodePort service'] },
  { source: 'Conntrack', name: 'the same: ClusterIP (218)', rows: ['should be able to preserve UDP traffic when server pod cycles for a ClusterIP service'] },
  { source: 'Conntrack', name: 'the same: internalTrafficPolicy Local (297)', rows: ['should be able to preserve UDP traffic when server pod cycles for a ClusterIP service with InternalTrafficPolicy=Local'] },
  { source: 'Conntrack', name: 'the same: client in the host network (391)', rows: ['should be able to preserve UDP traffic when server pod cycles for a ClusterIP service and client is hostNetwork'] },
  { source: 'Conntrack', name: 'unready endpoints get ready (481)', rows: ['should be able to preserve UDP traffic when initial unready endpoints get ready'] },
  { source: 'Conntrack', name: 'invalid conntrack state (552)', rows: ['should not be vulnerable to the invalid conntrack state bug, and counts the packets'] },
  { source: 'Conntrack', name: 'UDP target port changes, NodePort (673)', rows: ['should be able to cleanup conntrack entries when UDP service target port changes for a NodePort service'] },
  { source: 'Conntrack', name: 'not upstream: UDP Service scaled to zero (k/k#139628)', rows: ['a UDP Service scaled to zero, and up again'] },
  { source: 'Conntrack', name: 'not upstream: UDP Service deleted (k/k#141371), with and without a running agent', rows: ['a UDP Service deleted', 'a UDP Service deleted while no agent runs'] },
  { source: 'Conntrack', name: 'not upstream: restart keeps live UDP flows (k/k#122740)', rows: ['kill -9 and restart keep live UDP flows'] },
  { source: 'Conntrack', name: 'not upstream: a client that sends before there is a Service', rows: ['a UDP client that sends before there is a Service'] },
  { source: 'Networking', name: 'pod, node and endpoint to Service: http, udp (147-263); basic nodePort udp (381)', rows: ['pod-Service, node-Service and endpoint-Service'] },
  { source: 'Networking', name: 'the same: sctp', instead: SECOND_KERNEL },
  { source: 'Networking', name: 'several Services with the same selector (280)', rows: ['several Services with the same endpoints'] },
  { source: 'Networking', name: 'update endpoints http (325)', of: [733] },
  { source: 'Networking', name: 'update endpoints udp (342)', of: ['Conntrack'], rows: ['should be able to preserve UDP traffic when server pod cycles for a NodePort service'] },
  { source: 'Networking', name: 'update nodePort http, udp (360, 391)', rows: ['update nodePort'] },
  { source: 'Networking', name: 'client IP affinity http, udp (413, 431)', of: [2229, 2235, 2251, 2266, 2272, 2288] },
  { source: 'Networking', name: 'large requests http, udp (448, 458)', rows: ['large requests, TCP and UDP'] },
  { source: 'Networking', name: 'endpoints in the host network (471)', rows: ['endpoints using hostNetwork'] },
  { source: 'Networking', name: 'rules come back after they were deleted (548)', rows: ['should recreate its iptables rules if they are deleted', 'the same after iptables -F of every table'] },
  { source: 'Networking', name: 'kube-proxy urls (132)', rows: ['should check kube-proxy urls'] },
  { source: 'KubeProxy', name: 'TCP CLOSE_WAIT timeout (74)', rows: ['should set TCP CLOSE_WAIT timeout'] },
  { source: 'KubeProxy', name: 'metric of localhost nodeport packets (276)', rows: ['should update metric for tracking accepted packets destined for localhost nodeports'] },
  { source: 'LoadBalancers', name: 'change type and ports, TCP and UDP (132, 270)', rows: ['change type and ports, TCP and UDP'] },
  { source: 'LoadBalancers', name: 'source ranges (422)', rows: ['only allow access from source ranges', 'source ranges change while connections are open'] },
  { source: 'LoadBalancers', name: 'affinity, Local and Cluster, switched (565-595)', rows: ['affinity', 'affinity switched on and off'] },
  { source: 'LoadBalancers', name: 'cleanup finalizer (610)', instead: API_ONLY },
  { source: 'LoadBalancers', name: 'without NodePort (642)', rows: ['without NodePort'] },
  { source: 'LoadBalancers', name: 'UDP when the server pod cycles, different nodes (707), same node (841)', rows: ['UDP when server pod cycles, on different nodes', 'UDP when server pod cycles, on the same node'] },
  { source: 'LoadBalancers', name: 'rolling update without a failed request, Cluster (975), Local (984)', rows: ['no disruption during rolling update, externalTrafficPolicy: Cluster', 'no disruption during rolling update, externalTrafficPolicy: Local'] },
  { source: 'LoadBalancers', name: 'externalTrafficPolicy Local: keeps the client address (1016)', rows: ['ExternalTrafficPolicy: Local keeps the client address'] },
  { source: 'LoadBalancers', name: 'the same: nodes with endpoints only (1081, 1174)', rows: ['ExternalTrafficPolicy: Local uses nodes with endpoints only'] },
  { source: 'LoadBalancers', name: 'the same: from pods (1221)', rows: ['ExternalTrafficPolicy: Local works from pods'] },
  { source: 'Distribution', name: 'PreferClose (350), PreferSameZone (364)', rows: ['same zone: PreferClose, PreferSameZone'] },
  { source: 'Distribution', name: 'several nodes (357, 371)', rows: ['same zone on several nodes'] },
  { source: 'Distribution', name: 'PreferSameNode with fallback to zone (378)', rows: ['PreferSameNode with fallback to zone'] },
  { source: 'Distribution', name: 'PreferSameNode, its endpoint goes away (430)', rows: ['PreferSameNode fallback when endpoint goes away'] },
  { source: 'DualStack', name: 'Services of one and two families (257-628)', rows: ['a Service of both families, this one first', 'a Service of the other family alone is not served'] },
  { source: 'EndpointSlice', name: 'several ports (458) and endpoint addresses (570) in several slices', rows: ['multiple ports and endpoint IPs in multiple slices'] },
  { source: 'NoSNAT', name: 'pod to pod keeps its address (67)', rows: ['pod to pod without a Service keeps its address'] },
  { source: 'Pod Lifecycle', name: 'zero downtime blue-green (110)', rows: ['should have zero downtime during a blue-green deployment'] },
  { source: 'Pod Lifecycle', name: 'to and from a terminating pod (60, 85)', instead: 'packets between pods that no rule of a Service touches' },
  { source: 'Topology Hints', name: 'endpoints are spread evenly (55)', instead: 'made by the EndpointSlice controller; what a node does with hints: Distribution' },
  { source: 'HostPort', name: 'conformance (63)', instead: 'made by network plug-ins' },
  { source: 'Service CIDRs', name: 'a new ServiceCIDR (69)', instead: 'given out by the API server; in iptables mode a node makes no use of it' },
  { source: 'Affinity', name: 'not upstream: affinity survives changes of other Services, and a restart', rows: ['survives changes of other Services, and a restart'] },
  { source: 'Takeover', name: 'not upstream: from and back to kube-proxy', rows: ["from kube-proxy's recorded rules, and back: no stream is cut, no connection fails"] },
]

/** The unit suites' truth table: each way of asking, each policy. */
const MASQUERADE: readonly Case[] = ROWS.filter(({ source }) => source === 'Masquerade').map(({ source, name }) => ({
  source,
  name,
  rows: [name],
}))

export const CASES: readonly Case[] = [...SERVICES, ...OTHERS, ...MASQUERADE]

/** The rows that hold the case; none when it is not held here. */
export function holdingsOf({ source, of = [source], rows, instead }: Case): readonly Holding[] {
  const named = (row: Row | LiveRow) => (rows === undefined ? instead === undefined : rows.includes(row.name))
  const holds = (row: Row | LiveRow) => of.includes(row.source) && row.hold !== undefined && named(row)
  return [
    ...ROWS.filter(holds).map((row): Holding => ({ row, by: 'render' })),
    ...LIVE_ROWS.filter(holds).map((row): Holding => ({ row, by: 'run' })),
  ]
}
