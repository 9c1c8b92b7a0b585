// Whether a packet matches a rule, in three values: yes, no, and what can't be known from the rules. A random match is
// told apart, because its share is known exactly.
import type { Ip } from '../model/address.ts'
import { isLocal, LOOPBACK_INTERFACE, type NodeNetwork } from '../packet/network.ts'
import { networkTest } from '../packet/network-test.ts'
import { isWhole, multiplyShares, type Share, shareOfThreshold, WHOLE } from '../packet/share.ts'
import type { Match, Negatable, PortRange, Rule } from './rule.ts'
import { type BalancedPacket, type Subject, type Surroundings, UNKNOWN } from './simulate-journey.ts'
import { isInSet } from './simulate-sets.ts'
import { understandWords } from './simulate-words.ts'

export type MatchResult =
  | { readonly kind: 'no' }
  | { readonly kind: 'yes' }
  /** Matches this share of packets. */
  | { readonly kind: 'random'; readonly share: Share }
  /** `question` is what decides it, as it stands in the rule; `share` is that of a random match beside it. */
  | { readonly kind: 'unknown'; readonly question: string; readonly share: Share }

const NO: MatchResult = { kind: 'no' }
const YES: MatchResult = { kind: 'yes' }
/** Undefined: not known. */
type Truth = boolean | undefined

/** Header first, then all matches, as the kernel does; what changes nothing (counters, comments) always matches. */
export function matchRule(rule: Rule, subject: Subject, around: Surroundings): MatchResult {
  const header = matchHeader(rule, subject)
  if (header === false) return NO
  let question = header === undefined ? headerQuestion(rule, subject) : undefined
  let share = WHOLE
  for (const match of rule.matches) {
    if (match.kind === 'comment') continue
    if (match.kind === 'statistic') {
      if (match.threshold === 0) return NO
      share = multiplyShares(share, shareOfThreshold(match.threshold))
      continue
    }
    const truth = matchOne(match, subject, around)
    if (truth === false) return NO
    if (truth === undefined) question = question === undefined ? questionOf(match) : `${question} ${questionOf(match)}`
  }
  if (question !== undefined) return { kind: 'unknown', question, share }
  return isWhole(share) ? YES : { kind: 'random', share }
}

function matchHeader(rule: Rule, subject: Subject): Truth {
  if (rule.destination !== undefined && !holds(rule.destination, inNetwork(rule.destination, subject.destination)))
    return false
  if (rule.source !== undefined && !holds(rule.source, inNetwork(rule.source, subject.source))) return false
  if (rule.protocol !== undefined && !holds(rule.protocol, isProtocol(rule.protocol.value, subject))) return false
  const into = matchInterface(rule.inInterface, subject.inInterface)
  const out = matchInterface(rule.outInterface, subject.outInterface)
  if (into === false || out === false) return false
  return into === undefined || out === undefined ? undefined : true
}

function inNetwork({ value }: NonNullable<Rule['source']>, ip: Ip): boolean {
  return networkTest(value)(ip)
}

function isProtocol(name: string, { protocol, source }: Subject): boolean {
  if (protocol !== 'icmp') return name === protocol || name === 'all'
  return source.includes(':')
    ? ['ipv6-icmp', 'icmpv6', '58', 'all'].includes(name)
    : ['icmp', '1', 'all'].includes(name)
}

/** An absent interface is no interface, and matches only what is not asked for. */
function matchInterface(wanted: Negatable<string> | undefined, actual: Subject['inInterface']): Truth {
  if (wanted === undefined) return true
  if (actual === UNKNOWN) return undefined
  const { value } = wanted
  const same = value.endsWith('+') ? (actual ?? '').startsWith(value.slice(0, -1)) : value === (actual ?? '')
  return holds(wanted, same)
}

function headerQuestion({ inInterface, outInterface }: Rule, subject: Subject): string {
  const words: string[] = []
  if (inInterface !== undefined && subject.inInterface === UNKNOWN)
    words.push(`${inInterface.not === true ? '! ' : ''}-i ${inInterface.value}`)
  if (outInterface !== undefined && subject.outInterface === UNKNOWN)
    words.push(`${outInterface.not === true ? '! ' : ''}-o ${outInterface.value}`)
  return words.join(' ')
}

