// A trace as data for programs: `sluice trace -o json`. Within sluice/v1 only fields and kinds are added.
import { formatEndpoint } from '../model/address.ts'
import { describeReply, describeVerdict, reachesEndpoint, replyWay } from './describe-trace.ts'
import type { NodeNetwork } from './network.ts'
import { formatPacket } from './packet.ts'
import { fractionOf, type Share, shareAsNumber } from './share.ts'
import type { Branch, LikelyOutcome, Trace, Way } from './trace.ts'

export const TRACE_VERSION = 'sluice/v1'

/** Plain JSON values. Shares are exact as `fraction`, and near as `probability`. */
export function describeTrace(trace: Trace, network: NodeNetwork): Readonly<Record<string, unknown>> {
  const { packet, origin } = trace
  return {
    apiVersion: TRACE_VERSION,
    kind: 'Trace',
    packet: { text: formatPacket(packet), ...packet },
    from: { kind: origin.kind, ...(origin.inInterface !== undefined && { inInterface: origin.inInterface }) },
    reachesEndpoint: reachesEndpoint(trace),
    verdict: describeVerdict(trace),
    reply: describeReply(trace, network),
    outcomes: trace.outcomes.map((likely) => outcomeDocument(likely, trace, network)),
    notes: trace.notes,
    way: wayDocument(trace.way),
  }
}

function outcomeDocument({ outcome, share, assuming }: LikelyOutcome, trace: Trace, network: NodeNetwork): unknown {
  const reply = replyWay(outcome, trace, network)
  const endpoint = 'destination' in outcome && {
    endpoint: formatEndpoint(outcome.destination, outcome.destinationPort),
  }
  return {
    ...outcome,
    ...endpoint,
    share: shareDocument(share),
    ...(assuming !== undefined && { assuming }),
    ...(reply !== undefined && { reply }),
  }
}

function wayDocument({ steps, next }: Way): unknown {
  if (next.kind === 'end') return { steps, end: next.outcome }
  const { kind, place, question, branches } = next
  return {
    steps,
    choice: { kind, ...place, ...(question !== undefined && { question }), branches: branches.map(branchDocument) },
  }
}

function branchDocument({ share, label, way }: Branch): unknown {
  return { share: shareDocument(share), ...(label !== undefined && { label }), way: wayDocument(way) }
}

function shareDocument(share: Share): unknown {
  return { fraction: fractionOf(share), probability: shareAsNumber(share) }
}
