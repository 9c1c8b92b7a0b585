// By which addresses and ports a node's rules let packets in to each port of a Service, from the chains that all Services
// share. It reads rules and not Services, so that a picture of a dump is drawn as one of manifests is.
import { EXTERNAL_SERVICES, NODE_PORTS, PROXY_FIREWALL, SERVICES } from '../iptables/names.ts'
import { type ChainName, jumpTarget, type Rule, type Ruleset, type TableName } from '../iptables/rule.ts'
import { commentOf, serviceOfComment } from '../iptables/simulate-steps.ts'
import { type Cidr, type Family, formatEndpoint, hostCidr, type Ip, networkAddress } from '../model/address.ts'

/**
 * `external address`: an external IP or a load-balancer IP; rules that refuse don't tell which. `virtual server`: IPVS
 * has it, and no set tells what it is.
 */
export type EntranceKind =
  | 'cluster IP'
  | 'external IP'
  | 'load-balancer IP'
  | 'external address'
  | 'node port'
  | 'virtual server'

export interface Entrance {
  readonly kind: EntranceKind
  /** Absent for a node port in iptables mode. */
  readonly ip?: Ip
  readonly port: number
  /** Where the nat table sends the packet. */
  readonly chain?: ChainName
  readonly refusal?: Refusal
}

/** By a rule of the filter table. */
export interface Refusal {
  readonly kind: 'drop' | 'reject'
  readonly chain: ChainName
  /** `no endpoints`, `no endpoint on this node`, `not in the source ranges` */
  readonly because: string
}

/** What the shared chains hold of one port of a Service. */
export interface PortRules {
  /** `shop/web` */
  readonly service: string
  /** `shop/web:http`, as comments have it. */
  readonly name: string
  readonly protocol: string
  readonly family: Family
  readonly entrances: readonly Entrance[]
}

/** `10.96.1.10:80/tcp`; of a node port of any address `30380/tcp`. */
export function entranceText({ ip, port }: Entrance, protocol: string): string {
  return `${ip === undefined ? port : formatEndpoint(ip, port)}/${protocol}`
}

interface Open {
  readonly name: string
  readonly protocol: string
  /** By address and port. */
  readonly entrances: Map<string, Entrance>
}

const CHAINS: readonly (readonly [TableName, ChainName])[] = [
  ['nat', SERVICES],
  ['nat', NODE_PORTS],
  ['filter', SERVICES],
  ['filter', EXTERNAL_SERVICES],
  ['filter', PROXY_FIREWALL],
]

/** Sorted by name, then protocol. Rules without the comment of a Service are nobody's. */
export function readEntrances({ family, tables }: Ruleset): readonly PortRules[] {
  const ports = new Map<string, Open>()
  for (const [table, chain] of CHAINS) {
    for (const rule of tables.get(table)?.get(chain)?.rules ?? []) addRule(ports, rule, table, chain)
  }
  return [...ports.values()]
    .toSorted((a, b) => (a.name === b.name ? compare(a.protocol, b.protocol) : compare(a.name, b.name)))
    .map(({ name, protocol, entrances }) => ({
      service: name.split(':', 1)[0] ?? name,
      name,
      protocol,
      family,
      entrances: [...entrances.values()],
    }))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function addRule(ports: Map<string, Open>, rule: Rule, table: TableName, chain: ChainName): void {
  const comment = commentOf(rule)
  const name = serviceOfComment(comment)
  const place = placeOf(rule)
  if (name === undefined || place === undefined) return
  const key = `${name} ${place.protocol}`
  const open = ports.get(key) ?? { name, protocol: place.protocol, entrances: new Map<string, Entrance>() }
  ports.set(key, open)
  const at = `${place.ip ?? 'node port'} ${place.port}`
  const known = open.entrances.get(at)
  const kind = known?.kind ?? kindOf(comment, table, chain, place.ip)
  const { protocol: _, ...where } = place
  open.entrances.set(at, { ...known, kind, ...where, ...leadsTo(rule, table, chain) })
}

interface Place {
  readonly protocol: string
  readonly ip?: Ip
  readonly port: number
}

/** What packets must have to be meant. A range of 127.0.0.0/8 only counts those that come by loopback. */
function placeOf({ destination, protocol, matches }: Rule): Place | undefined {
  const ip = destination === undefined ? undefined : onlyAddress(destination.value)
  for (const match of matches) {
    if (match.kind !== 'ports' || match.destination === undefined || protocol === undefined) continue
    return { protocol: protocol.value, ...(ip !== undefined && { ip }), port: match.destination.value.from }
  }
  return undefined
}

/** Undefined for a network of several. */
function onlyAddress(cidr: Cidr): Ip | undefined {
  const ip = networkAddress(cidr)
  return hostCidr(ip) === cidr ? ip : undefined
}

function kindOf(comment: string, table: TableName, chain: ChainName, ip: Ip | undefined): EntranceKind {
  if (ip === undefined) return 'node port'
  if (comment.endsWith(' cluster IP') || (table === 'filter' && chain === SERVICES)) return 'cluster IP'
  if (comment.endsWith(' external IP')) return 'external IP'
  return comment.endsWith(' loadbalancer IP') ? 'load-balancer IP' : 'external address'
}

function leadsTo(rule: Rule, table: TableName, chain: ChainName): Pick<Entrance, 'chain' | 'refusal'> {
  const to = jumpTarget(rule)
  if (table === 'nat') return to === undefined ? {} : { chain: to }
  const kind = rule.target?.kind
  if (kind !== 'drop' && kind !== 'reject') return {}
  return { refusal: { kind, chain, because: reasonOf(commentOf(rule)) } }
}

function reasonOf(comment: string): string {
  if (comment.endsWith(' has no endpoints')) return 'no endpoints'
  if (comment.endsWith(' has no local endpoints')) return 'no endpoint on this node'
  return comment.includes(' traffic not accepted by ') ? 'not in the source ranges' : comment
}
