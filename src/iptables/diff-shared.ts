// The single -D and -I lines that bring a chain with lines of many ServicePorts to what is wanted. What counts there:
// 1. A packet that the lines of one ServicePort match is matched by those of another only where both claim an address
//    or node port (resolve/conflicts.ts). So the lines of one keep their order, those of rivals theirs, and otherwise
//    it does not matter whose come first: kube-proxy writes them in random order.
// 2. The lines of nobody, such as the jump to KUBE-NODEPORTS, stand last.
// 3. What is added goes to the top. For `-I CHAIN 1` iptables-nft-restore reads nothing, for any other number the whole
//    chain: with 10,000 Services that takes three times as long as the rest of the change.
import type { Family } from '../model/address.ts'
import { findRivals } from '../resolve/conflicts.ts'
import { ownerInText } from './drift-finding.ts'
import { printRule } from './print-rule.ts'
import type { Program } from './program.ts'
import type { RuleEdit } from './restore.ts'
import type { ChainName, Rule } from './rule.ts'
import { ownerOf } from './service.ts'

export interface SharedChain {
  readonly chain: ChainName
  readonly family: Family
  /** ServicePorts, `ns1/svc1:p80 tcp`, that claim what another one claims too. */
  readonly rivals: ReadonlySet<string>
}

/** The rivals of a program. It walks over all its ServicePorts. */
export function rivalOwners({ servicePorts }: Program): SharedChain['rivals'] {
  return new Set([...findRivals(servicePorts)].map(ownerOf))
}

/** In the order in which they are done; every number holds when its turn comes. Equal rules are deleted first to last. */
export function editSharedRules(
  shared: SharedChain,
  desired: readonly Rule[],
  actual: readonly Rule[],
): readonly RuleEdit[] {
  const wanted = groupLines(desired, shared)
  const present = groupLines(actual, shared)
  const deleted: Line[] = []
  const added: Line[] = []
  let lowestKept = -1
  for (const name of new Set([...wanted.owned.keys(), ...present.owned.keys()])) {
    const change = changeLines(wanted.owned.get(name) ?? [], present.owned.get(name) ?? [])
    deleted.push(...change.deleted)
    added.push(...change.added)
    lowestKept = Math.max(lowestKept, change.kept.at(-1)?.index ?? -1)
  }
  const last = changeLines(wanted.ownerless, present.ownerless)
  const stay = last.added.length === 0 && (last.kept[0]?.index ?? Number.POSITIVE_INFINITY) > lowestKept
  deleted.push(...(stay ? last.deleted : present.ownerless))
  return [
    ...deleted.toSorted(byIndex).map(({ rule }) => deletion(shared.chain, rule)),
    ...insertAtTop(shared.chain, added.toSorted(byIndex)),
    ...(stay ? [] : insertLast(shared.chain, wanted.ownerless, desired.length)),
  ]
}

/** Of one ServicePort, or of rivals together, in a chain where nothing else changes. */
export function editOwnRules(
  { chain, family }: Omit<SharedChain, 'rivals'>,
  desired: readonly Rule[],
  actual: readonly Rule[],
): { readonly deletes: readonly RuleEdit[]; readonly inserts: readonly RuleEdit[] } {
  const { deleted, added } = changeLines(printLines(desired, family), printLines(actual, family))
  return { deletes: deleted.map(({ rule }) => deletion(chain, rule)), inserts: insertAtTop(chain, added) }
}

interface Line {
  readonly rule: Rule
  readonly text: string
  /** Place in its chain. */
  readonly index: number
}

interface GroupedLines {
  /** By ServicePort; those of all rivals together, and lines whose place does not matter alone. */
  readonly owned: ReadonlyMap<string, readonly Line[]>
  readonly ownerless: readonly Line[]
}

const RIVALS = ''

function groupLines(rules: readonly Rule[], { family, rivals }: SharedChain): GroupedLines {
  const owned = new Map<string, Line[]>()
  const ownerless: Line[] = []
  for (const line of printLines(rules, family)) {
    const group = groupOf(line.text, rivals)
    const lines = group === undefined ? ownerless : owned.get(group)
    if (lines !== undefined) lines.push(line)
    else if (group !== undefined) owned.set(group, [line])
  }
  return { owned, ownerless }
}

/** Undefined for lines of nobody. */
function groupOf(text: string, rivals: ReadonlySet<string>): string | undefined {
  const owner = ownerInText(text)
  // Of health check node ports; it does not matter which one accepts, and that of a UDP ServicePort names TCP.
  if (owner !== undefined && text.endsWith('-j ACCEPT')) return text
  return owner !== undefined && rivals.has(owner) ? RIVALS : owner
}

function printLines(rules: readonly Rule[], family: Family): readonly Line[] {
  return rules.map((rule, index) => ({ rule, text: printRule(rule, family), index }))
}

interface LineChange {
  readonly deleted: readonly Line[]
  /** In the order in which they stand in the end, above those that are kept. */
  readonly added: readonly Line[]
  readonly kept: readonly Line[]
}

/** Keeps the most of the last wanted lines that are there in their order, as the others can only be put above them. */
function changeLines(wanted: readonly Line[], present: readonly Line[]): LineChange {
  // -D takes the first of equal rules, which need not be the superfluous one.
  const repeats = new Set(present.map(({ text }) => text)).size < present.length
  if (repeats && !isSame(wanted, present)) return { deleted: present, added: wanted, kept: [] }
  const kept: Line[] = []
  let missing = wanted.length
  for (const line of present.toReversed()) {
    if (line.text !== wanted[missing - 1]?.text) continue
    kept.unshift(line)
    missing -= 1
  }
  const staying = new Set(kept)
  return { deleted: present.filter((line) => !staying.has(line)), added: wanted.slice(0, missing), kept }
}

function isSame(a: readonly Line[], b: readonly Line[]): boolean {
  return a.length === b.length && a.every(({ text }, index) => text === b[index]?.text)
}

function byIndex(a: Line, b: Line): number {
  return a.index - b.index
}

function deletion(chain: ChainName, rule: Rule): RuleEdit {
  return { kind: 'delete', chain, rule }
}

/** The lowest first. */
function insertAtTop(chain: ChainName, lines: readonly Line[]): readonly RuleEdit[] {
  return lines.toReversed().map(({ rule }) => ({ kind: 'insert', chain, number: 1, rule }))
}

/** At the end of what are then `length` rules. */
function insertLast(chain: ChainName, lines: readonly Line[], length: number): readonly RuleEdit[] {
  return lines.map(({ rule }, index) => ({ kind: 'insert', chain, number: length - lines.length + index + 1, rule }))
}
