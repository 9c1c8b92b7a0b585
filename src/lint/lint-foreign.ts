// Rules of others that stand in the way: before the proxy's jumps in base chains, where they may end a packet's way, and
// within the proxy's own chains.
import { isProxyChain } from '../compare/owners.ts'
import { isBaseChain } from '../iptables/base-chains.ts'
import { isServiceChain } from '../iptables/names.ts'
import { printRule } from '../iptables/print-rule.ts'
import type { ChainName, Ruleset } from '../iptables/rule.ts'
import { type Cidr, cidrContains, type Ip } from '../model/address.ts'
import type { ServicePort } from '../model/service-port.ts'
import type { Finding } from './finding.ts'
import { endsChain, type IndexedRule, type IndexedTable, indexRules, placeOf, type RuleIndex } from './rule-index.ts'

export type ForeignKind = 'foreign-rule-before' | 'foreign-rule-inside'

/** Addresses and ports that traffic of Services has on its way. */
export interface ServiceTraffic {
  readonly addresses: ReadonlySet<Ip>
  readonly ports: ReadonlySet<number>
}

/** `nodeAddresses` are where node ports answer. */
export function trafficOf(servicePorts: readonly ServicePort[], nodeAddresses: readonly Ip[]): ServiceTraffic {
  const addresses = new Set<Ip>()
  const ports = new Set<number>()
  for (const { clusterIP, externalIPs, loadBalancerIPs, port, nodePort, endpoints } of servicePorts) {
    for (const ip of [clusterIP, ...externalIPs, ...loadBalancerIPs]) addresses.add(ip)
    for (const endpoint of endpoints.reachable) {
      addresses.add(endpoint.ip)
      ports.add(endpoint.port)
    }
    ports.add(port)
    if (nodePort === undefined) continue
    ports.add(nodePort)
    for (const ip of nodeAddresses) addresses.add(ip)
  }
  return { addresses, ports }
}

/** `desired` is what the proxy wants there. */
export function lintForeign(
  actual: Ruleset,
  desired: Ruleset,
  traffic: ServiceTraffic,
): readonly Finding<ForeignKind>[] {
  const index = indexRules(actual)
  return index.tables.flatMap((table) =>
    [...table.chains.keys()].flatMap((chain): readonly Finding<ForeignKind>[] => {
      if (isBaseChain(chain)) return lintBaseChain(index, table, chain, table.rulesOf(chain), traffic)
      return isProxyChain(chain) ? lintOwnChain(index, table, chain, desired) : []
    }),
  )
}

function lintBaseChain(
  index: RuleIndex,
  table: IndexedTable,
  chain: ChainName,
  rules: readonly IndexedRule[],
  traffic: ServiceTraffic,
): readonly Finding<ForeignKind>[] {
  const lastJump = rules.findLastIndex((rule) => isProxyChain(rule.chain ?? ''))
  // Tables that come before the proxy's: raw and mangle.
  const early = table.name === 'raw' || table.name === 'mangle'
  const before = lastJump < 0 ? (early ? rules : []) : rules.slice(0, lastJump)
  return before
    .filter((rule) => !isProxyChain(rule.chain ?? '') && mayEnd(rule, table) && mayTake(rule, traffic))
    .filter((rule) => !early || rule.rule.target?.kind !== 'accept')
    .map((rule) => ({
      severity: chain === 'POSTROUTING' ? 'notice' : 'warning',
      kind: 'foreign-rule-before',
      ...placeOf(index, table, chain, rule),
      message:
        chain === 'POSTROUTING'
          ? 'a rule of somebody else comes before the proxy masquerades, and may choose another source address'
          : 'a rule of somebody else comes before those of the proxy, and may end the way of traffic to Services',
      advice:
        'if it is not meant to, move it behind the jumps to KUBE- chains; sluice trace shows what it does to a packet',
    }))
}

/** Whether the rule, or a chain that it leads to, may keep a packet from the rules behind it. */
function mayEnd(indexed: IndexedRule, table: IndexedTable, seen: ReadonlySet<ChainName> = new Set()): boolean {
  const { target } = indexed.rule
  if (target?.kind === 'jump' && table.chains.has(target.chain)) {
    if (seen.has(target.chain)) return false
    const deeper = new Set([...seen, target.chain])
    return table
      .rulesOf(target.chain)
      .some((rule) => rule.rule.target?.kind !== 'return' && mayEnd(rule, table, deeper))
  }
  return endsChain(indexed, table.ends)
}

/** Whether its conditions leave it any packet of a Service that is the first of its connection. */
function mayTake({ rule, effect }: IndexedRule, { addresses, ports }: ServiceTraffic): boolean {
  const { destination, inInterface, protocol } = rule
  if (destination !== undefined && destination.not === undefined && !someWithin(destination.value, addresses))
    return false
  if (inInterface?.value === 'lo' && inInterface.not === undefined) return false
  if (protocol !== undefined && protocol.not === undefined && !['tcp', 'udp', 'sctp'].includes(protocol.value))
    return false
  if (effect.port !== undefined && !ports.has(effect.port)) return false
  return !rule.matches.some(
    (match) => match.kind === 'conntrack' && match.states.not === undefined && !match.states.value.includes('NEW'),
  )
}

function someWithin(network: Cidr, addresses: ReadonlySet<Ip>): boolean {
  if (/\/(?:32|128)$/.test(network)) return addresses.has(network.replace(/\/\d+$/, '') as Ip)
  for (const ip of addresses) if (cidrContains(network, ip)) return true
  return false
}

/** Rules that nobody named a Service in, and that the proxy does not want there. */
function lintOwnChain(
  index: RuleIndex,
  table: IndexedTable,
  chain: ChainName,
  desired: Ruleset,
): readonly Finding<ForeignKind>[] {
  const wanted = desired.tables.get(table.name)?.get(chain)
  const there = table.chains.get(chain)
  if (wanted === undefined || there === undefined || wanted === there) return []
  if (isServiceChain(chain) && wanted.rules.length === there.rules.length) return []
  const texts = new Set(wanted.rules.map((rule) => printRule(rule, index.family)))
  return table
    .rulesOf(chain)
    .filter((rule) => rule.portName === undefined && rule.chain?.startsWith('KUBE-') !== true)
    .map((rule) => ({ rule, place: placeOf(index, table, chain, rule) }))
    .filter(({ place }) => !texts.has(place.text ?? '') && !isFixedForm(place.text ?? ''))
    .map(({ place }) => ({
      severity: 'warning',
      kind: 'foreign-rule-inside',
      ...place,
      message: "stands in a chain of the proxy's, and the proxy did not put it there",
      advice: 'it is lost when the proxy writes the chain again: put it into a chain of your own',
    }))
}

/** What the proxy writes itself, perhaps with other settings. */
function isFixedForm(text: string): boolean {
  return /--comment "?(?:kubernetes|block incoming localnet)|--(?:set-x)?mark 0x|-j DNAT|--ctstate INVALID/.test(text)
}
