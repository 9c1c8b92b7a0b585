// Why rules refuse a packet, as far as a person wants to know it: what the rule is for, and whose it is. A rule of IPVS
// mode names no Service; the virtual server that the packet is for does.
import { formatEndpoint, isLoopback } from '../model/address.ts'
import { isLocal } from '../packet/network.ts'
import type { Refusal, RefusalReason } from '../packet/trace.ts'
import { IPVS_FILTER, IPVS_OUT_FILTER, IPVS_SOURCE_RANGES } from './ipvs-chains.ts'
import { FIREWALL } from './names.ts'
import type { Match, Rule } from './rule.ts'
import type { Journey, Subject, Walker } from './simulate-journey.ts'
import type { NamedPort } from './simulate-served.ts'
import type { DescribedRule } from './simulate-steps.ts'

const MOST_PORTS = 5
/** The default of the API server's --service-node-port-range. */
const NODE_PORT_RANGE = { from: 30_000, to: 32_767 }

type Explained = Pick<Refusal, 'reason' | 'service' | 'because'>

/** `rule` drops or rejects; `described` is what it says of itself. */
export function explainRefusal(
  walker: Walker,
  journey: Journey,
  rule: Rule,
  { text, service, note }: DescribedRule,
): Explained {
  const { subject, spot, markedBy } = journey
  const because = note ?? text
  if (service !== undefined) {
    const reason = reasonOfComment(because)
    return { service, because, ...(reason !== undefined && { reason }) }
  }
  const isOf = (chain: string) => spot.table === 'filter' && spot.chain === chain
  if (isOf(IPVS_SOURCE_RANGES) || isOf(IPVS_OUT_FILTER)) {
    const owner = ownerOf(walker, subject)
    return { reason: 'source-ranges', because, ...(owner !== undefined && { service: owner }) }
  }
  if (isOf(IPVS_FILTER)) return { reason: 'no-such-port', because: describeAddress(walker, subject) }
  if (isOf(FIREWALL) && because === 'block incoming localnet connections') return { reason: 'localnet', because }
  const mark = rule.matches.find(isMark)
  if (mark !== undefined && markedBy !== undefined) {
    const { chain, comment, service: owner } = markedBy
    const reason = owner === undefined ? undefined : reasonOfMark(comment, chain)
    const by = `${chain} marked it 0x${subject.mark.toString(16)}, and ${spot.chain} refuses what has this mark`
    return { reason: reason ?? 'marked', because: by, ...(owner !== undefined && { service: owner }) }
  }
  // Only before conntrack, where every packet is: behind it a new connection never is.
  const isInvalid = subject.tracking === 'none yet' && rule.matches.some(asksInvalid)
  return isInvalid ? { reason: 'invalid-state', because } : { because }
}

function reasonOfComment(comment: string): RefusalReason | undefined {
  if (comment.includes('has no local endpoints')) return 'no-local-endpoints'
  if (comment.includes('traffic not accepted by')) return 'source-ranges'
  return comment.includes('has no endpoints') ? 'no-endpoints' : undefined
}

/** Until kube-proxy 1.25 a Service's chain marked what KUBE-FIREWALL of the kubelet then dropped. */
function reasonOfMark(comment: string, chain: string): RefusalReason | undefined {
  return chain.startsWith('nat KUBE-FW-') ? 'source-ranges' : reasonOfComment(comment)
}

function ownerOf({ around }: Walker, subject: Subject): string | undefined {
  const { balanced } = subject
  const asked =
    balanced === undefined
      ? subject
      : { ...subject, destination: balanced.at.address, destinationPort: balanced.at.port }
  return around.balancer?.(asked)?.service
}

function isMark(match: Match): boolean {
  return match.kind === 'mark' && match.mark.not !== true && match.mark.value.value !== 0
}

function asksInvalid(match: Match): boolean {
  if (match.kind === 'conntrack') return match.states.not !== true && match.states.value.includes('INVALID')
  return match.kind === 'unknown' && match.words[1] === 'state' && match.words.includes('INVALID')
}

/**
 * What there is at the packet's destination that nobody serves: `10.96.1.10 is an address of shop/web, which has port
 * 80/tcp and not 81/tcp`. Undefined when it is no address of a Service and its port no node port.
 */
export function describeUnserved({ around, index }: Walker, subject: Subject): string | undefined {
  const { protocol, destination, destinationPort } = subject
  const ports = around.served.at(destination)
  if (ports.length > 0) return describePorts(subject, ports)
  if (protocol === 'icmp' || !isLocal(around.network, destination)) return undefined
  const nodePort = around.served.nodePort(protocol, destinationPort)
  if (nodePort === undefined) {
    const isOfRange = destinationPort >= NODE_PORT_RANGE.from && destinationPort <= NODE_PORT_RANGE.to
    return isOfRange ? `${destinationPort}/${protocol} is no Service's node port` : undefined
  }
  const whose = nodePort.service === undefined ? 'a Service' : nodePort.service
  return `${destinationPort}/${protocol} is the node port of ${whose}, which is not served at ${destination}${whyNot()}`

  function whyNot(): string {
    if (!isLoopback(destination)) return ' (see nodePortAddresses)'
    if (around.balancer !== undefined) return ': IPVS mode serves no node ports on loopback addresses'
    return index.family === 'ipv6'
      ? ': no node ports are served on ::1'
      : ' (see localhostNodePorts and nodePortAddresses)'
  }
}

/** For an address of kube-ipvs0. */
function describeAddress(walker: Walker, subject: Subject): string {
  const { destination, destinationPort, protocol } = subject
  const known = describeUnserved(walker, subject)
  if (known !== undefined) return known
  const asked = protocol === 'icmp' ? 'a ping' : `${destinationPort}/${protocol}`
  return `${destination} is an address of kube-ipvs0, and no Service is known to serve ${asked} there`
}

function describePorts({ destination, destinationPort, protocol }: Subject, ports: readonly NamedPort[]): string {
  const names = [...new Set(ports.flatMap(({ service = '' }) => service.split(':', 1)[0] ?? []))]
  const owners = names.filter((name) => name !== '')
  const whose = owners.length === 0 ? 'Services' : owners.join(' and ')
  const plural = owners.length !== 1
  const about = `${destination} is an address of ${whose}`
  if (protocol === 'icmp') return `${about}, and answers no ping: Services have ports only`
  if (ports.some((one) => one.protocol === protocol && one.port === destinationPort))
    return `${formatEndpoint(destination, destinationPort)} is of ${whose}, but in no set of IPVS mode that lets packets in`
  const shown = ports.slice(0, MOST_PORTS).map((one) => `${one.port}/${one.protocol}`)
  const more = ports.length > MOST_PORTS ? ` and ${ports.length - MOST_PORTS} more` : ''
  return `${about}, which ${plural ? 'have' : 'has'} ${shown.join(', ')}${more} and not ${destinationPort}/${protocol}`
}
