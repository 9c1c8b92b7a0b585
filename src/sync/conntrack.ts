// Which UDP entries of the connection table are stale. A UDP flow has no end that the kernel sees: as long as the client
// sends, the entry sends its packets to the endpoint that was chosen at first, whatever the rules say now. TCP resets
// itself, and is never touched.
//
// The rule. An entry belongs to a ServicePort when it was sent to one of its addresses and ports, or, whatever the address,
// to its node port (as in kube-proxy: a foreign host's same port is hit too). It is stale when its answers come from
// 1. something that is no serving endpoint, while there is a serving endpoint: ready or not, terminating or not, on
//    whatever node; policies and topology don't count;
// 2. an endpoint that is gone, while none is serving. Endpoints that are there and not serving keep their flows, because
//    there is no better place for them. kube-proxy keeps flows to endpoints that are gone, too: their packets go nowhere;
// 3. an endpoint of a ServicePort that had this address or node port until now, which no ServicePort has any more: a
//    deleted Service, a removed port or external IP. kube-proxy keeps these for as long as the client sends.
// At start-up no ServicePorts of before are known, but the rules that they left are: what those sent to, and no
// ServicePort has any more, is 3 (rule-frontends.ts). 1 and 2 keep every flow to an endpoint that serves. Who deleted the
// rules as well, or ended this program between writing rules and deleting entries, left no witness: such flows stay,
// because nothing tells them from flows that other programs' rules translated.
// In case 2 and 3 entries that no rule translated are kept: they never were the Service's.
import { formatEndpoint } from '../model/address.ts'
import type { Endpoint, ServicePort } from '../model/service-port.ts'
import type { ConntrackFlow } from './conntrack-flow.ts'

/**
 * The entries to delete. `before`: the ServicePorts for which clean-up last succeeded, none at start-up; `left`: what
 * rules of an earlier run served. All are of one family, that of `flows`; ServicePorts that are not UDP are passed over.
 */
export function staleFlows(
  before: readonly ServicePort[],
  after: readonly ServicePort[],
  flows: readonly ConntrackFlow[],
  left: Frontends = NO_FRONTENDS,
): readonly ConntrackFlow[] {
  if (flows.length === 0) return []
  const current = indexFrontends(after.filter(isUdp))
  const former = indexFrontends(before.filter(isUdp))
  return flows.filter((flow) => {
    const owner = ownerOf(flow, current)
    if (owner !== undefined) return !keepsFlow(owner, flow)
    if (!isTranslated(flow)) return false
    return [former, left].some((frontends) => ownerOf(flow, frontends)?.known.has(sourceOfReply(flow)) === true)
  })
}

/**
 * Whether the change can have made an entry stale: a UDP port came, went, moved to other addresses, or its endpoints
 * changed. Otherwise the table need not be read. At start-up `before` is empty, and every UDP port is new.
 */
export function needsConntrackCleanUp(before: readonly ServicePort[], after: readonly ServicePort[]): boolean {
  if (before === after) return false
  const left = new Map(before.filter(isUdp).map((port) => [port.name, port]))
  for (const port of after) {
    if (!isUdp(port)) continue
    const known = left.get(port.name)
    if (known === undefined || !sameForFlows(known, port)) return true
    left.delete(port.name)
  }
  return left.size > 0
}

/** Endpoints as `ip:port`. */
export interface Targets {
  readonly serving: ReadonlySet<string>
  readonly known: ReadonlySet<string>
}

/** Where clients send. */
export interface Frontends {
  /** By `ip:port`. */
  readonly addresses: ReadonlyMap<string, Targets>
  readonly nodePorts: ReadonlyMap<number, Targets>
}

export const NO_FRONTENDS: Frontends = { addresses: new Map(), nodePorts: new Map() }

function indexFrontends(ports: readonly ServicePort[]): Frontends {
  const addresses = new Map<string, Targets>()
  const nodePorts = new Map<number, Targets>()
  for (const port of ports) {
    const targets = targetsOf(port)
    for (const address of addressesOf(port)) addresses.set(address, merge(addresses.get(address), targets))
    const { nodePort } = port
    if (nodePort !== undefined) nodePorts.set(nodePort, merge(nodePorts.get(nodePort), targets))
  }
  return { addresses, nodePorts }
}

function addressesOf({ clusterIP, port, loadBalancerIPs, externalIPs }: ServicePort): readonly string[] {
  return [clusterIP, ...loadBalancerIPs, ...externalIPs].map((ip) => formatEndpoint(ip, port))
}

function targetsOf(port: ServicePort): Targets {
  const endpoints = endpointsOf(port)
  const serving = endpoints.filter((endpoint) => endpoint.serving)
  return { serving: textsOf(serving), known: textsOf(endpoints) }
}

/** Two Services may claim one external IP: a flow that either would keep is kept. */
function merge(one: Targets | undefined, other: Targets): Targets {
  if (one === undefined) return other
  return { serving: new Set([...one.serving, ...other.serving]), known: new Set([...one.known, ...other.known]) }
}

function textsOf(endpoints: readonly Endpoint[]): ReadonlySet<string> {
  return new Set(endpoints.map(({ text }) => text))
}

/** The address decides before the node port: a cluster IP's port may be another Service's node port. */
function ownerOf({ original }: ConntrackFlow, { addresses, nodePorts }: Frontends): Targets | undefined {
  const address = formatEndpoint(original.destination, original.destinationPort)
  return addresses.get(address) ?? nodePorts.get(original.destinationPort)
}

function keepsFlow({ serving, known }: Targets, flow: ConntrackFlow): boolean {
  const source = sourceOfReply(flow)
  if (serving.size > 0) return serving.has(source)
  return known.has(source) || !isTranslated(flow)
}

function isTranslated(flow: ConntrackFlow): boolean {
  const { destination, destinationPort } = flow.original
  return flow.reply.source !== destination || flow.reply.sourcePort !== destinationPort
}

function sourceOfReply({ reply }: ConntrackFlow): string {
  return formatEndpoint(reply.source, reply.sourcePort)
}

function sameForFlows(one: ServicePort, other: ServicePort): boolean {
  if (one === other) return true
  const sameFrontends = one.nodePort === other.nodePort && sameTexts(addressesOf(one), addressesOf(other))
  return sameFrontends && sameTexts(endpointsOf(one).map(stateOf), endpointsOf(other).map(stateOf))
}

function stateOf({ text, serving }: Endpoint): string {
  return serving ? text : `${text} does not serve`
}

function sameTexts(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index])
}

function isUdp(port: ServicePort): boolean {
  return port.protocol === 'udp'
}

function endpointsOf(port: ServicePort): readonly Endpoint[] {
  return port.endpoints.udp ?? []
}
