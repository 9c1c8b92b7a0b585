// The rules of one port of a Service as a picture: entrances, the chains behind them with what they decide, endpoints.
import { isServiceChain, PROXY_FIREWALL } from '../iptables/names.ts'
import { type ChainName, jumpTarget, type Ruleset } from '../iptables/rule.ts'
import { formatShare, multiplyShares, restOfShare, type Share, shareOfThreshold, WHOLE } from '../packet/share.ts'
import { entranceText, type PortRules, type Refusal } from './entrances.ts'
import { createSketch, type Picture, type Sketch } from './picture.ts'
import { describeCondition, describeDecisions, endpointOf } from './rule-words.ts'

interface AnyPortPicture extends Picture {
  readonly rules: PortRules
  /** The node of each of its entrances, in their order. */
  readonly entrances: readonly number[]
  /** Nodes by `kind chain` of what refuses; IPVS itself stands for a chain named as its virtual server. */
  readonly refusals: ReadonlyMap<string, number>
}

export interface IptablesPicture extends AnyPortPicture {
  readonly mode: 'iptables'
  /** Nodes by the chain that they stand for; an endpoint stands for its chain. */
  readonly chains: ReadonlyMap<ChainName, number>
}

export interface IpvsPicture extends AnyPortPicture {
  readonly mode: 'ipvs'
  /** By the entrance's node, those that its packets pass, in their order; the last one is what IPVS does. */
  readonly paths: ReadonlyMap<number, readonly number[]>
  /** By the last node of a path and the address: `3 10.244.1.5:8080`. */
  readonly realServers: ReadonlyMap<string, number>
}

export type PortPicture = IptablesPicture | IpvsPicture

const COLUMNS: Readonly<Record<string, number>> = { 'KUBE-FW-': 1, 'KUBE-EXT': 2, 'KUBE-SVC': 3, 'KUBE-SVL': 3 }
const LAST_COLUMN = 4

interface Drawing {
  readonly sketch: Sketch
  readonly ruleset: Ruleset
  readonly chains: Map<ChainName, number>
  readonly refusals: Map<string, number>
}

export function drawPort(ruleset: Ruleset, rules: PortRules): IptablesPicture {
  const drawing: Drawing = { sketch: createSketch(), ruleset, chains: new Map(), refusals: new Map() }
  const { sketch } = drawing
  const entrances = rules.entrances.map((entrance) => {
    const lines = [entrance.kind, entranceText(entrance, rules.protocol)]
    const node = sketch.addNode({ kind: 'entrance', lines, column: 0 })
    const chain = entrance.chain === undefined ? undefined : addChain(drawing, entrance.chain)
    if (chain !== undefined) sketch.addEdge(node, chain)
    if (entrance.kind === 'cluster IP' && entrance.chain?.startsWith('KUBE-SVL-') === true) {
      sketch.addLine(node, 'internalTrafficPolicy: Local')
    }
    if (entrance.refusal !== undefined) addRefusal(drawing, node, chain, entrance.refusal)
    return node
  })
  const { chains, refusals } = drawing
  const picture = sketch.finish(`${rules.name} ${rules.protocol} ${rules.family}`)
  return { ...picture, mode: 'iptables', rules, entrances, chains, refusals }
}

/** What source ranges don't let in was seen by their chain before. */
function addRefusal(
  { sketch, refusals }: Drawing,
  entrance: number,
  chain: number | undefined,
  refusal: Refusal,
): void {
  const key = `${refusal.kind} ${refusal.chain}`
  const node =
    refusals.get(key) ??
    sketch.addNode({ kind: 'refusal', lines: [refusal.kind, refusal.because, refusal.chain], column: LAST_COLUMN })
  refusals.set(key, node)
  if (refusal.chain === PROXY_FIREWALL && chain !== undefined) sketch.addEdge(chain, node, 'from anywhere else')
  else sketch.addEdge(entrance, node)
}

/** The node of the chain, drawn with everything behind it when it is new. */
function addChain(drawing: Drawing, name: ChainName): number {
  const known = drawing.chains.get(name)
  if (known !== undefined) return known
  const { sketch, ruleset } = drawing
  const chain = ruleset.tables.get('nat')?.get(name)
  const endpoint = chain === undefined ? undefined : endpointOf(chain)
  if (chain === undefined || endpoint !== undefined) {
    const lines = endpoint === undefined ? [name, 'is missing'] : [endpoint, name]
    const node = sketch.addNode({ kind: endpoint === undefined ? 'chain' : 'endpoint', lines, column: LAST_COLUMN })
    drawing.chains.set(name, node)
    return node
  }
  const column = COLUMNS[name.slice(0, 8)] ?? 3
  const node = sketch.addNode({ kind: 'chain', lines: [name, ...describeDecisions(name, chain)], column })
  drawing.chains.set(name, node)
  let left: Share = WHOLE
  let conditional = false
  for (const rule of chain.rules) {
    const to = jumpTarget(rule)
    if (to === undefined || !isServiceChain(to)) continue
    const next = addChain(drawing, to)
    // A client that is remembered goes where it went, which is no share of all.
    if (rule.matches.some(({ kind }) => kind === 'recent')) continue
    const threshold = rule.matches.flatMap((match) => (match.kind === 'statistic' ? [match.threshold] : []))[0]
    const share = threshold === undefined ? WHOLE : shareOfThreshold(threshold)
    const condition = name.startsWith('KUBE-FW-') ? undefined : describeCondition(rule)
    const isChoice = threshold !== undefined || left !== WHOLE
    const rest = conditional ? 'all others' : undefined
    sketch.addEdge(node, next, isChoice ? formatShare(multiplyShares(left, share)) : (condition ?? rest))
    conditional ||= condition !== undefined
    if (condition === undefined && threshold !== undefined) left = multiplyShares(left, restOfShare(share))
  }
  return node
}
