// What becomes of one client's connections to each address of a Service, by the rules of the node that decide.
import { cidrContains, type Family, familyOfIp, type Ip } from '../model/address.ts'
import type { Endpoint, ServicePort } from '../model/service-port.ts'
import { localDetector } from '../resolve/node-facts.ts'
import { servedNodeAddresses } from './addresses.ts'
import type { Client } from './client.ts'
import type { Finding } from './finding.ts'
import { ipvsEndpoints, isIpvs } from './ipvs.ts'
import { type Check, isServed, onService, type Subject } from './subject.ts'
import { count, familyName, join } from './words.ts'

export interface ClientPath {
  /** `cluster IP 10.96.0.10:80/tcp` */
  readonly to: string
  readonly outcome: PathOutcome
  readonly endpoints: readonly string[]
  /** Whose address the servers see; absent when there is no answer. */
  readonly seenAs?: 'the client' | 'the node'
}

export type PathOutcome = 'served' | 'dropped' | 'refused' | 'excluded by source ranges' | 'not routed from there'

/** In the order cluster IP, external IPs, load balancer, node port; ports of the client's family. */
export function clientPaths(subject: Subject, client: Client): readonly ClientPath[] {
  const family = familyOfIp(client.ip)
  const ports = subject.ports.filter((view) => view.family === family).map(({ servicePort }) => servicePort)
  return ports.flatMap((port) => {
    const at = (ip: Ip) => `${ip.includes(':') ? `[${ip}]` : ip}:${port.port}/${port.protocol}`
    const guarded = port.sourceRanges.length > 0 && !port.sourceRanges.some((range) => cidrContains(range, client.ip))
    return [
      internalPath(subject, client, port, `cluster IP ${at(port.clusterIP)}`),
      ...port.externalIPs.map((ip) => externalPath(subject, client, port, `external IP ${at(ip)}`)),
      ...port.loadBalancerIPs.map((ip): ClientPath => {
        const to = `load balancer ${at(ip)}`
        return guarded && (isIpvs(subject) || port.external.kind !== 'reject')
          ? { to, outcome: 'excluded by source ranges', endpoints: [] }
          : externalPath(subject, client, port, to)
      }),
      ...(port.nodePort === undefined || servedNodeAddresses(subject, family).length === 0
        ? []
        : [externalPath(subject, client, port, `node port ${port.nodePort}/${port.protocol}`)]),
    ]
  })
}

function internalPath(subject: Subject, client: Client, port: ServicePort, to: string): ClientPath {
  if (client.kind === 'outside') return { to, outcome: 'not routed from there', endpoints: [] }
  const masquerade = subject.view.config.masqueradeAll || !isFromPodsOfNode(subject, client, port.family)
  if (isIpvs(subject)) return followIpvs(client, to, ipvsEndpoints(port, port.internalPolicy), masquerade)
  return follow(
    client,
    port,
    to,
    port.internal.kind === 'balance' ? port.endpoints[port.internal.over] : [],
    port.internal.kind,
    masquerade,
  )
}

/** Under policy Local, the node's own Pods and programs may go to any endpoint. */
function externalPath(subject: Subject, client: Client, port: ServicePort, to: string): ClientPath {
  const { externalPolicy, external, endpoints } = port
  if (isIpvs(subject)) return followIpvs(client, to, ipvsEndpoints(port, externalPolicy), externalPolicy === 'Cluster')
  const own = isFromPodsOfNode(subject, client, port.family)
  const node = client.kind === 'node' && client.here
  if (externalPolicy === 'Local' && external.kind !== 'reject' && (own || node)) {
    return follow(client, port, to, endpoints.cluster, endpoints.cluster.length > 0 ? 'balance' : 'drop', node)
  }
  return follow(
    client,
    port,
    to,
    external.kind === 'balance' ? endpoints[external.over] : [],
    external.kind,
    externalPolicy === 'Cluster',
  )
}

/** A virtual server without real servers refuses; it has one list of them for every client. */
function followIpvs(client: Client, to: string, endpoints: readonly Endpoint[], masquerade: boolean): ClientPath {
  if (endpoints.length === 0) return { to, outcome: 'refused', endpoints: [] }
  const hairpin = endpoints.every(({ ip }) => ip === client.ip)
  const seenAs = masquerade || hairpin ? 'the node' : 'the client'
  return { to, outcome: 'served', endpoints: endpoints.map(({ text }) => text), seenAs }
}

