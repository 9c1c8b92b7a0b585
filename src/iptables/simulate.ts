// Follows the first packet of a connection through one family's rules, as the kernel does: hooks in their order, tables
// in the order of their priorities, nat only while the connection has none yet. Where chance decides, every branch is
// followed with its exact share; where something decides that rules don't tell, both ways are.
import type { NodeNetwork } from '../packet/network.ts'
import type { Origin } from '../packet/origin.ts'
import type { Packet } from '../packet/packet.ts'
import { isWhole, multiplyShares, restOfShare, type Share, WHOLE } from '../packet/share.ts'
import { type Branch, outcomesOf, type Step, sameOutcomes, type Trace, type Way } from '../packet/trace.ts'
import { jumpTarget, type Rule, type Ruleset } from './rule.ts'
import type { Balancer } from './simulate-balancer.ts'
import { indexRules } from './simulate-chains.ts'
import { afterTable, beginWay, endOfBaseChain, leavesLocalnet } from './simulate-hooks.ts'
import { END_OF_CHAIN, type Journey, type Walker } from './simulate-journey.ts'
import { type MatchResult, matchRule } from './simulate-match.ts'
import { type ServedPorts, servedByRules } from './simulate-served.ts'
import type { SavedSets } from './simulate-sets.ts'
import { describeMisses } from './simulate-steps.ts'
import { takeTarget } from './simulate-target.ts'

/** Traces packets through rules that were indexed once. */
export type Simulator = (packet: Packet, origin: Origin, network: NodeNetwork) => Trace

/** Ways followed where something is unknown; beyond them unknown matches count as not matching, and a note says so. */
const MOST_UNKNOWN = 64

/**
 * `sets` are the node's ipsets, where known; rules that ask for others are undecided. `balancer` is what the node's IPVS
 * does; without one it does nothing. `served` is for words about what is not served: in IPVS mode rules don't tell it.
 */
export function createSimulator(
  ruleset: Ruleset,
  sets?: SavedSets,
  balancer?: Balancer,
  served: ServedPorts = servedByRules(ruleset),
): Simulator {
  const index = indexRules(ruleset)
  const routeLocalnet = leavesLocalnet(ruleset)
  return (packet, origin, network) => {
    const around = { network, sets, balancer, served }
    const follow = (start: Journey | Way['next']): Way => walk(walker, start)
    const walker: Walker = { follow, index, around, routeLocalnet, notes: new Set(), unknowns: 0 }
    const way = walk(walker, beginWay(walker, packet, origin))
    return { packet, origin, way, outcomes: outcomesOf(way), notes: [...walker.notes] }
  }
}

/** The way from here on. `taken` is the rule at this place when a choice has decided that it matches. */
function walk(walker: Walker, start: Journey | Way['next'], taken?: Rule): Way {
  const steps: Step[] = []
  let rule = taken
  let at: Journey | Way['next'] = start
  for (;;) {
    if (!('spot' in at)) return { steps, next: at }
    if (rule === undefined) {
      const next = nextRule(walker, at)
      if (next === undefined) {
        at = leaveChain(walker, at, steps)
        continue
      }
      const { result } = next
      at = next.journey
      if (result.kind === 'random') return { steps, next: chooseAtRandom(walker, at) }
      if (result.kind === 'unknown') return { steps, next: bothWays(walker, at, next.rule, result) }
      rule = next.rule
    }
    const after = takeTarget(walker, at, rule, steps)
    if (after === 'undecided') return { steps, next: targetBothWays(walker, at, rule) }
    at = after
    rule = undefined
  }
}

interface Found {
  /** At the rule. */
  readonly journey: Journey
  readonly rule: Rule
  readonly result: Exclude<MatchResult, { kind: 'no' }>
}

/** The next rule of the chain that matches or may match; undefined at the end of the chain. */
function nextRule(walker: Walker, journey: Journey): Found | undefined {
  const { subject, spot } = journey
  const chain = walker.index.chain(spot.table, spot.chain)
  const { rules } = chain
  for (let at = spot.at; ; at += 1) {
    if (chain.index !== undefined)
      at = chain.index.next(at, subject.destination, subject.protocol, subject.destinationPort)
    const rule = rules[at]
    if (rule === undefined) return undefined
    const result = matchRule(rule, subject, walker.around)
    if (result.kind === 'no') noteAffinity(walker, rule)
    else if (result.kind !== 'unknown' || mayFollow(walker)) {
      return { journey: at === spot.at ? journey : { ...journey, spot: { ...spot, at } }, rule, result }
    }
  }
}

