// Checks of traffic policies, topology hints and session affinity: who is sent where, and who is left out.
import type { Endpoint } from '../model/service-port.ts'
import type { Finding } from './finding.ts'
import { isIpvs } from './ipvs.ts'
import { type Check, isServed, onService, type PortView, portTitle, readyNodes, type Subject } from './subject.ts'
import { count, familyName, join } from './words.ts'

const INTERNAL = 'spec.internalTrafficPolicy'
const EXTERNAL = 'spec.externalTrafficPolicy'

/** Traffic to the cluster IP from this node is dropped. */
export const internalLocal: Check = (subject) => {
  const { service, view, client } = subject
  if (service?.internalTrafficPolicy !== 'Local' || !isServed(subject) || isWithoutUsable(subject)) return []
  if (client?.kind === 'outside') return []
  const here = subject.ports.filter(({ servicePort }) => servicePort.internal.kind === 'drop')
  const works = describeNodes(subject)
  if (view.node !== undefined && here.length > 0 && isIpvs(subject)) return [internalLocalInIpvs(subject, here)]
  if (view.node !== undefined && here.length > 0) {
    const means = `internalTrafficPolicy is Local and no endpoint of it is on node ${view.node.name}: what Pods there send to its cluster IP is dropped${onlyFamilies(subject, here)}. It works on ${works}.`
    const advice = 'Run a Pod of it on every node (a DaemonSet), or set internalTrafficPolicy to Cluster.'
    return [onService(subject, 'internal-local-none-here', 'error', INTERNAL, means, advice)]
  }
  const without = nodesWithout(subject)
  if (without.length > 0) {
    const means = `internalTrafficPolicy is Local: its cluster IP works only on ${works}, and is dropped on ${join(without)}.`
    return [
      onService(
        subject,
        'internal-local-some-nodes',
        'warning',
        INTERNAL,
        means,
        'Run a Pod of it on every node that has clients, or set it to Cluster.',
      ),
    ]
  }
  const means = `internalTrafficPolicy is Local: Pods are served only by endpoints of their own node (${works}).`
  return [onService(subject, 'internal-local', 'notice', INTERNAL, means)]
}

/** A virtual server has all endpoints then, if any address from outside leads to them, and none otherwise. */
function internalLocalInIpvs(subject: Subject, here: readonly PortView[]): Finding {
  const name = subject.view.node?.name ?? ''
  const empty = here.filter(({ servicePort }) => servicePort.endpoints.cluster.length === 0)
  const why = `internalTrafficPolicy is Local and no endpoint of it is on node ${name}`
  if (empty.length > 0) {
    const means = `${why}: what Pods there send to its cluster IP is refused (IPVS mode)${onlyFamilies(subject, empty)}. It works on ${describeNodes(subject)}.`
    const advice = 'Run a Pod of it on every node (a DaemonSet), or set internalTrafficPolicy to Cluster.'
    return onService(subject, 'internal-local-none-here', 'error', INTERNAL, means, advice)
  }
  const means = `${why}: in IPVS mode what Pods there send to its cluster IP goes to endpoints on other nodes instead, against the policy.`
  return onService(subject, 'internal-local-elsewhere', 'notice', INTERNAL, means)
}

/** Traffic from outside that comes in by this node is dropped. */
export const externalLocal: Check = (subject) => {
  const { service, view, client } = subject
  const local = subject.ports.filter(
    ({ servicePort }) => servicePort.externalPolicy === 'Local' && servicePort.externallyAccessible,
  )
  if (service === undefined || local.length === 0 || isWithoutUsable(subject)) return []
  const works = describeNodes(subject)
  const dropped = local.filter(({ servicePort }) => servicePort.external.kind === 'drop')
  const balanced = service.type === 'LoadBalancer' && service.healthCheckNodePort !== undefined
  // Clients of this node itself may go anywhere.
  const severity = client?.here === true || (balanced && client === undefined) ? 'notice' : 'error'
  if (view.node !== undefined && dropped.length > 0) {
    const avoided = balanced ? ' A load balancer that asks the health check node port sends nothing there.' : ''
    const means = `externalTrafficPolicy is Local and no endpoint of it is on node ${view.node.name}: what comes in from outside by this node ${fateOutside(subject, dropped)}${onlyFamilies(subject, dropped)}. It works by way of ${works}.${avoided}`
    const advice =
      'Send clients to the nodes that have endpoints, run a Pod of it on this node, or set externalTrafficPolicy to Cluster.'
    return [onService(subject, 'external-local-none-here', severity, EXTERNAL, means, advice)]
  }
  const without = nodesWithout(subject)
  if (without.length > 0 && !balanced) {
    const means = `externalTrafficPolicy is Local: clients outside get an answer only by way of ${works}; what comes in by ${join(without)} is dropped.`
    return [
      onService(
        subject,
        'external-local-some-nodes',
        'warning',
        EXTERNAL,
        means,
        'Send clients to the nodes that have endpoints, or set it to Cluster.',
      ),
    ]
  }
  const means = `externalTrafficPolicy is Local: clients outside are served only by endpoints of the node that they come in by (${works}), and servers see their addresses.`
  return [onService(subject, 'external-local', 'notice', EXTERNAL, means)]
}

