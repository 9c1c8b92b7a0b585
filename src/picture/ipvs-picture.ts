// One port of a Service in IPVS mode as a picture: its virtual servers' addresses, the sets that decide about their
// packets, how IPVS schedules, and the real servers with weights and shares. Addresses that are served alike share boxes.
import type { VirtualServerChoice } from '../iptables/simulate-balancer.ts'
import type { SavedRealServer, SavedService } from '../ipvs/parse.ts'
import { setName } from '../ipvs/sets.ts'
import { createBalancer } from '../ipvs/simulate.ts'
import { formatEndpoint } from '../model/address.ts'
import type { PacketProtocol } from '../packet/packet.ts'
import { formatShare } from '../packet/share.ts'
import { entranceText, type Refusal } from './entrances.ts'
import { createDecisions, type Decide, type ServerDecisions, type SourceRanges } from './ipvs-decisions.ts'
import { createSketch, type NodeKind, type Sketch } from './picture.ts'
import type { IpvsPicture } from './port-picture.ts'
import { describeRanges } from './rule-words.ts'
import type { IpvsRules, ServedEntrance, ServedPortRules } from './virtual-servers.ts'

const SOURCE_COLUMN = 1
const RANGES_COLUMN = 2
const SCHEDULER_COLUMN = 3
const LAST_COLUMN = 4

interface Drawing {
  readonly sketch: Sketch
  readonly rules: IpvsRules
  readonly protocol: PacketProtocol
  readonly decide: Decide
  /** By what they say, so that equal boxes are one. */
  readonly known: Map<string, number>
  readonly refusals: Map<string, number>
  readonly realServers: Map<string, number>
}

/** Reads the rules once, for any number of ports. */
export function createIpvsDrawer(rules: IpvsRules): (port: ServedPortRules) => IpvsPicture {
  const decide = createDecisions(rules)
  return (port) => {
    const sketch = createSketch()
    const drawing: Drawing = {
      sketch,
      rules,
      protocol: port.protocol as PacketProtocol,
      decide,
      known: new Map(),
      refusals: new Map(),
      realServers: new Map(),
    }
    const paths = new Map<number, readonly number[]>()
    const entrances = port.entrances.map((entrance) => {
      const lines = [entrance.kind, entranceText(entrance, port.protocol)]
      const node = sketch.addNode({ kind: 'entrance', lines, column: 0 })
      paths.set(node, drawEntrance(drawing, entrance, node))
      return node
    })
    const { refusals, realServers } = drawing
    const picture = sketch.finish(`${port.name} ${port.protocol} ${port.family}`)
    return { ...picture, mode: 'ipvs', rules: port, entrances, refusals, paths, realServers }
  }
}

/** The boxes behind the entrance, in the order in which a packet passes them. */
function drawEntrance(drawing: Drawing, entrance: ServedEntrance, node: number): readonly number[] {
  const { sketch, decide, protocol } = drawing
  const { source, ranges, refusal } = decide(entrance, protocol)
  const path: number[] = []
  const goTo = (next: number) => {
    sketch.addEdge(path.at(-1) ?? node, next)
    path.push(next)
  }
  if (source !== undefined) goTo(addBox(drawing, 'chain', describeSource(source), SOURCE_COLUMN))
  if (refusal !== undefined) addRefusal(drawing, path.at(-1) ?? node, refusal, 'not from this node')
  if (ranges !== undefined) {
    goTo(addBox(drawing, 'chain', describeSourceRanges(ranges), RANGES_COLUMN))
    for (const refused of ranges.refusals) addRefusal(drawing, path.at(-1) ?? node, refused, refused.whom)
  }
  const choice = choiceOf(drawing, entrance)
  if (choice !== undefined) goTo(addScheduler(drawing, entrance.server, choice))
  return path
}

function describeSource({ set, masquerade }: NonNullable<ServerDecisions['source']>): readonly string[] {
  const policy = /-LOCAL(?:-|$)/.test(set) ? ['externalTrafficPolicy: Local'] : []
  return [
    set,
    ...policy,
    ...(masquerade.length === 0 ? ['no masquerade'] : masquerade.map((whom) => `masquerade: ${whom}`)),
  ]
}

function describeSourceRanges({ set, allowed, allowsNode }: SourceRanges): readonly string[] {
  return [set, ...describeRanges(allowed), ...(allowsNode ? ['lets in this node'] : [])]
}

function choiceOf({ rules, protocol }: Drawing, { ip, port, server }: ServedEntrance): VirtualServerChoice | undefined {
  return createBalancer([server], rules.family)({ protocol, destination: ip, destinationPort: port, mark: 0 })
}

/** What the virtual server does, with its real servers behind it. */
function addScheduler(drawing: Drawing, server: SavedService, choice: VirtualServerChoice): number {
  const { sketch } = drawing
  const real = server.realServers.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const key = JSON.stringify([server.options, real])
  const known = drawing.known.get(key)
  const [, seconds] = /(?:^| )-p (\d+)/.exec(server.options) ?? []
  const lines = [
    'virtual server',
    `scheduler: ${choice.scheduler}`,
    ...(seconds === undefined ? [] : [`affinity: ${seconds} s`]),
    ...(choice.question === undefined ? [] : [`chosen ${choice.question}`]),
  ]
  const node = known ?? sketch.addNode({ kind: 'chain', lines, column: SCHEDULER_COLUMN })
  drawing.known.set(key, node)
  if (choice.realServers.length === 0) {
    const refusal = { kind: 'reject', chain: choice.name, because: 'no real servers' } as const
    drawing.refusals.set(`reject ${choice.name}`, addRefusal(drawing, node, refusal))
  }
  if (known === undefined) for (const each of real) addRealServer(drawing, node, each, choice)
  return node
}

function addRealServer(drawing: Drawing, scheduler: number, real: SavedRealServer, choice: VirtualServerChoice): void {
  const { sketch, protocol, rules } = drawing
  const possible = choice.realServers.find(({ address, port }) => formatEndpoint(address, port) === real.name)
  const [, ip = '', port = ''] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(real.name) ?? []
  const loops = rules.sets?.get(setName('KUBE-LOOP-BACK', rules.family))?.entries.has(`${ip},${protocol}:${port},${ip}`)
  const lines = [
    real.name,
    `weight ${real.weight}`,
    ...(loops === true ? ['masquerade: from itself'] : []),
    ...(possible?.otherWay === undefined ? [] : [`packets unchanged (${possible.otherWay})`]),
  ]
  const node = addBox(drawing, 'endpoint', lines, LAST_COLUMN)
  drawing.realServers.set(`${scheduler} ${real.name}`, node)
  const share = choice.realServers.length > 1 ? possible?.share : undefined
  const label = possible === undefined ? 'no new connections' : share === undefined ? undefined : formatShare(share)
  sketch.addEdge(scheduler, node, label)
}

function addRefusal(drawing: Drawing, from: number, refusal: Refusal, label?: string): number {
  const { kind, chain, because } = refusal
  // That of IPVS itself has no chain.
  const where = chain.startsWith('KUBE-') ? [chain] : []
  const node = addBox(drawing, 'refusal', [kind, because, ...where], LAST_COLUMN)
  drawing.refusals.set(`${kind} ${chain}`, node)
  drawing.sketch.addEdge(from, node, label)
  return node
}

function addBox({ sketch, known }: Drawing, kind: NodeKind, lines: readonly string[], column: number): number {
  const key = JSON.stringify([kind, lines])
  const node = known.get(key) ?? sketch.addNode({ kind, lines, column })
  known.set(key, node)
  return node
}
