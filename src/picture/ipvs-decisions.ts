// What the rules around IPVS do with new connections to one virtual server, from the sets that they look it up in: whether
// the client's address is kept, which source ranges may come in, and whether it is refused altogether.
import { IPVS_FILTER, IPVS_OUT_FILTER } from '../iptables/ipvs-chains.ts'
import { MARK_MASQ, PROXY_FIREWALL, SERVICES } from '../iptables/names.ts'
import { jumpTarget, type Rule, type Ruleset } from '../iptables/rule.ts'
import type { SavedSets } from '../iptables/simulate-sets.ts'
import { setName } from '../ipvs/sets.ts'
import { setEntry } from '../ipvs/simulate-served.ts'
import type { Refusal } from './entrances.ts'
import { describeCondition } from './rule-words.ts'
import type { IpvsRules, ServedEntrance } from './virtual-servers.ts'

export interface ServerDecisions {
  /** Of the nat table; absent when no set has the virtual server. */
  readonly source?: { readonly set: string; readonly masquerade: readonly string[] }
  /** `loadBalancerSourceRanges`. */
  readonly ranges?: SourceRanges
  /** Before IPVS sees the packet, for everybody but this node. */
  readonly refusal?: Refusal
}

export interface SourceRanges {
  readonly set: string
  /** Networks, sorted. */
  readonly allowed: readonly string[]
  /** Whether the node may use its own address of the virtual server. */
  readonly allowsNode: boolean
  /** Where others end. */
  readonly refusals: readonly RangeRefusal[]
}

export interface RangeRefusal extends Refusal {
  readonly whom: string
}

export type Decide = (entrance: ServedEntrance, protocol: string) => ServerDecisions

interface Around {
  readonly ruleset: Ruleset
  readonly sets: SavedSets
  readonly allowed: ReadonlyMap<string, readonly string[]>
  /** Virtual servers that the node itself can't use, as entries. */
  readonly closed: ReadonlySet<string>
}

interface Asked {
  readonly protocol: string
  readonly ip: string
  readonly port: number
  readonly entry: string
}

/** Reads the sets once. Without sets nothing is decided. */
export function createDecisions({ family, ruleset, sets }: IpvsRules): Decide {
  if (sets === undefined) return () => ({})
  const entriesOf = (name: 'KUBE-LOAD-BALANCER-SOURCE-CIDR' | 'KUBE-LOAD-BALANCER-SOURCE-IP') =>
    sets.get(setName(name, family))?.entries ?? new Set<string>()
  const around = {
    ruleset,
    sets,
    allowed: groupByServer(entriesOf('KUBE-LOAD-BALANCER-SOURCE-CIDR')),
    closed: new Set((ruleset.tables.get('filter')?.get(IPVS_OUT_FILTER)?.rules ?? []).flatMap(closedBy)),
  }
  return ({ ip, port }, protocol) => {
    const asked = { protocol, ip, port, entry: setEntry(protocol, ip, port) }
    const source = decideSource(around, asked)
    const ranges = decideRanges(around, asked, entriesOf('KUBE-LOAD-BALANCER-SOURCE-IP'))
    const refusal = decideRefusal(around, asked)
    return { ...(source && { source }), ...(ranges && { ranges }), ...(refusal && { refusal }) }
  }
}

/** By `10.0.0.1,tcp:80`, what follows it, sorted. */
function groupByServer(entries: ReadonlySet<string>): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>()
  for (const entry of [...entries].toSorted()) {
    const [ip = '', port = '', network = ''] = entry.split(',')
    const group = groups.get(`${ip},${port}`)
    if (group === undefined) groups.set(`${ip},${port}`, [network])
    else group.push(network)
  }
  return groups
}

const PROTOCOLS: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' }

function closedBy({ matches, target }: Rule): readonly string[] {
  if (target?.kind !== 'drop') return []
  return matches.flatMap((match) =>
    match.kind === 'ipvs' ? [setEntry(PROTOCOLS[match.protocol] ?? '', match.address, match.port)] : [],
  )
}

interface Decision {
  readonly kind: 'masquerade' | 'return' | 'accept'
  readonly set: string
  /** Absent for everybody. */
  readonly whom?: string
}

