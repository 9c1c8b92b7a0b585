// By which virtual servers a node's IPVS lets packets in to each port of a Service, and what kind of address each has by
// the sets around it. Nothing in the kernel names Services, so whoever knows the objects tells whose a virtual server is;
// what nobody knows stands for itself.
import type { Ruleset } from '../iptables/rule.ts'
import type { SavedSets } from '../iptables/simulate-sets.ts'
import type { SavedService } from '../ipvs/parse.ts'
import { type BaseSetName, setName } from '../ipvs/sets.ts'
import { type ServerAddress, serverAddress, setEntry } from '../ipvs/simulate-served.ts'
import { type Family, formatEndpoint, type Ip } from '../model/address.ts'
import type { Entrance, EntranceKind, PortRules } from './entrances.ts'

/** What a node has in IPVS mode, for one family. */
export interface IpvsRules {
  readonly family: Family
  readonly ruleset: Ruleset
  /** Of any family; those of firewall marks are nobody's entrance. */
  readonly virtualServers: readonly SavedService[]
  /** Absent when they are not known: then kinds and decisions are not either. */
  readonly sets?: SavedSets
  /** `shop/web:http`, as far as it is known. */
  readonly ownerOf: (server: ServerAddress) => string | undefined
}

export interface ServedEntrance extends Entrance {
  readonly ip: Ip
  readonly server: SavedService
}

export interface ServedPortRules extends PortRules {
  readonly entrances: readonly ServedEntrance[]
}

/** Sorted by name, then protocol; the entrances by kind. A virtual server that nobody owns is a Service by itself. */
export function readVirtualServers(rules: IpvsRules): readonly ServedPortRules[] {
  const ports = new Map<string, ServedPortRules & { readonly entrances: ServedEntrance[] }>()
  for (const server of rules.virtualServers) {
    const served = serverAddress(server)
    if (served === undefined || served.ip.includes(':') !== (rules.family === 'ipv6')) continue
    const { protocol, ip, port } = served
    const owner = rules.ownerOf(served)
    const name = owner ?? formatEndpoint(ip, port)
    const key = `${name} ${protocol}`
    const service = owner === undefined ? `${name}/${protocol}` : (owner.split(':', 1)[0] ?? owner)
    const open = ports.get(key) ?? { service, name, protocol, family: rules.family, entrances: [] }
    ports.set(key, open)
    open.entrances.push({ kind: kindOf(rules, served), ip, port, server })
  }
  const sorted = [...ports].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, port]) => port)
  for (const { entrances } of sorted) entrances.sort((a, b) => orderOf(a) - orderOf(b) || (a.ip < b.ip ? -1 : 1))
  return sorted
}

const KINDS: readonly (readonly [EntranceKind, readonly BaseSetName[]])[] = [
  ['cluster IP', ['KUBE-CLUSTER-IP']],
  ['external IP', ['KUBE-EXTERNAL-IP', 'KUBE-EXTERNAL-IP-LOCAL']],
  ['load-balancer IP', ['KUBE-LOAD-BALANCER']],
]
const NODE_PORTS: Readonly<Record<string, BaseSetName>> = {
  tcp: 'KUBE-NODE-PORT-TCP',
  udp: 'KUBE-NODE-PORT-UDP',
  sctp: 'KUBE-NODE-PORT-SCTP-HASH',
}

function kindOf({ sets, family }: IpvsRules, { protocol, ip, port }: ServerAddress): EntranceKind {
  const has = (name: BaseSetName, entry: string) => sets?.get(setName(name, family))?.entries.has(entry) === true
  const entry = setEntry(protocol, ip, port)
  for (const [kind, names] of KINDS) if (names.some((name) => has(name, entry))) return kind
  const nodePorts = NODE_PORTS[protocol]
  if (nodePorts === undefined) return 'virtual server'
  return has(nodePorts, protocol === 'sctp' ? entry : String(port)) ? 'node port' : 'virtual server'
}

const ORDER: readonly EntranceKind[] = ['cluster IP', 'external IP', 'load-balancer IP', 'node port', 'virtual server']

function orderOf({ kind }: Entrance): number {
  return ORDER.indexOf(kind)
}
