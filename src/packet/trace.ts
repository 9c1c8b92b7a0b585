// What happens to the first packet of a connection, as a tree: steps in order, and where the way is not one, a choice.
import type { Ip } from '../model/address.ts'
import type { Origin } from './origin.ts'
import type { Packet } from './packet.ts'
import { addShares, fractionOf, multiplyShares, type Share, WHOLE } from './share.ts'

/** The kernel's netfilter hooks. */
export type Hook = 'PREROUTING' | 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING'

export interface Trace {
  readonly packet: Packet
  readonly origin: Origin
  readonly way: Way
  /** Equal ends taken together, in the order of the tree. */
  readonly outcomes: readonly LikelyOutcome[]
  /** What had to be assumed, in words. */
  readonly notes: readonly string[]
}

/** Steps, then an end or a choice. */
export interface Way {
  readonly steps: readonly Step[]
  readonly next: Choice | End
}

export interface End {
  readonly kind: 'end'
  readonly outcome: Outcome
}

export interface Choice {
  /** By chance, with exact shares; or by something that can't be known here, so that both ways are shown. */
  readonly kind: 'random' | 'unknown'
  readonly place: RulePlace
  /** What is not known, for `unknown`: the match as it stands in the rule. */
  readonly question?: string
  readonly branches: readonly Branch[]
}

export interface Branch {
  /** Of the packets that come to the choice; both branches of an unknown have everything. */
  readonly share: Share
  /** `if it matches`, for an unknown. */
  readonly label?: string
  readonly way: Way
}

export interface RulePlace {
  readonly hook: Hook
  readonly table: string
  readonly chain: string
}

export interface Step extends RulePlace {
  /** Counted from 1 within the chain; absent for what no rule does, such as a policy or the route. */
  readonly number?: number
  /** The rule as iptables-save prints it. */
  readonly rule?: string
  /** `-> KUBE-SERVICES`, `DROP`, `DNAT to 10.0.0.1:80` */
  readonly action: string
  /** `ns/name:port` of a Service whose rule it is. */
  readonly service?: string
  /** The rest of the rule's comment, or why nothing came of it. */
  readonly note?: string
}

export type Outcome =
  /** Goes to an endpoint. */
  | ({ readonly kind: 'dnat' } & Delivery)
  /** Passes with the destination that it had. */
  | ({
      readonly kind: 'no match'
      /** What Services have beside what was asked for, in words. */
      readonly note?: string
    } & Delivery)
  | ({ readonly kind: 'drop' } & Refusal)
  | ({ readonly kind: 'reject'; readonly with: string } & Refusal)
  /** Handed to something that decides by itself, such as NFQUEUE. */
  | ({ readonly kind: 'taken'; readonly by: string } & Refusal)

export interface Delivery {
  readonly destination: Ip
  readonly destinationPort: number
  /** To a process of this node, or on to somebody else. */
  readonly to: 'this node' | 'elsewhere'
  readonly outInterface?: string
  readonly masqueraded: boolean
  /** The client's address as the server sees it. */
  readonly sourceSeen: Ip
  readonly service?: string
}

export interface Refusal {
  readonly place: RulePlace
  readonly rule?: string
  readonly service?: string
  /** The rule's comment; `policy` of a base chain; what the kernel does without rules; or the reason in words. */
  readonly because: string
  /** What it comes to, where that is known. */
  readonly reason?: RefusalReason
}

export type RefusalReason =
  /** Of a base chain. */
  | 'policy'
  /** The client is in none of the loadBalancerSourceRanges. */
  | 'source-ranges'
  | 'no-endpoints'
  /** A traffic policy is Local, and the endpoints are on other nodes. */
  | 'no-local-endpoints'
  /** The address is one of Services, the port is not. */
  | 'no-such-port'
  /** A loopback address that is asked for from another host. */
  | 'localnet'
  /** It has a mark that is refused later. */
  | 'marked'
  /** Conntrack has not seen it where it is asked for its state. */
  | 'invalid-state'

export interface LikelyOutcome {
  readonly outcome: Outcome
  readonly share: Share
  /** What it takes beside chance: answers to the unknown questions on the way. Absent without any. */
  readonly assuming?: readonly string[]
}

/** All ends of the way, equal ones taken together. Shares of ends under the same assumptions come to 1. */
export function outcomesOf(way: Way): readonly LikelyOutcome[] {
  const found = new Map<string, LikelyOutcome>()
  const open: { way: Way; share: Share; assuming: readonly string[] }[] = [{ way, share: WHOLE, assuming: [] }]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const { share, assuming } = at
    const { next } = at.way
    if (next.kind === 'end') {
      const key = `${outcomeKey(next.outcome)} ${assuming.join(' ')}`
      const known = found.get(key)
      const all = known === undefined ? share : addShares(known.share, share)
      found.set(key, { outcome: next.outcome, share: all, ...(assuming.length > 0 && { assuming }) })
      continue
    }
    for (const branch of next.branches.toReversed()) {
      const more =
        next.kind === 'unknown' ? [...assuming, `${branch.label ?? ''} ${next.question ?? ''}`.trim()] : assuming
      open.push({ way: branch.way, share: multiplyShares(share, branch.share), assuming: more })
    }
  }
  return [...found.values()]
}

/** Whether two ways end alike for everybody, under the same assumptions and with the same shares. */
export function sameOutcomes(a: Way, b: Way): boolean {
  const keys = (way: Way) => outcomesOf(way).map(outcomeText).toSorted()
  const [first, second] = [keys(a), keys(b)]
  return first.length === second.length && first.every((key, index) => key === second[index])
}

function outcomeText({ outcome, share, assuming = [] }: LikelyOutcome): string {
  return `${outcomeKey(outcome)} ${fractionOf(share)} ${assuming.join(' ')}`
}

function outcomeKey(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'dnat':
    case 'no match':
      return `${outcome.kind} ${outcome.destination} ${outcome.destinationPort} ${outcome.masqueraded} ${outcome.sourceSeen} ${outcome.to}`
    case 'drop':
    case 'reject':
    case 'taken':
      return `${outcome.kind} ${outcome.place.table} ${outcome.place.chain} ${outcome.rule ?? outcome.because}`
    default:
      return outcome satisfies never
  }
}