function mayFollow(walker: Walker): boolean {
  if (walker.unknowns < MOST_UNKNOWN) return true
  walker.notes.add('too many rules could not be decided: the later ones were taken as not matching')
  return false
}

function noteAffinity({ notes }: Walker, { matches }: Rule): void {
  for (const match of matches) {
    if (match.kind !== 'recent' || match.action.kind !== 'check') continue
    notes.add(
      `session affinity: a client that was sent to an endpoint within the last ${match.action.seconds} s goes there again`,
    )
  }
}

/** All random rules in a row are one choice: what one leaves, the next has. */
function chooseAtRandom(walker: Walker, journey: Journey): Way['next'] {
  const { hook, table, chain } = journey.spot
  const branches: Branch[] = []
  let rest: Share = WHOLE
  let at = journey
  for (;;) {
    const next = nextRule(walker, at)
    if (next?.result.kind !== 'random') {
      branches.push({
        share: rest,
        way: walk(walker, next?.journey ?? { ...at, spot: { ...at.spot, at: END_OF_CHAIN } }),
      })
      break
    }
    const { share } = next.result
    branches.push({ share: multiplyShares(rest, share), way: walk(walker, next.journey, next.rule) })
    rest = multiplyShares(rest, restOfShare(share))
    at = { ...next.journey, spot: { ...next.journey.spot, at: next.journey.spot.at + 1 } }
  }
  return { kind: 'random', place: { hook, table, chain }, branches }
}

/** Undecided whether the rule matches. Where it does and is random too, that choice comes after. */
function bothWays(
  walker: Walker,
  journey: Journey,
  rule: Rule,
  { question, share }: Extract<MatchResult, { kind: 'unknown' }>,
): Way['next'] {
  const { hook, table, chain, at } = journey.spot
  const without = { ...journey, spot: { ...journey.spot, at: at + 1 } }
  // What does nothing but count or note has no second way.
  if (rule.target === undefined)
    return { kind: 'random', place: { hook, table, chain }, branches: [{ share: WHOLE, way: walk(walker, without) }] }
  walker.unknowns += 1
  const matched = walk(walker, journey, rule)
  const unmatched = walk(walker, without)
  // Nobody needs to know what changes nothing.
  if (sameOutcomes(matched, unmatched))
    return { kind: 'random', place: { hook, table, chain }, branches: [{ share: WHOLE, way: unmatched }] }
  const yes: Way = isWhole(share)
    ? matched
    : {
        steps: [],
        next: {
          kind: 'random',
          place: { hook, table, chain },
          branches: [
            { share, way: matched },
            { share: restOfShare(share), way: unmatched },
          ],
        },
      }
  return {
    kind: 'unknown',
    place: { hook, table, chain },
    question,
    branches: [
      { share: WHOLE, label: 'if', way: yes },
      { share: WHOLE, label: 'unless', way: unmatched },
    ],
  }
}

/** A target that decides by itself: it may let the packet go on. */
function targetBothWays(walker: Walker, journey: Journey, rule: Rule): Way['next'] {
  walker.unknowns += 1
  const { hook, table, chain, at } = journey.spot
  const { text } = walker.index.chain(table, chain).describe(at, rule)
  const by = rule.target?.kind === 'unknown' ? rule.target.words.slice(1).join(' ') : (jumpTarget(rule) ?? '')
  const place = { hook, table, chain }
  return {
    kind: 'unknown',
    place,
    question: `-j ${by}`,
    branches: [
      {
        share: WHOLE,
        label: 'kept by',
        way: { steps: [], next: { kind: 'end', outcome: { kind: 'taken', by, place, rule: text, because: by } } },
      },
      { share: WHOLE, label: 'let on by', way: walk(walker, { ...journey, spot: { ...journey.spot, at: at + 1 } }) },
    ],
  }
}

/** Back to the chain that jumped here, or to the base chain's policy. A jump that nothing came of is not shown. */
function leaveChain(walker: Walker, journey: Journey, steps: Step[]): Journey | Way['next'] {
  const { spot } = journey
  if (spot.back === undefined) {
    const decided = endOfBaseChain(walker, journey, steps)
    return decided ?? afterTable(walker, journey, steps)
  }
  const last = steps.at(-1)
  if (last !== undefined && last.action === `-> ${spot.chain}` && last.table === spot.table) {
    const misses = describeMisses(walker.index.chain(spot.table, spot.chain).rules, last.service)
    if (misses === undefined) steps.pop()
    else steps.push({ hook: spot.hook, table: spot.table, chain: spot.chain, action: 'end of chain', note: misses })
  }
  return { ...journey, spot: spot.back }
}