function follow(
  client: Client,
  _port: ServicePort,
  to: string,
  endpoints: readonly Endpoint[],
  kind: 'balance' | 'drop' | 'reject',
  masquerade: boolean,
): ClientPath {
  if (kind !== 'balance') return { to, outcome: kind === 'drop' ? 'dropped' : 'refused', endpoints: [] }
  const hairpin = endpoints.length > 0 && endpoints.every(({ ip }) => ip === client.ip)
  const seenAs = masquerade || hairpin ? 'the node' : 'the client'
  return { to, outcome: 'served', endpoints: endpoints.map(({ text }) => text), seenAs }
}

function isFromPodsOfNode({ view: { config, node } }: Subject, client: Client, family: Family): boolean {
  if (client.kind !== 'pod' || node === undefined) return false
  const detector = localDetector(config, node, family)
  if (detector === undefined) return false
  return detector.kind === 'source' ? cidrContains(detector.cidr, client.ip) : client.here
}

/** The family of the client's address must be one of the Service's. */
export const clientFamily: Check = (subject) => {
  const { client, ports } = subject
  if (client === undefined || !isServed(subject)) return []
  const family = familyOfIp(client.ip)
  if (ports.some((view) => view.family === family)) return []
  const has = join([...new Set(ports.map((view) => familyName(view.family)))])
  const means = `The client is ${familyName(family)} and the Service has only ${has} addresses: it must connect by ${has}.`
  return [
    onService(
      subject,
      'client-family',
      'error',
      'spec.ipFamilies',
      means,
      'Set spec.ipFamilyPolicy to PreferDualStack, or use the other family on the client.',
    ),
  ]
}

/** Addresses at which this client gets no answer, where no other check has said why. */
export const clientUnserved: Check = (subject) => {
  const { client, view } = subject
  if (client === undefined || !isServed(subject)) return []
  const found: Finding[] = []
  const elsewhere = client.kind !== 'outside' && client.node !== undefined && !client.here
  if (elsewhere && view.node !== undefined) {
    const means = `The client is on node ${client.node}, whose rules decide on its connections; these findings are for node ${view.node.name}.`
    found.push({
      severity: 'warning',
      check: 'client-on-other-node',
      at: { object: `node ${view.node.name}` },
      means,
      advice: `Give --node ${client.node}.`,
    })
  }
  if (client.kind === 'outside') {
    const entries = clientPaths(subject, client).filter(({ outcome }) => outcome !== 'not routed from there')
    if (entries.length === 0) {
      const means =
        'The client is outside the cluster, and the Service has only a cluster IP, which is not routed there.'
      found.push(
        onService(
          subject,
          'client-outside',
          'error',
          'spec.type',
          means,
          'Use type NodePort or LoadBalancer, an Ingress or Gateway, or kubectl port-forward.',
        ),
      )
    }
  }
  return [...found, ...servesItself(subject, client)]
}

function servesItself(subject: Subject, client: Client): readonly Finding[] {
  const own = subject.ports.some(({ endpoints }) => endpoints.some(({ ip, ready }) => ip === client.ip && ready))
  if (!own || client.kind !== 'pod') return []
  const means = `The client serves this Service itself: of its connections, those that come back to it are masqueraded, so it sees the address of its node.`
  const advice =
    'If just these fail, set hairpin mode on the bridge of the pod network (kubelet --hairpin-mode, or the CNI).'
  return [onService(subject, 'client-is-endpoint', 'notice', undefined, means, advice)]
}

/** `served by 2 endpoints (10.0.0.1:80, ...), which see the client` */
export function describeOutcome({ outcome, endpoints, seenAs }: ClientPath): string {
  if (outcome !== 'served') return outcome
  return `served by ${count(endpoints.length, 'endpoint')} (${join(endpoints, 3)}), which ${endpoints.length === 1 ? 'sees' : 'see'} the address of ${seenAs ?? 'the client'}`
}
