// What a trace comes to, in plain words: the verdict, what the server sees, and how answers find back.
import { cidrContains, formatEndpoint, type Ip } from '../model/address.ts'
import { describeRefusal } from './describe-refusal.ts'
import type { NodeNetwork } from './network.ts'
import { formatShare, isWhole } from './share.ts'
import type { LikelyOutcome, Outcome, Trace } from './trace.ts'

/** One line for each outcome that differs in kind; endpoints of one Service share a line. */
export function describeVerdict(trace: Trace): readonly string[] {
  const lines: string[] = []
  for (const group of groupOutcomes(trace.outcomes)) {
    const [first] = group
    if (first === undefined) continue
    lines.push(`${describeGroup(group, first, trace)}${describeAssumptions(first)}`)
  }
  return lines
}

/** Whether every packet that takes this way reaches an endpoint. */
export function reachesEndpoint({ outcomes }: Trace): boolean {
  return outcomes.length > 0 && outcomes.every(({ outcome }) => outcome.kind === 'dnat')
}

export type ReplyWay = 'through this node' | 'past this node' | 'unknown'

/**
 * Which way the server's answer takes. Only this node knows what it changed: answers that come by another way reach the
 * client from an address that it never asked.
 */
export function replyWay(outcome: Outcome, trace: Trace, network: NodeNetwork): ReplyWay | undefined {
  if (outcome.kind !== 'dnat') return undefined
  if (outcome.masqueraded || trace.origin.here || outcome.to === 'this node') return 'through this node'
  if (network.podCIDRs.length === 0) return 'unknown'
  return network.podCIDRs.some((cidr) => cidrContains(cidr, outcome.destination))
    ? 'through this node'
    : 'past this node'
}

/** Lines about the answers; empty when the packet reaches no endpoint. */
export function describeReply(trace: Trace, network: NodeNetwork): readonly string[] {
  const ways = new Map<ReplyWay, string[]>()
  for (const { outcome } of trace.outcomes) {
    const way = replyWay(outcome, trace, network)
    if (way === undefined || (outcome.kind !== 'dnat' && outcome.kind !== 'no match')) continue
    const end = formatEndpoint(outcome.destination, outcome.destinationPort)
    ways.set(way, [...(ways.get(way) ?? []), end])
  }
  const { destination, destinationPort, protocol } = trace.packet
  const asked = protocol === 'icmp' ? destination : formatEndpoint(destination, destinationPort)
  return [...ways].map(([way, ends]) => {
    const which = ways.size === 1 ? 'answers' : `answers of ${ends.join(', ')}`
    if (way === 'through this node')
      return `${which} come back through this node, and the client sees them from ${asked}`
    if (way === 'unknown')
      return `${which} must come back through this node, or the client sees them from an address that it never asked`
    return `${which} go past this node straight to the client, which asked ${asked} and takes no answer from ${ends[0] ?? ''}: the connection fails`
  })
}

/** Endpoints together, refusals each alone, by what they assume. */
function groupOutcomes(outcomes: readonly LikelyOutcome[]): readonly (readonly LikelyOutcome[])[] {
  const groups = new Map<string, LikelyOutcome[]>()
  for (const likely of outcomes) {
    const { outcome, assuming = [] } = likely
    const key = `${outcome.kind === 'dnat' ? `dnat ${outcome.service ?? ''}` : JSON.stringify(outcome)} ${assuming.join(' ')}`
    groups.set(key, [...(groups.get(key) ?? []), likely])
  }
  return [...groups.values()]
}

function describeGroup(group: readonly LikelyOutcome[], { outcome, share }: LikelyOutcome, trace: Trace): string {
  const part = isWhole(share) || outcome.kind === 'dnat' ? '' : ` (${formatShare(share)})`
  switch (outcome.kind) {
    case 'dnat':
      return describeEndpoints(group, trace)
    case 'no match':
      return `no match${part}: ${describeUntouched(outcome, trace)}`
    case 'drop':
    case 'reject':
      return `${outcome.kind}${part}: ${describeRefusal(outcome, trace.packet)}`
    case 'taken':
      return `undecided${part}: ${describeRefusal(outcome, trace.packet)}`
    default:
      return outcome satisfies never
  }
}

function describeEndpoints(group: readonly LikelyOutcome[], { packet }: Trace): string {
  const seen = new Set(group.map(({ outcome }) => (outcome.kind === 'dnat' ? outcome.sourceSeen : '')))
  const oneSource = seen.size === 1
  const ends = group.flatMap(({ outcome, share }) => {
    if (outcome.kind !== 'dnat') return []
    const end = formatEndpoint(outcome.destination, outcome.destinationPort)
    const chance = group.length === 1 && isWhole(share) ? '' : ` ${formatShare(share)}`
    return [`${end}${chance}${oneSource ? '' : `, which sees ${describeSource(outcome.sourceSeen, packet.source)}`}`]
  })
  const [first] = group
  const service = first?.outcome.kind === 'dnat' ? first.outcome.service : undefined
  const [source] = seen
  const tail = oneSource ? `; the server sees ${describeSource(source ?? '', packet.source)}` : ''
  return `dnat: ${service === undefined ? '' : `${service} at `}${ends.join(oneSource ? ', ' : '; ')}${tail}`
}

function describeSource(seen: string, source: Ip): string {
  return seen === source ? `${seen}, the client itself` : `${seen} (masqueraded)`
}

function describeUntouched(outcome: Extract<Outcome, { kind: 'no match' }>, { packet }: Trace): string {
  const port = packet.protocol === 'icmp' ? '' : ` port ${packet.destinationPort}`
  const seen = outcome.masqueraded ? `, masqueraded as ${outcome.sourceSeen}` : ''
  const beside = outcome.note === undefined ? '' : `; ${outcome.note}`
  if (outcome.to === 'this node')
    return `no rule of a Service changes it; it is for this node itself, ${packet.protocol}${port}${seen}${beside}`
  const by = outcome.outInterface === undefined ? '' : ` by ${outcome.outInterface}`
  return `no rule of a Service changes it; it goes on to ${packet.destination}${by} as it is${seen}${beside}`
}

function describeAssumptions({ assuming }: LikelyOutcome): string {
  return assuming === undefined ? '' : ` [${assuming.join('; ')}]`
}
