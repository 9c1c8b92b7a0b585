// What one owner contributes to the rules: chains of its own, and lines in chains that it shares with others.
import type { ChainName, Rule, TableName } from './rule.ts'

export interface Chunk {
  /** `static`, or a ServicePort's name and protocol: `ns1/svc1:p80 tcp`. */
  readonly owner: string
  readonly chains: readonly OwnedChain[]
  /** In the order in which they stand within a shared chain. */
  readonly entries: readonly Entry[]
}

export interface OwnedChain {
  readonly table: TableName
  readonly name: ChainName
  readonly rules: readonly Rule[]
}

export interface Entry {
  readonly table: TableName
  readonly chain: ChainName
  readonly rule: Rule
}