function fateOutside(subject: Subject, dropped: readonly PortView[]): string {
  if (!isIpvs(subject)) return 'is dropped'
  return dropped.every(({ servicePort }) => servicePort.endpoints.cluster.length === 0)
    ? 'is refused (IPVS mode)'
    : 'goes to endpoints on other nodes without masquerading (IPVS mode), so their answers do not come back this way'
}

/** Load balancers find the nodes with endpoints by this port. */
export const noHealthCheckPort: Check = (subject) => {
  const { service, written } = subject
  if (service?.type !== 'LoadBalancer' || service.externalTrafficPolicy !== 'Local') return []
  if (service.healthCheckNodePort !== undefined) return []
  const means =
    'externalTrafficPolicy is Local and there is no health check node port: the load balancer can not tell which nodes have endpoints, and nodes without them drop what it sends.'
  const advice = `Set spec.healthCheckNodePort, or set the policy of ${written.name} to Cluster and back so that one is given.`
  return [onService(subject, 'no-health-check-port', 'warning', 'spec.healthCheckNodePort', means, advice)]
}

export const externalPolicyIgnored: Check = (subject) => {
  const { service } = subject
  if (service?.externalTrafficPolicy !== 'Local' || service.type !== 'ClusterIP' || service.listsExternalIPs) return []
  const means =
    'externalTrafficPolicy is Local and has no effect: the Service takes no traffic from outside. The policy for its cluster IP is internalTrafficPolicy.'
  return [onService(subject, 'external-policy-ignored', 'notice', EXTERNAL, means)]
}

/** An endpoint without node is local nowhere. */
export const endpointsWithoutNode: Check = (subject) => {
  const { service, slices } = subject
  const local =
    service?.internalTrafficPolicy === 'Local' ||
    subject.ports.some(({ servicePort }) => servicePort.externalPolicy === 'Local')
  const homeless = [
    ...new Set(
      slices.flatMap(({ endpoints }) =>
        endpoints.filter(({ nodeName, ready }) => nodeName === undefined && ready).map(({ ip }) => ip),
      ),
    ),
  ]
  if (!local || homeless.length === 0) return []
  const means = `A policy is Local, and ${count(homeless.length, 'endpoint')} ${homeless.length === 1 ? 'has' : 'have'} no nodeName, so no node counts ${homeless.length === 1 ? 'it' : 'them'} as its own: ${join(homeless)}.`
  return [
    onService(
      subject,
      'endpoint-without-node',
      'warning',
      service?.internalTrafficPolicy === 'Local' ? INTERNAL : EXTERNAL,
      means,
      'Write nodeName in the slices, or use policy Cluster.',
    ),
  ]
}

/**
 * Hints count only when every ready endpoint has them and one is meant for this zone.
 * https://kubernetes.io/docs/concepts/services-networking/topology-aware-routing/#safeguards
 */
export const hintsIgnored: Check = (subject) => {
  // Policy Local never looks at hints.
  const balanced = subject.ports.filter(
    ({ servicePort }) =>
      servicePort.internalPolicy === 'Cluster' ||
      (servicePort.externallyAccessible && servicePort.externalPolicy === 'Cluster'),
  )
  const view = balanced.find(({ endpoints }) => endpoints.some(({ ready }) => ready))
  if (view === undefined) return []
  const ready = view.endpoints.filter((endpoint) => endpoint.ready)
  const wanted = describeWish(subject)
  const hinted = ready.filter(hasHints)
  const advice =
    'See the zone labels of the nodes (topology.kubernetes.io/zone), and that each zone with clients has endpoints.'
  const found = (means: string, severity: 'warning' | 'notice' = 'warning') => [
    onService(
      subject,
      severity === 'warning' ? 'hints-ignored' : 'hints-apply',
      severity,
      wanted?.field ?? 'endpoints[].hints',
      means,
      severity === 'warning' ? advice : undefined,
    ),
  ]
  if (hinted.length === 0) {
    // Derived slices have the hints that the input allows, which without Nodes is none.
    if (wanted === undefined || !subject.hasSlices) return []
    return found(`${wanted.says}, and its endpoints have no hints, so every client is sent to endpoints of all zones.`)
  }
  if (hinted.length < ready.length) {
    const without = ready.filter((endpoint) => !hasHints(endpoint)).map(({ text }) => text)
    return found(
      `Topology hints are ignored, because ${count(without.length, 'ready endpoint')} ${without.length === 1 ? 'has' : 'have'} none: ${join(without)}.`,
    )
  }
  return hintsOnNode(subject, view, ready, found)
}

