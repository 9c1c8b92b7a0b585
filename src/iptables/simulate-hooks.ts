// The order of hooks and tables, the routing decision between them, and what a packet is where they end.
import { isLoopback } from '../model/address.ts'
import { isLocal, LOOPBACK_INTERFACE, routeTo } from '../packet/network.ts'
import type { Origin } from '../packet/origin.ts'
import type { Packet } from '../packet/packet.ts'
import type { Hook, Step, Way } from '../packet/trace.ts'
import type { Ruleset, TableName } from './rule.ts'
import { balance, IPVS } from './simulate-balance.ts'
import { type Journey, type Subject, UNKNOWN, type Walker } from './simulate-journey.ts'
import { describeUnserved } from './simulate-refusal.ts'

/** By priority (linux/netfilter_ipv4.h, ip_vs_ops4); conntrack comes behind raw. */
const TABLES: Readonly<Record<Hook, readonly TableName[]>> = {
  PREROUTING: ['raw', 'mangle', 'nat'],
  INPUT: ['mangle', 'filter', 'security', IPVS, 'nat'],
  FORWARD: ['mangle', 'filter', 'security'],
  OUTPUT: ['raw', 'mangle', 'nat', IPVS, 'filter', 'security'],
  POSTROUTING: ['mangle', 'nat'],
}

/** kube-proxy sets route_localnet when it serves node ports on 127.0.0.1, and then guards it with a rule. */
export function leavesLocalnet({ tables }: Ruleset): boolean {
  const guard = tables.get('filter')?.get('KUBE-FIREWALL')?.rules ?? []
  return guard.some(({ destination }) => destination?.value === '127.0.0.0/8')
}

/** The packet before the first rule. */
export function beginWay(walker: Walker, packet: Packet, origin: Origin): Journey | Way['next'] {
  const { protocol, source, sourcePort, destination, destinationPort } = packet
  const own = origin.kind === 'node'
  const hook = own ? 'OUTPUT' : 'PREROUTING'
  const subject: Subject = {
    protocol,
    source,
    sourcePort,
    destination,
    destinationPort,
    mark: 0,
    hook,
    tracking: 'none yet',
    hasDnat: false,
    hasSnat: false,
    ...(own
      ? { outInterface: routeTo(walker.around.network, destination).name ?? UNKNOWN }
      : { inInterface: origin.inInterface ?? UNKNOWN }),
  }
  const spot = { hook, table: '', chain: '', at: 0 } as const
  return nextTable(walker, { subject, origin, again: false, masqueraded: false, spot }, [], hook, 0)
}

/** What the base chain's policy does; undefined when it lets the packet on. */
export function endOfBaseChain({ index }: Walker, { spot }: Journey, steps: Step[]): Way['next'] | undefined {
  const { hook, table } = spot
  if (index.chain(table, hook).policy !== 'DROP') return undefined
  const place = { hook, table, chain: hook }
  steps.push({ ...place, action: 'DROP', note: 'policy' })
  return { kind: 'end', outcome: { kind: 'drop', place, reason: 'policy', because: 'policy' } }
}

/** The table is done with the packet: the next table of the hook, or the next hook. */
export function afterTable(walker: Walker, journey: Journey, steps: Step[]): Journey | Way['next'] {
  const { hook, table } = journey.spot
  return nextTable(walker, journey, steps, hook, TABLES[hook].indexOf(table) + 1)
}

function nextTable(walker: Walker, journey: Journey, steps: Step[], hook: Hook, from: number): Journey | Way['next'] {
  const tables = TABLES[hook]
  // Behind raw, or where there is none, conntrack has seen the packet.
  const tracked: Subject =
    journey.subject.tracking === 'none yet' ? { ...journey.subject, tracking: 'new' } : journey.subject
  for (let at = from; at < tables.length; at += 1) {
    const table = tables[at] ?? ''
    const subject = table === 'raw' ? journey.subject : tracked
    if (table === IPVS) {
      const goOn = (next: Journey, own: Step[]) => nextTable(walker, next, own, hook, at + 1)
      const enterOutput = (next: Journey, outInterface: string, own: Step[]) =>
        enter(walker, next, own, 'OUTPUT', { outInterface })
      const next = balance(walker, { ...journey, subject }, hook, steps, { goOn, enterOutput })
      if (next !== undefined) return next
      continue
    }
    if (table === 'nat' && isDecided(journey, hook, subject)) continue
    const { rules, policy } = walker.index.chain(table, hook)
    if (rules.length === 0 && policy !== 'DROP') continue
    return { ...journey, subject, spot: { hook, table, chain: hook, at: 0 } }
  }
  return afterHook(walker, { ...journey, subject: tracked }, steps, hook)
}

