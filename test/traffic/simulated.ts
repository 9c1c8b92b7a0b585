// The laboratory's questions put to the simulator too, with the rules that its nodes were given: whatever the kernel did
// must be one of the things that the simulator says may happen. A packet may pass several nodes, one after the other. What
// is not compared is counted, with the reason.
import type { Simulator } from '../../src/iptables/simulate.ts'
import { type Cidr, type Family, familyOfIp, type Ip, parseIp } from '../../src/model/address.ts'
import { replyWay } from '../../src/packet/describe-trace.ts'
import { type InterfaceAddress, isLocal, LOOPBACK, type NodeNetwork, sourceTowards } from '../../src/packet/network.ts'
import { originAs, originOf } from '../../src/packet/origin.ts'
import type { Packet } from '../../src/packet/packet.ts'
import type { Outcome as SimulatedOutcome } from '../../src/packet/trace.ts'
import type { Namespace, Outcome, Question } from './agent.ts'
import { ADDRESSES, type Laboratory, NODES, PODS_PER_NODE } from './laboratory.ts'

interface Loaded {
  readonly lab: Laboratory
  /** By family and number of the node; made when first asked. */
  readonly nodes: Map<string, () => SimulatedNode>
  /** Clients with the ports that they asked from. */
  readonly asked: Set<string>
}

/** What is on the node: rules, and in IPVS mode virtual servers and the addresses of kube-ipvs0. */
export interface SimulatedNode {
  readonly simulate: Simulator
  readonly network: NodeNetwork
}

/** How many questions were put to both, and agreed; and how many were not compared, by the reason. */
export interface Comparisons {
  readonly agreed: number
  readonly leftOut: Readonly<Record<string, number>>
}

const LOADED = new WeakMap<Namespace, Loaded>()
/** Packets that are passed on more often go in circles. */
const MOST_NODES = 4
let agreed = 0
let leftOut: Record<string, number> = {}

/** Since the last time. */
export function takeComparisons(): Comparisons {
  const taken = { agreed, leftOut }
  agreed = 0
  leftOut = {}
  return taken
}

export function sumComparisons(all: readonly Comparisons[]): Comparisons {
  const sum: Record<string, number> = {}
  for (const [reason, times] of all.flatMap((each) => Object.entries(each.leftOut))) {
    sum[reason] = (sum[reason] ?? 0) + times
  }
  return { agreed: all.reduce((count, each) => count + each.agreed, 0), leftOut: sum }
}

/** One line, for the end of a test's output. */
export function formatComparisons({ agreed: count, leftOut: others }: Comparisons): string {
  const reasons = Object.entries(others).map(([reason, times]) => `${times} (${reason})`)
  const rest = reasons.length === 0 ? '' : `; not compared: ${reasons.join(', ')}`
  return `questions put to the simulator too, which agreed: ${count}${rest}`
}

/** From now on questions of this laboratory are compared, as far as all nodes' rules are known. */
export function rememberRules(
  lab: Laboratory,
  family: Family,
  node: number,
  make: (network: NodeNetwork) => SimulatedNode,
): void {
  const [first] = lab.nodes
  const before = first === undefined ? undefined : LOADED.get(first)
  const loaded: Loaded = before ?? { lab, nodes: new Map(), asked: new Set() }
  for (const namespace of [lab.outside, ...lab.nodes, ...lab.pods]) LOADED.set(namespace, loaded)
  let made: SimulatedNode | undefined
  loaded.nodes.set(`${family} ${node}`, () => (made ??= make(networkOf(family, node))))
}

/** Somebody else writes the rules from now on. */
export function forgetRules({ outside, nodes, pods }: Laboratory): void {
  for (const namespace of [outside, ...nodes, ...pods]) LOADED.delete(namespace)
}

/** What differs, in words; undefined when nothing does, and when it is not compared. */
export function compareWithSimulator(from: Namespace, question: Question, outcome: Outcome): string | undefined {
  const ends = comparableEnds(from, question, outcome)
  if (typeof ends === 'string') {
    leftOut[ends] = (leftOut[ends] ?? 0) + 1
    return undefined
  }
  if (ends.some((end) => allows(end, outcome) || isNotHeardYet(end, outcome, question))) {
    agreed += 1
    return undefined
  }
  return `${from.name} asks ${question.to} ${question.port}: found ${JSON.stringify(outcome)}, and the simulator says ${ends.map((end) => JSON.stringify(end)).join(' or ')}`
}

