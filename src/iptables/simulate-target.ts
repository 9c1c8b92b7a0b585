// What a rule does with a packet that it matches.
import { type Family, familyOfIp, type Ip, isLoopback, parseIp } from '../model/address.ts'
import { isLocal, type NodeNetwork, routeTo } from '../packet/network.ts'
import type { Step, Way } from '../packet/trace.ts'
import type { Rule, Target } from './rule.ts'
import { afterTable } from './simulate-hooks.ts'
import { END_OF_CHAIN, type Journey, type MarkingRule, type Spot, type Walker } from './simulate-journey.ts'
import { explainRefusal } from './simulate-refusal.ts'
import { commentOf } from './simulate-steps.ts'

type Next = Journey | Way['next']

/** Where the packet is after the rule, whose steps are added; `undecided` when the target decides by itself. */
export function takeTarget(walker: Walker, journey: Journey, rule: Rule, steps: Step[]): Next | 'undecided' {
  const { target } = rule
  const { spot, subject } = journey
  const next = (): Journey => ({ ...journey, spot: { ...spot, at: spot.at + 1 } })
  if (target === undefined) return next()
  const { hook, table, chain } = spot
  const described = walker.index.chain(table, chain).describe(spot.at, rule)
  const { text, service, note } = described
  const place = { hook, table, chain }
  const about = { ...(service !== undefined && { service }), ...(note !== undefined && { note }) }
  const say = (action: string) => void steps.push({ ...place, number: spot.at + 1, rule: text, action, ...about })
  switch (target.kind) {
    case 'jump':
    case 'goto': {
      if (!walker.index.hasChain(table, target.chain)) return 'undecided'
      say(`-> ${target.chain}`)
      const back = target.kind === 'goto' ? spot.back : { ...spot, at: spot.at + 1 }
      const into = { hook, table, chain: target.chain, at: 0, ...(back !== undefined && { back }) }
      return { ...journey, ...(service !== undefined && { service }), spot: into }
    }
    case 'return':
      return { ...journey, spot: { ...spot, at: END_OF_CHAIN } }
    case 'accept':
      say('ACCEPT')
      return afterTable(walker, journey, steps)
    case 'drop':
      say('DROP')
      return {
        kind: 'end',
        outcome: { kind: 'drop', place, rule: text, ...about, ...explainRefusal(walker, journey, rule, described) },
      }
    case 'reject':
      say(`REJECT with ${target.with}`)
      return {
        kind: 'end',
        outcome: {
          kind: 'reject',
          with: target.with,
          place,
          rule: text,
          ...about,
          ...explainRefusal(walker, journey, rule, described),
        },
      }
    case 'mark': {
      const { value, mask } = target.xmark
      const mark = ((subject.mark & ~mask) ^ value) >>> 0
      say(`mark 0x${mark.toString(16)}`)
      return { ...next(), subject: { ...subject, mark }, markedBy: markingRule(walker, spot) }
    }
    case 'dnat':
      return destinationNat(walker, journey, target.to, say, steps)
    case 'masquerade': {
      const source = masqueradeAddress(walker.around.network, subject.destination)
      return sourceNat(walker, journey, source, `masquerade as ${source}`, say, steps)
    }
    case 'unknown':
      return takeUnknown(walker, journey, target, say, steps)
    default:
      return target satisfies never
  }
}

/** A chain that only marks, such as KUBE-MARK-DROP, says nothing: the rule that jumped there does. */
function markingRule({ index }: Walker, { table, chain, at, back }: Spot): MarkingRule {
  const { rules, describe } = index.chain(table, chain)
  const caller = rules.length === 1 && back !== undefined ? { ...back, at: back.at - 1 } : undefined
  const place = caller ?? { table, chain, at }
  const rule = index.chain(place.table, place.chain).rules[place.at]
  if (rule === undefined) return { chain: `${table} ${chain}`, comment: '' }
  const { service } =
    caller === undefined ? describe(at, rule) : index.chain(table, place.chain).describe(place.at, rule)
  return {
    chain: `${place.table} ${place.chain}`,
    comment: commentOf(rule),
    ...(service !== undefined && { service }),
  }
}