/** Follows the nat table as a packet for the virtual server would: what is the first to decide names the set. */
function decideSource(around: Around, asked: Asked): ServerDecisions['source'] {
  const found: Decision[] = []
  walk(around, SERVICES, asked, undefined, found)
  const masquerades = found.filter(({ kind }) => kind === 'masquerade')
  const first = masquerades[0] ?? found[0]
  if (first === undefined) return undefined
  return { set: first.set, masquerade: [...new Set(masquerades.map(({ whom }) => whom ?? 'all'))] }
}

/** True when nothing behind counts. `through` is the set that led to the chain. */
function walk(around: Around, chain: string, asked: Asked, through: string | undefined, found: Decision[]): boolean {
  for (const rule of around.ruleset.tables.get('nat')?.get(chain)?.rules ?? []) {
    const set = setOf(rule, around.sets, asked)
    if (set === undefined) continue
    const name = set.name ?? through
    const whom = set.isSource ? 'from the address itself' : describeCondition(rule)
    const to = jumpTarget(rule)
    if (to === MARK_MASQ) {
      if (name !== undefined) found.push({ kind: 'masquerade', set: name, ...(whom !== undefined && { whom }) })
    } else if (to !== undefined) {
      if (walk(around, to, asked, name, found)) return true
    } else if (whom === undefined && !rule.matches.some(({ kind }) => kind === 'physdev')) {
      const kind = rule.target?.kind
      if ((kind === 'return' || kind === 'accept') && name !== undefined) found.push({ kind, set: name })
      if (kind === 'return') return false
      if (kind === 'accept') return true
    }
  }
  return false
}

interface FoundSet {
  /** Absent for a rule that asks for none. */
  readonly name?: string
  /** The packet's source has to be the virtual server's address. */
  readonly isSource: boolean
}

/** Undefined when the rule is not for the virtual server. Its address is always one of the node's. */
function setOf({ protocol, matches }: Rule, sets: SavedSets, asked: Asked): FoundSet | undefined {
  if (protocol !== undefined && (protocol.value === asked.protocol) === (protocol.not === true)) return undefined
  let found: FoundSet = { isSource: false }
  for (const match of matches) {
    if (match.kind !== 'set') continue
    const { name, directions } = match.set.value
    const set = sets.get(name)
    const text = set?.type === 'bitmap:port' ? String(asked.port) : set?.type === 'hash:ip' ? asked.ip : asked.entry
    if ((set?.entries.has(text) === true) === (match.set.not === true)) return undefined
    found = { name, isSource: directions.startsWith('src') }
  }
  return found
}

function decideRanges({ ruleset, sets, allowed, closed }: Around, asked: Asked, ofNode: ReadonlySet<string>) {
  for (const rule of ruleset.tables.get('filter')?.get(PROXY_FIREWALL)?.rules ?? []) {
    const set = setOf(rule, sets, asked)?.name
    const chain = jumpTarget(rule)
    if (set === undefined || chain === undefined) continue
    const because = 'not in the source ranges'
    const refusals: RangeRefusal[] = [{ kind: 'drop', chain, because, whom: 'from anywhere else' }]
    if (closed.has(asked.entry))
      refusals.push({ kind: 'drop', chain: IPVS_OUT_FILTER, because, whom: 'from this node' })
    const allowsNode = ofNode.has(`${asked.entry},${asked.ip}`)
    return { set, allowed: allowed.get(asked.entry) ?? [], allowsNode, refusals }
  }
  return undefined
}

/** An address of kube-ipvs0 is the node's own, and is closed but for what the sets have. */
function decideRefusal({ ruleset, sets }: Around, asked: Asked): Refusal | undefined {
  for (const rule of ruleset.tables.get('filter')?.get(IPVS_FILTER)?.rules ?? []) {
    const kind = rule.target?.kind
    if (setOf(rule, sets, asked)?.name === undefined) continue
    if (kind === 'return') return undefined
    if (kind === 'reject' || kind === 'drop') return { kind, chain: IPVS_FILTER, because: 'in no set of Services' }
  }
  return undefined
}
