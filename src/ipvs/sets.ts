// The sets of IPVS mode: their names, which operators know from kube-proxy, their types, and how the comments of the
// rules that use them describe them (spec: kube-proxy's pkg/proxy/ipvs/proxier.go, ipsetInfo).
import { maxelemFor, type SetHeader, type SetName, type SetType } from '../ipset/ip-set.ts'
import type { Family } from '../model/address.ts'

interface SetKind {
  readonly type: SetType
  readonly comment: string
}

/** By IPv4 name, in order of creation. */
const KINDS = {
  'KUBE-LOOP-BACK': kubernetes('hash:ip,port,ip', 'endpoints dst ip:port, source ip for solving hairpin purpose'),
  'KUBE-CLUSTER-IP': kubernetes('hash:ip,port', 'service cluster ip + port for masquerade purpose'),
  'KUBE-EXTERNAL-IP': kubernetes('hash:ip,port', 'service external ip + port for masquerade and filter purpose'),
  'KUBE-EXTERNAL-IP-LOCAL': kubernetes('hash:ip,port', 'service external ip + port with externalTrafficPolicy=local'),
  'KUBE-LOAD-BALANCER': kubernetes('hash:ip,port', 'service lb portal'),
  'KUBE-LOAD-BALANCER-FW': kubernetes(
    'hash:ip,port',
    'service load balancer ip + port for load balancer with sourceRange',
  ),
  'KUBE-LOAD-BALANCER-LOCAL': kubernetes(
    'hash:ip,port',
    'service load balancer ip + port with externalTrafficPolicy=local',
  ),
  'KUBE-LOAD-BALANCER-SOURCE-IP': kubernetes(
    'hash:ip,port,ip',
    'service load balancer ip + port + source IP for packet filter purpose',
  ),
  'KUBE-LOAD-BALANCER-SOURCE-CIDR': kubernetes(
    'hash:ip,port,net',
    'service load balancer ip + port + source cidr for packet filter purpose',
  ),
  'KUBE-NODE-PORT-TCP': kubernetes('bitmap:port', 'nodeport TCP port for masquerade purpose'),
  'KUBE-NODE-PORT-LOCAL-TCP': kubernetes('bitmap:port', 'nodeport TCP port with externalTrafficPolicy=local'),
  'KUBE-NODE-PORT-UDP': kubernetes('bitmap:port', 'nodeport UDP port for masquerade purpose'),
  'KUBE-NODE-PORT-LOCAL-UDP': kubernetes('bitmap:port', 'nodeport UDP port with externalTrafficPolicy=local'),
  'KUBE-NODE-PORT-SCTP-HASH': kubernetes(
    'hash:ip,port',
    "nodeport SCTP port for masquerade purpose with type 'hash ip:port'",
  ),
  'KUBE-NODE-PORT-LOCAL-SCTP-HASH': kubernetes(
    'hash:ip,port',
    "nodeport SCTP port with externalTrafficPolicy=local with type 'hash ip:port'",
  ),
  'KUBE-HEALTH-CHECK-NODE-PORT': kubernetes('bitmap:port', 'health check node port'),
  'KUBE-IPVS-IPS': { type: 'hash:ip', comment: 'Addresses on the ipvs interface' },
} as const satisfies Record<string, SetKind>

/** A set by its IPv4 name, which stands for the set of either family. */
export type BaseSetName = keyof typeof KINDS

/** IPv4 names, in order of creation. */
export const SET_NAMES = Object.keys(KINDS) as readonly BaseSetName[]

/** The kernel's limit (IPSET_MAXNAMELEN, without the closing zero). */
const LONGEST_NAME = 31

/** The set's name in one family: `KUBE-6-` begins those of IPv6, and what is too long is cut off. */
export function setName(name: BaseSetName, family: Family): SetName {
  return NAMES[family][name]
}

/** What the comments of rules call the set. */
export function setComment(name: BaseSetName): string {
  return KINDS[name].comment
}

/** How a set is created that has to hold this many entries. */
export function setHeader(name: BaseSetName, family: Family, entries: number): SetHeader {
  const { type } = KINDS[name]
  if (type === 'bitmap:port') return { name: setName(name, family), type }
  return { name: setName(name, family), type, family, maxelem: maxelemFor(entries) }
}

function kubernetes(type: SetType, purpose: string): SetKind {
  return { type, comment: `Kubernetes ${purpose}` }
}

function namesOf(family: Family): Readonly<Record<BaseSetName, SetName>> {
  const nameOf = (name: string) => (family === 'ipv4' ? name : name.replace('KUBE-', 'KUBE-6-').slice(0, LONGEST_NAME))
  return Object.fromEntries(SET_NAMES.map((name) => [name, nameOf(name)])) as Record<BaseSetName, SetName>
}

const NAMES: Readonly<Record<Family, Readonly<Record<BaseSetName, SetName>>>> = {
  ipv4: namesOf('ipv4'),
  ipv6: namesOf('ipv6'),
}