/** Where the question may come to; or why that is not compared. */
function comparableEnds(from: Namespace, question: Question, outcome: Outcome): readonly PossibleEnd[] | string {
  const loaded = LOADED.get(from)
  const to = parseIp(question.to)
  if (to === undefined) return 'to no address'
  const family = familyOfIp(to)
  const isKnown = Array.from({ length: NODES }).every((_, node) => loaded?.nodes.has(`${family} ${node}`))
  if (loaded === undefined || !isKnown) return 'others than this test wrote the rules'
  const { protocol = 'tcp', source = '', sourcePort } = question
  const client = `${from.name} ${family} ${protocol} ${source} ${sourcePort}`
  if (sourcePort !== undefined && loaded.asked.has(client)) return 'a flow that is remembered goes where it went before'
  loaded.asked.add(client)
  if (outcome.kind === 'closed' || outcome.kind === 'error')
    return `the client was told something else: ${outcome.kind}`
  return possibleEnds(loaded, from, question, to) ?? 'no node gets it'
}

/** Where a packet may come to. */
type PossibleEnd =
  | {
      readonly kind: 'at'
      readonly server: string
      readonly port: number
      readonly client: Ip
      /** False when they come from an address that the client never asked. */
      readonly answersFindBack: boolean
    }
  | { readonly kind: 'drop' | 'reject' | 'lost' }

function allows(end: PossibleEnd, outcome: Outcome): boolean {
  switch (outcome.kind) {
    case 'answer':
      return end.kind === 'at' && end.answersFindBack && end.server === outcome.server && end.client === outcome.client
    case 'refused':
      return end.kind === 'reject' || end.kind === 'at'
    case 'timeout':
      return end.kind === 'drop' || end.kind === 'lost' || (end.kind === 'at' && !end.answersFindBack)
    case 'closed':
    case 'error':
      return true
    default:
      return outcome satisfies never
  }
}

/** Over IPv6 a client on this machine may hear only the refusal of its second SYN (row.ts), and was not given the time. */
function isNotHeardYet({ kind }: PossibleEnd, outcome: Outcome, { to, timeoutMs = REFUSAL_MS }: Question): boolean {
  return kind === 'reject' && outcome.kind === 'timeout' && to.includes(':') && timeoutMs < REFUSAL_MS
}

/** The second SYN and its refusal. */
const REFUSAL_MS = 5_000

interface Place {
  readonly node: number
  readonly packet: Packet
  /** Whose it is when it starts here. */
  readonly start?: 'node' | 'pod'
  /** An earlier node will not see the answers to what it changed. */
  readonly answersLost?: true
}

function possibleEnds(loaded: Loaded, from: Namespace, question: Question, to: Ip): readonly PossibleEnd[] | undefined {
  const { lab } = loaded
  const family = familyOfIp(to)
  const ips = ADDRESSES[family]
  const [kind = '', first = '', second = ''] = from.name.split('-')
  const packetFrom = (source: string): Packet => {
    const ends = { source: (question.source ?? source) as Ip, sourcePort: 40_000, destination: to }
    return { family, protocol: question.protocol ?? 'tcp', ...ends, destinationPort: question.port }
  }
  const node = Number(first)
  if (kind === 'pod') {
    return follow(loaded, { node, packet: packetFrom(ips.pod(node, Number(second))), start: 'pod' }, 0)
  }
  if (kind === 'node') {
    const { network } = nodeOf(loaded, family, node)
    return follow(loaded, { node, packet: packetFrom(sourceTowards(network, to)), start: 'node' }, 0)
  }
  const target = nodeBehind(lab, family, to)
  return target === undefined ? undefined : follow(loaded, { node: target, packet: packetFrom(ips.outside) }, 0)
}