function matchOne(
  match: Exclude<Match, { kind: 'statistic' | 'comment' }>,
  subject: Subject,
  around: Surroundings,
): Truth {
  switch (match.kind) {
    case 'ports':
      if (match.protocol !== subject.protocol) return false
      return matchPorts(match.source, subject.sourcePort) && matchPorts(match.destination, subject.destinationPort)
    case 'addrtype':
      return and(
        matchAddressType(match.source, subject.source, around.network),
        matchAddressType(match.destination, subject.destination, around.network),
      )
    case 'conntrack':
      return holds(
        match.states,
        match.states.value.some((state) => isInState(state, subject)),
      )
    case 'mark': {
      const { value, mask } = match.mark.value
      return holds(match.mark, (subject.mark & mask) >>> 0 === value)
    }
    case 'recent':
      // A new client is on no list yet; being put on one always matches.
      return match.action.kind === 'set'
    case 'nfacct':
      return true
    case 'set': {
      const set = around.sets?.get(match.set.value.name)
      const truth = set === undefined ? undefined : isInSet(set, match.set.value.directions, subject)
      return truth === undefined ? undefined : holds(match.set, truth)
    }
    case 'unknown':
      return understandWords(match.words, subject)
    case 'ipvs':
      // xt_ipvs.c: the connection that IPVS has made of the packet; others have none.
      return subject.balanced !== undefined && isThrough(match, subject.balanced)
    case 'physdev':
      // Whether the interface is a bridge, and whether it shows packets to rules by their ports, no rule tells.
      return subject.inInterface === undefined || subject.inInterface === LOOPBACK_INTERFACE ? !match.isIn : undefined
    default:
      return match satisfies never
  }
}

function isThrough({ protocol, address, port }: Extract<Match, { kind: 'ipvs' }>, { at }: BalancedPacket): boolean {
  return at.address === address && at.port === port && PROTOCOL_NUMBERS[at.protocol] === protocol
}

const PROTOCOL_NUMBERS: Readonly<Record<BalancedPacket['at']['protocol'], number>> = {
  tcp: 6,
  udp: 17,
  sctp: 132,
  icmp: 1,
}

function matchPorts(range: Negatable<PortRange> | undefined, port: number): boolean {
  return range === undefined || holds(range, port >= range.value.from && port <= range.value.to)
}

/** xt_addrtype asks the routing table; what is no address of this node and no group is UNICAST to it. */
function matchAddressType(wanted: Negatable<string> | undefined, ip: Ip, network: NodeNetwork): Truth {
  if (wanted === undefined) return true
  const type = isMulticast(ip)
    ? 'MULTICAST'
    : ip === '255.255.255.255'
      ? 'BROADCAST'
      : isLocal(network, ip)
        ? 'LOCAL'
        : 'UNICAST'
  const types = wanted.value.split(',')
  if (types.some((name) => !KNOWN_TYPES.has(name))) return undefined
  return holds(wanted, types.includes(type))
}

const KNOWN_TYPES: ReadonlySet<string> = new Set(['LOCAL', 'UNICAST', 'MULTICAST', 'BROADCAST'])

function isMulticast(ip: Ip): boolean {
  return ip.includes(':')
    ? ip.startsWith('ff')
    : Number(ip.slice(0, ip.indexOf('.'))) >= 224 && ip !== '255.255.255.255'
}

/** The first packet of a connection (xt_conntrack.c); before conntrack has seen it, it is INVALID to the match. */
function isInState(state: string, { tracking, hasDnat, hasSnat }: Subject): boolean {
  if (tracking === 'untracked') return state === 'UNTRACKED'
  if (tracking === 'none yet') return state === 'INVALID'
  return state === 'NEW' || (state === 'DNAT' && hasDnat) || (state === 'SNAT' && hasSnat)
}

function questionOf(match: Match): string {
  if (match.kind === 'unknown') return match.words.join(' ')
  if (match.kind === 'set') {
    const { set } = match
    return `${set.not === true ? '! ' : ''}-m set --match-set ${set.value.name} ${set.value.directions}`
  }
  return match.kind === 'addrtype'
    ? `-m addrtype ${match.source?.value ?? match.destination?.value ?? ''}`
    : `-m ${match.kind}`
}

function holds(negatable: Negatable<unknown>, truth: boolean): boolean {
  return truth !== (negatable.not === true)
}

function and(a: Truth, b: Truth): Truth {
  if (a === false || b === false) return false
  return a === undefined || b === undefined ? undefined : true
}
