// What changes for whom when a node's Services move to another mode or proxy, in words, from the objects alone. Facts: the
// rules and virtual servers that kube-proxy 1.36.2 makes in each mode.
import type { IptablesSettings } from '../iptables/settings.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { ObjectKey } from '../model/object-name.ts'
import type { ServicePort } from '../model/service-port.ts'
import { findConflicts } from '../resolve/conflicts.ts'
import { forEveryService, leftBehind } from './migrate-general.ts'
import type { Migration, MigrationInput } from './migration.ts'

export interface MigrationReport {
  /** What changes for all. */
  readonly general: readonly string[]
  /** By Service; those for which nothing more changes are absent. */
  readonly services: ReadonlyMap<ObjectKey, readonly string[]>
  /** What the old one leaves, and what to do about it. */
  readonly left: readonly string[]
}

/** `inputs` are the families of one node. */
export function describeMigration(to: Migration, inputs: readonly MigrationInput[]): MigrationReport {
  const services = new Map<ObjectKey, string[]>()
  const say = (service: ObjectKey, statement: string) => {
    const statements = services.get(service) ?? []
    if (!statements.includes(statement)) statements.push(statement)
    services.set(service, statements)
  }
  for (const input of inputs) {
    for (const port of input.servicePorts) {
      for (const statement of to === 'sluice' ? changesToSluice(port) : changesOfMode(port, to, input)) {
        say(port.service, `${port.name}: ${statement}`)
      }
    }
    if (to !== 'sluice') continue
    for (const { at, message } of findConflicts(input.servicePorts)) {
      const service = (at.object ?? '').slice('Service '.length)
      say(service, `${message}; with kube-proxy chance decides anew at each of its syncs, with sluice the names do`)
    }
  }
  const sorted = [...services].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return { general: forEveryService(to, inputs), services: new Map(sorted), left: leftBehind(to, inputs) }
}

function changesToSluice({ protocol }: ServicePort): readonly string[] {
  if (protocol !== 'udp') return []
  return [
    'UDP clients of an endpoint that is gone, or of a port or Service that was deleted: sluice ends their flows, while kube-proxy may leave them sending into nothing',
  ]
}

/** One difference: who notices, and what happens to them in each mode. */
interface Difference {
  readonly who: string
  readonly iptables: string
  readonly ipvs: string
}

function changesOfMode(port: ServicePort, to: 'iptables' | 'ipvs', input: MigrationInput): readonly string[] {
  const differences = [
    ...onLocalhost(port, input.settings),
    ...withoutEndpoints(port),
    ...withoutLocalEndpoints(port),
    ...shortCut(port),
    ...affinity(port),
    ...boundAddresses(port, input.config),
  ]
  return differences.map((difference) => {
    const [after, before] =
      to === 'ipvs' ? [difference.ipvs, difference.iptables] : [difference.iptables, difference.ipvs]
    return `${difference.who}: until now they ${before}; then they ${after}`
  })
}

function onLocalhost({ nodePort }: ServicePort, { localhostNodePorts }: IptablesSettings): readonly Difference[] {
  if (nodePort === undefined || !localhostNodePorts) return []
  return [
    {
      who: `processes on the node that use 127.0.0.1:${nodePort}`,
      iptables: 'reach an endpoint',
      ipvs: "reach nothing, since IPVS serves node ports on the node's other addresses only",
    },
  ]
}

function withoutEndpoints({
  internal,
  external,
  externallyAccessible,
  sourceRanges,
}: ServicePort): readonly Difference[] {
  if (internal.kind !== 'reject' && external.kind !== 'reject') return []
  const ranges =
    externallyAccessible && sourceRanges.length > 0
      ? ', those from outside the source ranges being dropped even so'
      : ''
  return [
    {
      who: 'clients, while no endpoint serves',
      iptables: 'get a REJECT at once',
      ipvs: `meet a virtual server without real servers, for which there is no REJECT rule${ranges}`,
    },
  ]
}

function withoutLocalEndpoints({
  internal,
  external,
  externallyAccessible,
  endpoints,
}: ServicePort): readonly Difference[] {
  const elsewhere = endpoints.cluster.length > 0
  const differences: Difference[] = []
  if (internal.kind === 'drop') {
    differences.push({
      who: 'clients of the cluster IP (internalTrafficPolicy Local, no endpoint on this node)',
      iptables: 'have their packets dropped',
      ipvs: elsewhere ? 'reach endpoints on other nodes' : 'meet a virtual server without real servers',
    })
  }
  if (external.kind === 'drop' && externallyAccessible) {
    differences.push({
      who: 'clients from outside (externalTrafficPolicy Local, no endpoint on this node)',
      iptables: 'have their packets dropped',
      ipvs: elsewhere
        ? 'are sent to endpoints on other nodes, and not masqueraded, so that answers take another way'
        : 'meet a virtual server without real servers',
    })
  }
  return differences
}

/** The way of pods and of the node itself past externalTrafficPolicy Local. */
function shortCut({ external, externalPolicy, externallyAccessible, endpoints }: ServicePort): readonly Difference[] {
  const { cluster, local } = endpoints
  if (externalPolicy !== 'Local' || !externallyAccessible || external.kind !== 'balance') return []
  if (cluster.every((endpoint) => local.includes(endpoint))) return []
  return [
    {
      who: 'pods of this node and the node itself that use node port, external or load-balancer IP (externalTrafficPolicy Local)',
      iptables: 'reach every endpoint',
      ipvs: 'reach the endpoints of this node only',
    },
  ]
}

function affinity({ affinitySeconds }: ServicePort): readonly Difference[] {
  if (affinitySeconds === undefined) return []
  return [
    {
      who: `clients with session affinity (${affinitySeconds} s, and forgotten once by the change)`,
      iptables: 'are kept at their endpoint by a list per endpoint',
      ipvs: 'are kept at their endpoint by IPVS persistence',
    },
  ]
}

function boundAddresses({ externalIPs, loadBalancerIPs }: ServicePort, { ipvs }: ProxyConfig): readonly Difference[] {
  const addresses = [...new Set([...externalIPs, ...loadBalancerIPs])]
  if (addresses.length === 0) return []
  const arp = ipvs.strictARP ? '' : ', and every node answers ARP for them unless ipvs.strictARP is set'
  return [
    {
      who: `hosts that look for ${addresses.join(', ')}`,
      iptables: 'find the addresses only where something else has them',
      ipvs: `find the addresses on the node's kube-ipvs0${arp}`,
    },
  ]
}
