// A change as the bytes that `iptables-restore --noflush` reads, whatever its size, and the way back from a line of it
// to what the line is about. Which line is which is found by printing again: it is asked only after a failure.
//
// iptables-nft-restore 1.8.9 reads the kernel chain by chain for the chains that get rules, and the time for that rises
// with the square of their number. A `-S` as the first line of a table makes it read the table once instead. Measured on
// two cores of an ordinary server, in ms, n Services with 5 endpoints (6n chains), medians of 3 resp. 2:
//
//   into an empty table   n =   10    50   100   200   400    800
//     as it is                  6    20    39   103   267   1370
//     with -S                   7    17    31    61   103    270
//   rewritten in a table  n =   50   100   200   400   800   1600   (60,000 chains: 10,000 Services)
//     as it is                 80   108   150   305   780   3200
//     with -S                1580  1580  1700  1750  1900   2300
//
// so -S pays from 300 chains in an empty table, and from about 6,500 where it has to read 60,000: the time of the first
// way is about 35 ns for each pair of chains, that of reading 25 us for each chain that is there.
import type { Family } from '../model/address.ts'
import { isBaseChain } from './base-chains.ts'
import { printRuleLine } from './print-rule.ts'
import type { PrintedRules, RulesetChange, TableChange } from './restore.ts'
import type { ChainName, TableName } from './rule.ts'
import { createTextWriter } from './text-writer.ts'

export interface RestorePayload {
  readonly blocks: readonly Uint8Array[]
  readonly lines: number
  /** How many rules it writes, by table; counted here, where each is compiled anyway. */
  readonly rules: ReadonlyMap<TableName, number>
  /** One for each COMMIT. */
  readonly transactions: number
}

/** A line of a payload. */
export interface PayloadLine {
  readonly table: TableName
  readonly text: string
  /** The chain that it makes, deletes or has a rule of; absent for `*nat`, `-S` and `COMMIT`. */
  readonly chain?: ChainName
  /** It brings a rule into the kernel. */
  readonly writesRule?: true
}

/** Whether a table's part of a change should begin with `-S`. */
export type ListsFirst = (table: TableName, change: TableChange) => boolean

/** For iptables-legacy, which reads each table once anyway. */
export const NEVER_LIST: ListsFirst = () => false

/** For iptables-nft, where a table has about that many chains. */
export function listWhenLarge(chainsPresent: (table: TableName) => number): ListsFirst {
  return (table, { rewritten }) => {
    const saved = rewritten.size ** 2 - FIXED_COST
    // Counting takes longer than a small change.
    return saved > 0 && saved > COST_OF_CHAIN * chainsPresent(table)
  }
}

const COMMIT = 'COMMIT'

const FIXED_COST = 85_000
const COST_OF_CHAIN = 700

/** No blocks when there is nothing to do. */
export function printRestorePayload(change: RulesetChange, listsFirst: ListsFirst): RestorePayload {
  const text = createTextWriter()
  const rules = new Map<TableName, number>()
  let lines = 0
  let transactions = 0
  const countRules = (table: TableName, more: number) => {
    if (more > 0) rules.set(table, (rules.get(table) ?? 0) + more)
  }
  for (const part of payloadParts(change, listsFirst)) {
    if ('printed' in part) {
      text.append(part.printed.text)
      lines += part.printed.rules
      countRules(part.table, part.printed.rules)
      continue
    }
    text.write(`${part.text}\n`)
    lines += 1
    if (part.writesRule === true) countRules(part.table, 1)
    if (part.text === COMMIT) transactions += 1
  }
  return { blocks: text.blocks(), lines, rules, transactions }
}

/** Lines by number, from 1; numbers outside the payload are left out. */
export function findPayloadLines(
  change: RulesetChange,
  listsFirst: ListsFirst,
  numbers: ReadonlySet<number>,
): readonly PayloadLine[] {
  const found: PayloadLine[] = []
  let number = 0
  for (const part of payloadParts(withoutPrinted(change), listsFirst)) {
    number += 1
    if (numbers.has(number) && 'text' in part) found.push(part)
  }
  return found
}

/** The same change, whose rules have to be printed again. */
export function withoutPrinted({ family, tables }: RulesetChange): RulesetChange {
  const unprinted = [...tables].map(([name, { rewritten, edits, deleted }]): [TableName, TableChange] => [
    name,
    { rewritten, edits, deleted },
  ])
  return { family, tables: new Map(unprinted) }
}

/** A line, or many at once. */
type PayloadPart = PayloadLine | { readonly table: TableName; readonly printed: PrintedRules }

function* payloadParts(change: RulesetChange, listsFirst: ListsFirst): Generator<PayloadPart, undefined> {
  for (const [table, tableChange] of change.tables) {
    if (!listsFirst(table, tableChange)) {
      yield* tableLines(table, tableChange, change)
      continue
    }
    // After -S iptables-nft takes base chains for there that are not, and an insertion fails. What they get, the jumps
    // to our chains, comes in a transaction of its own, when these are complete.
    const inBase = tableChange.edits.filter((edit) => isBaseChain(edit.chain))
    const edits = tableChange.edits.filter((edit) => !isBaseChain(edit.chain))
    yield* tableLines(table, { ...tableChange, edits }, change, '-S')
    if (inBase.length > 0) yield* tableLines(table, { ...NOTHING, edits: inBase }, change)
  }
}

const NOTHING: TableChange = { rewritten: new Map(), edits: [], deleted: [] }

function* tableLines(
  table: TableName,
  { rewritten, edits, deleted, printed }: TableChange,
  { family }: RulesetChange,
  first?: string,
): Generator<PayloadPart, undefined> {
  yield { table, text: `*${table}` }
  if (first !== undefined) yield { table, text: first }
  for (const chain of rewritten.keys()) yield { table, chain, text: `:${chain} - [0:0]` }
  // A chain line also empties the chain, and only an empty chain can be deleted.
  for (const chain of deleted) yield { table, chain, text: `:${chain} - [0:0]` }
  if (printed !== undefined) yield { table, printed }
  else yield* rewrittenLines(table, rewritten, family)
  for (const edit of edits) {
    const start = edit.kind === 'delete' ? `-D ${edit.chain}` : `-I ${edit.chain} ${edit.number}`
    const line = { table, chain: edit.chain, text: printRuleLine(start, edit.rule, family) }
    yield edit.kind === 'delete' ? line : { ...line, writesRule: true }
  }
  for (const chain of deleted) yield { table, chain, text: `-X ${chain}` }
  yield { table, text: COMMIT }
}

function* rewrittenLines(
  table: TableName,
  rewritten: TableChange['rewritten'],
  family: Family,
): Generator<PayloadLine, undefined> {
  for (const [chain, rules] of rewritten) {
    const start = `-A ${chain}`
    for (const rule of rules) yield { table, chain, text: printRuleLine(start, rule, family), writesRule: true }
  }
}