function destinationNat(
  walker: Walker,
  journey: Journey,
  to: string,
  say: (action: string) => void,
  steps: Step[],
): Next | 'undecided' {
  const end = parseNatEnd(to, walker.index.family)
  if (end === undefined) return 'undecided'
  say(`DNAT to ${to}`)
  const { subject } = journey
  const changed = {
    ...subject,
    destination: end.ip ?? subject.destination,
    destinationPort: end.port ?? subject.destinationPort,
    hasDnat: true,
  }
  return afterTable(walker, { ...journey, subject: changed }, steps)
}

function sourceNat(
  walker: Walker,
  journey: Journey,
  source: Ip,
  action: string,
  say: (action: string) => void,
  steps: Step[],
): Next {
  say(action)
  return afterTable(
    walker,
    { ...journey, masqueraded: true, subject: { ...journey.subject, source, hasSnat: true } },
    steps,
  )
}

/**
 * The address of the outgoing interface (nf_nat_masquerade.c). The loopback interface has none that others know: IPv4
 * takes the node's, and IPv6, which chooses as RFC 6724 says, the destination itself.
 */
function masqueradeAddress(network: NodeNetwork, destination: Ip): Ip {
  if (!isLocal(network, destination)) return routeTo(network, destination).address
  if (network.family === 'ipv6') return destination
  const own = network.interfaces.flatMap(({ addresses }) => addresses.map(({ ip }) => ip))
  return isLoopback(network.nodeIP) ? (own.find((ip) => !isLoopback(ip)) ?? network.nodeIP) : network.nodeIP
}

/** Targets that change nothing that a later rule here looks at. */
const PASSES: ReadonlySet<string> = new Set(
  `AUDIT CHECKSUM CLASSIFY CONNSECMARK CT DSCP ECN HL IDLETIMER LED LOG NFLOG RATEEST SECMARK SET TCPMSS TCPOPTSTRIP TEE TOS
  TRACE TTL ULOG`.split(/\s+/),
)

function takeUnknown(
  walker: Walker,
  journey: Journey,
  { words }: Extract<Target, { kind: 'unknown' }>,
  say: (action: string) => void,
  steps: Step[],
): Next | 'undecided' {
  const { spot, subject } = journey
  const [, name = '', ...options] = words
  const next: Journey = { ...journey, spot: { ...spot, at: spot.at + 1 } }
  if (name === 'NOTRACK' || (name === 'CT' && options.includes('--notrack'))) {
    say('not tracked')
    return { ...next, subject: { ...subject, tracking: 'untracked' } }
  }
  if (PASSES.has(name) || (name === 'CONNMARK' && !options.includes('--restore-mark'))) return next
  // The connection is new and has no mark yet.
  if (name === 'CONNMARK' && options.length === 1) return { ...next, subject: { ...subject, mark: 0 } }
  const value = options[1] ?? ''
  if (name === 'SNAT' && options[0] === '--to-source') {
    const end = parseNatEnd(value, walker.index.family)
    if (end?.ip !== undefined) return sourceNat(walker, journey, end.ip, `SNAT to ${value}`, say, steps)
  }
  if (name === 'REDIRECT' && (options.length === 0 || (options[0] === '--to-ports' && /^\d+$/.test(value)))) {
    const { network } = walker.around
    // xt_REDIRECT: the loopback address for the node's own packets, else the address of the interface it came by.
    const own = spot.hook === 'OUTPUT' ? (walker.index.family === 'ipv4' ? '127.0.0.1' : '::1') : network.nodeIP
    const to = { destination: own as Ip, destinationPort: value === '' ? subject.destinationPort : Number(value) }
    say(`redirect to ${own}${value === '' ? '' : ` port ${value}`}`)
    return afterTable(walker, { ...journey, subject: { ...subject, ...to, hasDnat: true } }, steps)
  }
  return 'undecided'
}

interface NatEnd {
  readonly ip?: Ip
  readonly port?: number
}

/** `10.0.0.1`, `10.0.0.1:80`, `[fd00::1]:80`, `:80`; undefined for ranges, from which the kernel chooses. */
function parseNatEnd(text: string, family: Family): NatEnd | undefined {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]*))(?::(\d+))?$/.exec(text) ?? []
  const address = bracketed ?? plain
  if (address === undefined) {
    const bare = parseIp(text)
    return bare !== undefined && familyOfIp(bare) === family ? { ip: bare } : undefined
  }
  if (address === '') return port === undefined ? undefined : { port: Number(port) }
  const ip = parseIp(address)
  if (ip === undefined || familyOfIp(ip) !== family) return undefined
  return port === undefined ? { ip } : { ip, port: Number(port) }
}
