// A change of some rules of one family, and its text for `iptables-restore --noflush`. Within a table chains are made
// and emptied first, so that no jump is to a missing chain, and deleted last, when nothing refers to them any more.
import type { Family } from '../model/address.ts'
import { printRuleLine } from './print-rule.ts'
import type { ChainName, Rule, TableName } from './rule.ts'
import type { TextWriter } from './text-writer.ts'

/** Tables that stay as they are do not appear. */
export interface RulesetChange {
  readonly family: Family
  readonly tables: ReadonlyMap<TableName, TableChange>
}

/** No chain is named in more than one of the three. */
export interface TableChange {
  /** Chains to make if they are missing, with all their rules. */
  readonly rewritten: ReadonlyMap<ChainName, readonly Rule[]>
  /** Single rules of chains that otherwise stay, in the order in which they are done. */
  readonly edits: readonly RuleEdit[]
  readonly deleted: readonly ChainName[]
  /** The rules of `rewritten`, where they had to be printed to find the change: printing them again takes as long. */
  readonly printed?: PrintedRules
}

/** Lines `-A CHAIN ...` in the order of the chains that they are of. */
export interface PrintedRules {
  readonly text: TextWriter
  readonly rules: number
}

export type RuleEdit =
  /** Of equal rules the first goes. */
  | { readonly kind: 'delete'; readonly chain: ChainName; readonly rule: Rule }
  /** `number` counts from 1 and is that of the new rule. */
  | { readonly kind: 'insert'; readonly chain: ChainName; readonly number: number; readonly rule: Rule }

/** The payload for `iptables-restore --noflush` (IPv6: `ip6tables-restore`); empty when there is nothing to do. */
export function printRestore(change: RulesetChange): string {
  const lines: string[] = []
  for (const [name, table] of change.tables) {
    lines.push(`*${name}`)
    for (const chain of table.rewritten.keys()) lines.push(`:${chain} - [0:0]`)
    // A chain line also empties the chain, and only an empty chain can be deleted.
    for (const chain of table.deleted) lines.push(`:${chain} - [0:0]`)
    for (const [chain, rules] of table.rewritten) {
      const start = `-A ${chain}`
      for (const rule of rules) lines.push(printRuleLine(start, rule, change.family))
    }
    for (const edit of table.edits) {
      const start = edit.kind === 'delete' ? `-D ${edit.chain}` : `-I ${edit.chain} ${edit.number}`
      lines.push(printRuleLine(start, edit.rule, change.family))
    }
    for (const chain of table.deleted) lines.push(`-X ${chain}`)
    lines.push('COMMIT')
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}