function follow(loaded: Loaded, { node, packet, start, answersLost }: Place, passed: number): readonly PossibleEnd[] {
  if (passed >= MOST_NODES) return [{ kind: 'lost' }]
  const { simulate, network } = nodeOf(loaded, packet.family, node)
  // In IPVS mode every node has every virtual address, and a node asks a virtual address from that very address: where
  // such a packet comes in, an answer would stay. IPv4 does not even let it in, as from a martian.
  const isFromOneself = start === undefined && isLocal(network, packet.source)
  if (isFromOneself && packet.family === 'ipv4') return [{ kind: 'lost' }]
  const origin = start === undefined ? originOf(network, packet.source) : originAs(network, start, packet.source)
  // What comes from elsewhere comes in by eth0, whatever its address is.
  const arrived = start === undefined ? { ...origin, here: false, inInterface: 'eth0' } : origin
  const trace = simulate(packet, arrived, network)
  return trace.outcomes.flatMap(({ outcome }) => {
    const stays = isFromOneself && !('masqueraded' in outcome && outcome.masqueraded)
    const lost = answersLost === true || stays || replyWay(outcome, trace, network) === 'past this node'
    return endsOf(loaded, { node, packet, ...(lost && { answersLost: lost }) }, outcome, passed)
  })
}

function endsOf(loaded: Loaded, place: Place, outcome: SimulatedOutcome, passed: number): readonly PossibleEnd[] {
  const { node, packet, answersLost } = place
  if (outcome.kind === 'drop' || outcome.kind === 'reject') return [{ kind: outcome.kind }]
  if (outcome.kind === 'taken') return [{ kind: 'lost' }]
  const { destination, destinationPort: port, sourceSeen } = outcome
  const pod = podAt(packet.family, destination)
  const server = outcome.to === 'this node' ? `node-${node}` : pod?.node === node ? pod.name : undefined
  if (server !== undefined)
    return [{ kind: 'at', server, port, client: sourceSeen, answersFindBack: answersLost !== true }]
  const next = pod?.node ?? nodeBehind(loaded.lab, packet.family, destination)
  if (next === undefined || next === node) return [{ kind: 'lost' }]
  const passedOn = { ...packet, source: sourceSeen, destination, destinationPort: port }
  return follow(loaded, { node: next, packet: passedOn, ...(answersLost === true && { answersLost }) }, passed + 1)
}

function podAt(family: Family, ip: Ip): { readonly name: string; readonly node: number } | undefined {
  for (let node = 0; node < NODES; node += 1)
    for (let pod = 0; pod < PODS_PER_NODE; pod += 1)
      if (ADDRESSES[family].pod(node, pod) === ip) return { name: `pod-${node}-${pod}`, node }
  return undefined
}

/** The node that gets what is for the address. */
function nodeBehind({ routes }: Laboratory, family: Family, ip: Ip): number | undefined {
  for (let node = 0; node < NODES; node += 1) if (ADDRESSES[family].node(node) === ip) return node
  return routes.get(ip)
}

function nodeOf({ nodes }: Loaded, family: Family, node: number): SimulatedNode {
  const make = nodes.get(`${family} ${node}`)
  if (make === undefined) throw new Error(`nobody gave node ${node} rules`)
  return make()
}

/** As laboratory.ts connects it. */
function networkOf(family: Family, node: number): NodeNetwork {
  const plan = ADDRESSES[family]
  const v4 = family === 'ipv4'
  const pods = v4 ? `10.244.${node + 1}.0/24` : `fd00:244:0:${node + 1}::/64`
  const at = (ip: string, network: string): readonly InterfaceAddress[] => [{ ip: ip as Ip, network: network as Cidr }]
  return {
    family,
    interfaces: [
      LOOPBACK[family],
      { name: 'eth0', addresses: at(plan.node(node), v4 ? '172.18.0.0/24' : 'fd00:18::/64') },
      {
        name: 'second',
        addresses: at(plan.secondary(node), v4 ? `172.19.${node + 1}.0/24` : `fd00:19:0:${node + 1}::/64`),
      },
      { name: 'cni0', addresses: at(v4 ? `10.244.${node + 1}.1` : `fd00:244:0:${node + 1}::1`, pods) },
    ],
    nodeIP: plan.node(node) as Ip,
    podCIDRs: [pods as Cidr],
    podInterface: 'cni0',
    clusterCIDRs: [plan.podCIDR as Cidr],
    otherNodes: Array.from({ length: NODES }, (_, other) => other)
      .filter((other) => other !== node)
      .map((other) => plan.node(other) as Ip),
  }
}
