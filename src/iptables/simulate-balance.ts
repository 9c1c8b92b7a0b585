// Where IPVS stands among the hooks, and what it does with the first packet of a connection to a virtual server. It is
// behind the filter table in INPUT, and between nat and filter in OUTPUT; a packet for a real server elsewhere then passes
// OUTPUT anew, with its new destination (net/netfilter/ipvs: ip_vs_ops4, ip_vs_nat_send_or_cont).
import { formatEndpoint, isLoopback } from '../model/address.ts'
import { isLocal, routeTo } from '../packet/network.ts'
import { WHOLE } from '../packet/share.ts'
import type { Branch, Hook, RulePlace, Step, Way } from '../packet/trace.ts'
import type { PossibleServer, VirtualServerChoice } from './simulate-balancer.ts'
import { type Journey, type Subject, UNKNOWN, type Walker } from './simulate-journey.ts'

/** Stands among the tables of a hook. */
export const IPVS = 'ipvs'

type Next = Journey | Way['next']

export interface HookSteps {
  /** The next table of the hook. */
  readonly goOn: (journey: Journey, steps: Step[]) => Next
  /** The first table of OUTPUT, with these interfaces. */
  readonly enterOutput: (journey: Journey, outInterface: string, steps: Step[]) => Next
}

/** Undefined when IPVS has nothing to do with the packet. */
export function balance(
  walker: Walker,
  journey: Journey,
  hook: Hook,
  steps: Step[],
  after: HookSteps,
): Next | undefined {
  const { subject, again } = journey
  if (again || subject.balanced !== undefined || subject.protocol === 'icmp') return undefined
  const found = walker.around.balancer?.(subject)
  if (found === undefined) return undefined
  const place: RulePlace = { hook, table: IPVS, chain: found.name }
  const about = found.service === undefined ? {} : { service: found.service }
  if (found.realServers.length === 0) {
    const because = `${found.name} has no real servers`
    const unreachable = walker.index.family === 'ipv4' ? 'icmp-port-unreachable' : 'icmp6-port-unreachable'
    steps.push({ ...place, ...about, action: `REJECT with ${unreachable}`, note: 'no real servers' })
    const reason = found.onlyElsewhere === true ? 'no-local-endpoints' : 'no-endpoints'
    return { kind: 'end', outcome: { kind: 'reject', with: unreachable, place, ...about, reason, because } }
  }
  for (const note of found.notes) walker.notes.add(note)
  const [first] = found.realServers
  const take = (server: PossibleServer, own: Step[]) =>
    takeServer(walker, journey, { found, place, server }, own, after)
  if (first !== undefined && found.realServers.length === 1) return take(first, steps)
  steps.push({ ...place, ...about, action: `virtual server, ${found.scheduler}` })
  const branches = found.realServers.map((server): Branch => {
    const own: Step[] = []
    const { steps: rest, next } = walker.follow(take(server, own))
    const way = { steps: [...own, ...rest], next }
    if (found.question === undefined) return { share: server.share ?? WHOLE, way }
    return { share: WHOLE, label: `if ${formatEndpoint(server.address, server.port)} is chosen`, way }
  })
  if (found.question === undefined) return { kind: 'random', place, branches }
  return { kind: 'unknown', place, question: found.question, branches }
}

interface Chosen {
  readonly found: VirtualServerChoice
  readonly place: RulePlace
  readonly server: PossibleServer
}

function takeServer(
  walker: Walker,
  journey: Journey,
  { found, place, server }: Chosen,
  steps: Step[],
  after: HookSteps,
): Next {
  const { subject } = journey
  const { network } = walker.around
  const about = found.service === undefined ? {} : { service: found.service }
  const end = formatEndpoint(server.address, server.port)
  const note = `virtual server, ${found.scheduler}`
  if (server.otherWay !== undefined) {
    steps.push({ ...place, ...about, action: `sent to ${end} unchanged (${server.otherWay})`, note })
    const because = `its real server ${end} gets packets as they are`
    return { kind: 'end', outcome: { kind: 'taken', by: `IPVS ${server.otherWay} ${end}`, place, ...about, because } }
  }
  steps.push({ ...place, ...about, action: `real server ${end}`, note })
  const local = isLocal(network, server.address)
  if (!local && isLoopback(subject.source)) {
    const because = `IPVS sends nothing from ${subject.source} to another host`
    steps.push({ ...place, action: 'DROP', note: because })
    return { kind: 'end', outcome: { kind: 'drop', place, ...about, because } }
  }
  const { protocol, destination: address, destinationPort: port } = subject
  const changed: Subject = {
    ...subject,
    destination: server.address,
    destinationPort: server.port,
    balanced: { at: { protocol, address, port } },
  }
  const sent = { ...journey, ...about, subject: changed }
  const out = routeTo(network, server.address).name ?? UNKNOWN
  return local ? after.goOn(sent, steps) : after.enterOutput(sent, out, steps)
}
