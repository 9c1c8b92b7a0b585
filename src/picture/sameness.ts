// When the way of one Service tells that of another. The simulator is asked once for all ports whose rules are the same
// but for names, addresses and chains; that holds only where no other rule tells these addresses from each other.
import { isServiceChain } from '../iptables/names.ts'
import type { Rule, Ruleset } from '../iptables/rule.ts'
import { commentOf, serviceOfComment } from '../iptables/simulate-steps.ts'
import { type Cidr, cidrContains, hostCidr, type Ip, networkAddress } from '../model/address.ts'
import { isLocal, type NodeNetwork, routeTo } from '../packet/network.ts'
import { exampleSource } from '../packet/origin.ts'
import type { PortRules } from './entrances.ts'
import { CLIENTS } from './ways.ts'

const SERVICE_CHAINS = new Set(['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-EXTERNAL-SERVICES', 'KUBE-PROXY-FIREWALL'])

/** Whether no rule beside those of Services looks at an address, a port, or something that the model doesn't know. */
export function tellsNoAddresses({ tables }: Ruleset, network: NodeNetwork): boolean {
  for (const table of tables.values()) {
    for (const [name, { rules }] of table) {
      if (isServiceChain(name)) continue
      const shared = SERVICE_CHAINS.has(name)
      for (const rule of rules) {
        if (shared && serviceOfComment(commentOf(rule)) !== undefined) continue
        if (looksAtAddresses(rule, network)) return false
      }
    }
  }
  return true
}

/** The rule tells addresses or ports from each other, or may. */
export function looksAtAddresses({ source, destination, matches, target }: Rule, network: NodeNetwork): boolean {
  const tells = (range: { readonly value: Cidr } | undefined) => {
    if (range === undefined) return false
    const ip = networkAddress(range.value)
    // What is local is told from the rest anyway.
    return !(isLocal(network, ip) && (hostCidr(ip) === range.value || ip.startsWith('127.')))
  }
  if (tells(source) || tells(destination) || target?.kind === 'unknown') return true
  return matches.some(({ kind }) => kind === 'ports' || kind === 'set' || kind === 'unknown' || kind === 'statistic')
}

export type Distinction = (ports: PortRules, endpoints: readonly string[]) => string

/**
 * What distinguishes the addresses of a port for the simulator: how they are routed, and who else has them. Ports of the
 * same form with equal distinctions have equal ways.
 */
export function createDistinction(all: readonly PortRules[], network: NodeNetwork): Distinction {
  const claims = new Map<string, number>()
  for (const { protocol, entrances } of all) {
    for (const { ip, port } of entrances) {
      const key = `${protocol} ${ip ?? ''} ${port}`
      claims.set(key, (claims.get(key) ?? 0) + 1)
      if (ip !== undefined) claims.set(ip, (claims.get(ip) ?? 0) + 1)
    }
  }
  const places = new Map<string, string>()
  const clients = new Set(CLIENTS.flatMap((client) => exampleSource(network, client, network.nodeIP) ?? []))
  const placeOf = (ip: Ip) => {
    const known = places.get(ip)
    if (known !== undefined) return known
    // What belongs to the node, or to an example of a client, is like nothing else.
    const own = isLocal(network, ip) || clients.has(ip) ? ip : ''
    const { name = '', address } = routeTo(network, ip)
    const inside = [network.podCIDRs, network.clusterCIDRs].map((cidrs) => cidrs.some((cidr) => cidrContains(cidr, ip)))
    const place = `${own} ${name} ${address} ${inside.join(' ')} ${network.otherNodes.includes(ip)}`
    places.set(ip, place)
    return place
  }
  return ({ name, protocol, entrances }, endpoints) => {
    const ways = entrances.map(({ ip, port }) => {
      if ((claims.get(`${protocol} ${ip ?? ''} ${port}`) ?? 0) > 1) return name
      return ip === undefined ? '' : placeOf(ip)
    })
    const ends = endpoints.map((text) => {
      const ip = text.replace(/:\d+$/, '').replace(/^\[|\]$/g, '') as Ip
      return claims.has(ip) ? text : placeOf(ip)
    })
    return [...ways, ...ends].join('|')
  }
}