function hintsOnNode(
  { view: { node } }: Subject,
  view: PortView,
  ready: readonly Endpoint[],
  found: (means: string, severity?: 'warning' | 'notice') => readonly Finding[],
): readonly Finding[] {
  if (node === undefined) return []
  const forNode =
    ready.every(({ nodeHints }) => nodeHints !== undefined) &&
    ready.filter(({ nodeHints }) => nodeHints?.includes(node.name))
  const forZone =
    ready.every(({ zoneHints }) => zoneHints !== undefined) &&
    ready.filter(({ zoneHints }) => zoneHints?.includes(node.zone))
  const near = forNode && forNode.length > 0 ? forNode : forZone && forZone.length > 0 ? forZone : undefined
  const place = near === forNode ? `node ${node.name}` : `zone ${node.zone}`
  if (near !== undefined) {
    return near.length === ready.length
      ? []
      : found(
          `Topology hints apply: from ${place}, ${portTitle(view.written)} is served by ${count(near.length, 'endpoint')} of ${ready.length}.`,
          'notice',
        )
  }
  if (node.zone === '')
    return found(`Topology hints are ignored on node ${node.name}, because the Node has no zone label.`)
  return found(
    `Topology hints are ignored on node ${node.name}, because no endpoint is meant for its zone ${node.zone}.`,
  )
}

export const affinity: Check = (subject) => {
  const seconds = subject.service?.affinitySeconds
  if (seconds === undefined || !isServed(subject)) return []
  const means = `sessionAffinity is ClientIP: a client goes to the same endpoint until it is silent for ${seconds} seconds, and clients behind one address count as one.`
  return [onService(subject, 'affinity', 'notice', 'spec.sessionAffinity', means)]
}

/** Why servers see a node instead of the client. */
export const sourceHidden: Check = (subject) => {
  const hidden = subject.ports.some(
    ({ servicePort }) => servicePort.externallyAccessible && servicePort.externalPolicy === 'Cluster',
  )
  if (!hidden) return []
  const means =
    'externalTrafficPolicy is Cluster: servers see clients from outside with the address of the node that they came in by.'
  return [
    onService(
      subject,
      'source-hidden',
      'notice',
      EXTERNAL,
      means,
      'Set it to Local if servers must see the addresses of clients.',
    ),
  ]
}

/** ` (IPv4 only)` when the Service has the other family too, and that works. */
function onlyFamilies({ ports }: Subject, concerned: readonly PortView[]): string {
  const families = new Set(concerned.map(({ family }) => family))
  if (ports.every(({ family }) => families.has(family))) return ''
  return ` (${[...families].map(familyName).join()} only)`
}

/** Without any usable endpoint policies don't matter. */
function isWithoutUsable({ ports }: Subject): boolean {
  return ports.every(
    ({ servicePort }) => servicePort.internal.kind === 'reject' && servicePort.external.kind === 'reject',
  )
}

/** Nodes of the input without an endpoint. A single Node is more likely the one to look at than all there are. */
function nodesWithout(subject: Subject): readonly string[] {
  const { nodes } = subject.cluster.snapshot
  if (nodes.size < 2 && !subject.cluster.complete) return []
  const ready = readyNodes(subject)
  return [...nodes.keys()].filter((name) => !ready.has(name)).toSorted()
}

function describeNodes(subject: Subject): string {
  const nodes = [...readyNodes(subject)].toSorted()
  return nodes.length === 0 ? 'no node that is known' : `${nodes.length === 1 ? 'node' : 'nodes'} ${join(nodes)}`
}

function hasHints({ zoneHints, nodeHints }: Endpoint): boolean {
  return zoneHints !== undefined || nodeHints !== undefined
}

function describeWish({ written }: Subject): { readonly field: string; readonly says: string } | undefined {
  const { trafficDistribution, topologyMode } = written
  if (topologyMode !== undefined && /^auto$/i.test(topologyMode)) {
    return { field: 'metadata.annotations', says: `Topology mode is ${topologyMode}` }
  }
  return trafficDistribution === undefined
    ? undefined
    : { field: 'spec.trafficDistribution', says: `trafficDistribution is ${trafficDistribution}` }
}
