// What `ipset save` tells of sets, as far as rules that match them need it: which type a set has and what is in it.
import { type Cidr, cidrContains, type Ip, parseCidr, parseIp } from '../model/address.ts'
import type { Issue } from '../model/issue.ts'

export interface SavedSet {
  readonly name: string
  /** `hash:ip,port`, `bitmap:port` ... */
  readonly type: string
  /** Words of the `create` line behind the type. */
  readonly options: readonly string[]
  /** In the order of the text, without options: `10.0.0.1,tcp:80`. */
  readonly entries: ReadonlySet<string>
  /** What follows an entry of the text, where something does: `nomatch`, `timeout 30`. */
  readonly entryOptions: ReadonlyMap<string, string>
}

export type SavedSets = ReadonlyMap<string, SavedSet>

/** Reads `ipset save`. Lines that are none of it become issues with their numbers. */
export function parseSavedSets(text: string): { readonly sets: SavedSets; readonly issues: readonly Issue[] } {
  const sets = new Map<string, SavedSet & { entries: Set<string>; entryOptions: Map<string, string> }>()
  const issues: Issue[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.trim().split(/\s+/)
    const [verb = '', name = '', third = '', ...rest] = words
    if (verb === '' || verb.startsWith('#')) continue
    const known = sets.get(name)
    if (verb === 'create' && third !== '' && known === undefined) {
      sets.set(name, { name, type: third, options: rest, entries: new Set(), entryOptions: new Map() })
    } else if (verb === 'add' && third !== '' && known !== undefined) {
      known.entries.add(third)
      if (rest.length > 0) known.entryOptions.set(third, rest.join(' '))
    } else {
      const message = `${JSON.stringify(line.slice(0, 60))} is no line of ipset save, or of a set without its create line: give the unchanged output of ipset save`
      issues.push({ severity: 'error', at: { line: index + 1 }, message })
    }
  }
  return { sets, issues }
}

/** The ends of a packet, as sets look at them. */
export interface SetSubject {
  readonly source: Ip
  readonly destination: Ip
  readonly protocol: string
  readonly sourcePort: number
  readonly destinationPort: number
}

/**
 * Whether the packet is in the set, by `directions` such as `dst,dst`. Undefined when the set's type or an entry's form
 * is not known here, so that nobody can say.
 */
export function isInSet(set: SavedSet, directions: string, packet: SetSubject): boolean | undefined {
  const parts = set.type.slice(set.type.indexOf(':') + 1).split(',')
  const sides = directions.split(',')
  const kind = set.type.slice(0, set.type.indexOf(':'))
  if ((kind !== 'hash' && kind !== 'bitmap') || parts.some((part) => !['ip', 'port', 'net'].includes(part)))
    return undefined
  if (set.entryOptions.size > 0 || parts.length > sides.length) return undefined
  // bitmap_port knows no other protocols.
  if (set.type === 'bitmap:port' && packet.protocol !== 'tcp' && packet.protocol !== 'udp') return false
  const values = parts.map((part, index) => valueOf(part, sides[index] === 'src', set.type === 'bitmap:port', packet))
  // The common case: addresses and ports written out.
  if (set.entries.has(values.join(','))) return true
  let unclear = false
  for (const entry of candidatesOf(set, parts, values)) {
    const outcome = matchesEntry(entry.split(','), values)
    if (outcome === true) return true
    if (outcome === undefined) unclear = true
  }
  return unclear ? undefined : false
}

/** Entries by all of their fields but the last, and those that are no single addresses and ports there. */
interface EntryIndex {
  readonly byStart: ReadonlyMap<string, readonly string[]>
  readonly others: readonly string[]
}

const INDEXES = new WeakMap<SavedSet, EntryIndex>()
const SINGLE = /^(?:[\da-f.:]+|(?:tcp|udp|sctp):\d+|\d+)$/

/** Those entries that the packet may be in beside one that is its very text. */
function candidatesOf(set: SavedSet, parts: readonly string[], values: readonly string[]): readonly string[] {
  let index = INDEXES.get(set)
  if (index === undefined) {
    index = indexEntries(set, parts.at(-1) === 'net')
    INDEXES.set(set, index)
  }
  const start = values.slice(0, -1).join(',')
  return [...(index.byStart.get(start) ?? []), ...index.others]
}

function indexEntries({ entries, options }: SavedSet, endsWithNetwork: boolean): EntryIndex {
  const byStart = new Map<string, string[]>()
  const others: string[] = []
  for (const entry of entries) {
    const fields = entry.split(',')
    const whole = endsWithNetwork ? fields.slice(0, -1) : fields
    if (options.includes('netmask') || !whole.every(isSingle)) others.push(entry)
    else if (endsWithNetwork) {
      const start = whole.join(',')
      const list = byStart.get(start)
      if (list === undefined) byStart.set(start, [entry])
      else list.push(entry)
    }
  }
  return { byStart, others }
}

/** Written as addresses are written here, so that equal ones are equal texts. */
function isSingle(field: string): boolean {
  return SINGLE.test(field) && (!/^[\da-f]*:|\./.test(field) || parseIp(field) === field)
}

function valueOf(part: string, source: boolean, bare: boolean, packet: SetSubject): string {
  if (part !== 'port') return source ? packet.source : packet.destination
  const port = source ? packet.sourcePort : packet.destinationPort
  return bare ? `${port}` : `${packet.protocol}:${port}`
}

function matchesEntry(fields: readonly string[], values: readonly string[]): boolean | undefined {
  if (fields.length !== values.length) return undefined
  let unclear = false
  for (const [index, field] of fields.entries()) {
    const outcome = matchesField(field, values[index] ?? '')
    if (outcome === false) return false
    if (outcome === undefined) unclear = true
  }
  return unclear ? undefined : true
}

function matchesField(field: string, value: string): boolean | undefined {
  if (field === value) return true
  const ip = parseIp(value)
  if (ip === undefined) {
    // A port: single ones are compared as text, ranges are not written by ipset save.
    return /^(?:[a-z0-9]+:)?\d+$/.test(field) ? false : undefined
  }
  const network: Cidr | undefined = parseCidr(field)
  if (network !== undefined) return cidrContains(network, ip)
  const single = parseIp(field)
  return single === undefined ? undefined : single === ip
}