/** The nat table chooses a connection's addresses once, and where from is chosen before IPVS sends it out. */
function isDecided({ again }: Journey, hook: Hook, { tracking, balanced }: Subject): boolean {
  return again || tracking === 'untracked' || (hook === 'OUTPUT' && balanced !== undefined)
}

function afterHook(walker: Walker, journey: Journey, steps: Step[], hook: Hook): Journey | Way['next'] {
  switch (hook) {
    case 'PREROUTING':
      return routeIn(walker, journey, steps)
    case 'OUTPUT':
      return routeOut(walker, journey, steps)
    case 'FORWARD':
      return enter(walker, journey, steps, 'POSTROUTING', { outInterface: journey.subject.outInterface ?? UNKNOWN })
    case 'INPUT':
      return delivered(walker, journey, 'this node')
    case 'POSTROUTING':
      if (journey.subject.outInterface !== LOOPBACK_INTERFACE) return delivered(walker, journey, 'elsewhere')
      return enter(walker, { ...journey, again: true }, steps, 'PREROUTING', { inInterface: LOOPBACK_INTERFACE })
    default:
      return hook satisfies never
  }
}

function routeIn(walker: Walker, journey: Journey, steps: Step[]): Journey | Way['next'] {
  const { network } = walker.around
  const { destination, source, inInterface } = journey.subject
  // fib_validate_source; IPv6 does not ask.
  if (!journey.again && network.family === 'ipv4' && isLocal(network, source))
    return refused(journey, steps, `${source} is an address of this node, and nobody else's packets may come from it`)
  const interfaceIn = inInterface === undefined ? {} : { inInterface }
  if (!isLocal(network, destination)) {
    const { name } = routeTo(network, destination)
    return enter(walker, journey, steps, 'FORWARD', { ...interfaceIn, outInterface: name ?? UNKNOWN })
  }
  if (isLoopback(destination) && !journey.again && (network.family === 'ipv6' || !walker.routeLocalnet)) {
    return refused(journey, steps, `${destination} can't be reached from another host`)
  }
  return enter(walker, journey, steps, 'INPUT', interfaceIn)
}

function routeOut(walker: Walker, journey: Journey, steps: Step[]): Journey | Way['next'] {
  const { network } = walker.around
  const { destination, source } = journey.subject
  const { name } = routeTo(network, destination)
  if (isLoopback(source) && !isLocal(network, destination) && network.family === 'ipv4' && !walker.routeLocalnet) {
    return refused(journey, steps, `${source} can't leave the node: net.ipv4.conf.all.route_localnet is off`)
  }
  return enter(walker, journey, steps, 'POSTROUTING', { outInterface: name ?? UNKNOWN })
}

function enter(
  walker: Walker,
  journey: Journey,
  steps: Step[],
  hook: Hook,
  interfaces: Pick<Subject, 'inInterface' | 'outInterface'>,
): Journey | Way['next'] {
  const { inInterface: _in, outInterface: _out, ...rest } = journey.subject
  return nextTable(walker, { ...journey, subject: { ...rest, hook, ...interfaces } }, steps, hook, 0)
}

/** The kernel's routing throws it away. */
function refused(journey: Journey, steps: Step[], because: string): Way['next'] {
  const { hook } = journey.spot
  const place = { hook, table: 'route', chain: hook }
  steps.push({ ...place, action: 'DROP', note: because })
  return { kind: 'end', outcome: { kind: 'drop', place, because } }
}

function delivered(walker: Walker, journey: Journey, to: 'this node' | 'elsewhere'): Way['next'] {
  const { subject, masqueraded, service } = journey
  const { destination, destinationPort, source, outInterface, hasDnat, balanced } = subject
  const delivery = {
    destination,
    destinationPort,
    to,
    masqueraded,
    sourceSeen: source,
    ...(outInterface !== undefined && outInterface !== UNKNOWN && { outInterface }),
    ...(service !== undefined && { service }),
  }
  if (hasDnat || balanced !== undefined) return { kind: 'end', outcome: { kind: 'dnat', ...delivery } }
  const note = describeUnserved(walker, subject)
  return { kind: 'end', outcome: { kind: 'no match', ...delivery, ...(note !== undefined && { note }) } }
}
