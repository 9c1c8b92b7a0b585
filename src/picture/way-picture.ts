// One packet's way as a picture: the chains that it passes, a fork where chance decides or something unknown does, and
// where it ends. Chains of others are on it too.
import { IPVS } from '../iptables/simulate-balance.ts'
import { formatEndpoint } from '../model/address.ts'
import { describeRefusal } from '../packet/describe-refusal.ts'
import { formatPacket, type Packet } from '../packet/packet.ts'
import { formatShare, isWhole, multiplyShares, type Share, WHOLE } from '../packet/share.ts'
import type { Outcome, Step, Trace, Way } from '../packet/trace.ts'
import { createSketch, type Picture, type Sketch } from './picture.ts'

/** Where in the picture the packet is. */
interface Place {
  readonly node: number
  readonly column: number
  /** `nat KUBE-SERVICES`; absent at the client. */
  readonly chain?: string
  readonly share: Share
  /** Of the next arrow. */
  readonly label?: string
}

export function drawWay(trace: Trace): Picture {
  const sketch = createSketch()
  const { packet, origin } = trace
  const from = origin.inInterface === undefined ? origin.kind : `${origin.kind}, in by ${origin.inInterface}`
  const asked =
    packet.protocol === 'icmp' ? packet.destination : formatEndpoint(packet.destination, packet.destinationPort)
  const lines = [from, packet.source, `to ${asked}/${packet.protocol}`]
  const node = sketch.addNode({ kind: 'client', lines, column: 0 })
  drawFrom(sketch, packet, trace.way, { node, column: 0, share: WHOLE })
  return sketch.finish(formatPacket(packet))
}

function drawFrom(sketch: Sketch, packet: Packet, { steps, next: then }: Way, start: Place): void {
  let place = start
  for (const step of steps) place = drawStep(sketch, step, place)
  if (then.kind === 'end') {
    drawEnd(sketch, then.outcome, place, packet)
    return
  }
  const { table, chain } = then.place
  place = goTo(sketch, `${table} ${chain}`, place)
  if (then.question !== undefined) sketch.addLine(place.node, `unknown: ${then.question}`)
  for (const { share, label, way } of then.branches) {
    const word = then.kind === 'random' ? formatShare(share) : label
    const { label: _, ...here } = place
    const only = then.branches.length === 1 || word === undefined
    drawFrom(sketch, packet, way, { ...here, share: multiplyShares(place.share, share), ...(!only && { label: word }) })
  }
}

/** Marking is a line of the chain that asks for it, no place of its own. */
function drawStep(sketch: Sketch, { table, chain, action, service, note }: Step, before: Place): Place {
  if (chain === 'KUBE-MARK-MASQ') return before
  const place = goTo(sketch, `${table} ${chain}`, before)
  if (service !== undefined) sketch.addLine(place.node, service)
  // Which real server it is stands where the way ends.
  if (table === IPVS && action.startsWith('real server ')) sketch.addLine(place.node, note ?? action)
  else if (action === '-> KUBE-MARK-MASQ') sketch.addLine(place.node, 'masquerade')
  else if (!action.startsWith('-> '))
    sketch.addLine(place.node, note === undefined || note === service ? action : `${action}: ${note}`)
  return place
}

function goTo(sketch: Sketch, chain: string, before: Place): Place {
  if (before.chain === chain) return before
  const column = before.column + 1
  const node = sketch.addNode({ kind: 'chain', lines: [chain], column })
  sketch.addEdge(before.node, node, before.label)
  return { node, column, chain, share: before.share }
}

function drawEnd(sketch: Sketch, outcome: Outcome, before: Place, packet: Packet): void {
  const share = isWhole(before.share) ? [] : [`${formatShare(before.share)} of connections`]
  const { kind, lines } = describeEnd(outcome, packet)
  const node = sketch.addNode({ kind, lines: [...lines, ...share], column: before.column + 1 })
  sketch.addEdge(before.node, node, before.label)
}

function describeEnd(
  outcome: Outcome,
  packet: Packet,
): { readonly kind: 'endpoint' | 'refusal'; readonly lines: readonly string[] } {
  switch (outcome.kind) {
    case 'dnat':
    case 'no match': {
      const end = formatEndpoint(outcome.destination, outcome.destinationPort)
      const what = outcome.kind === 'dnat' ? [] : ['no rule of a Service changes it']
      return { kind: 'endpoint', lines: [end, ...what, `sees ${outcome.sourceSeen}`] }
    }
    case 'drop':
    case 'reject':
    case 'taken':
      return {
        kind: 'refusal',
        lines: [outcome.kind === 'taken' ? 'undecided' : outcome.kind, describeRefusal(outcome, packet)],
      }
    default:
      return outcome satisfies never
  }
}
