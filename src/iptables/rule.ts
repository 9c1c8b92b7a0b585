// The rule model of iptables, shaped like the kernel's entry and not like the command line: a header, matches in order,
// at most one target. Printer, parser, differ, compiler and packet simulation all work on it. What the vocabulary below
// does not have is kept word by word as `unknown`, so nothing is lost and a gap here costs a rewrite, never a wrong rule.
import type { Cidr, Family, Ip } from '../model/address.ts'

export type TableName = string
export type ChainName = string

/** One family's rules, or some of them. */
export interface Ruleset {
  readonly family: Family
  readonly tables: ReadonlyMap<TableName, Table>
}

export type Table = ReadonlyMap<ChainName, Chain>

export interface Chain {
  /** `ACCEPT` or `DROP`; absent for a user-defined chain. */
  readonly policy?: string
  readonly rules: readonly Rule[]
}

export interface Rule {
  readonly source?: Negatable<Cidr>
  readonly destination?: Negatable<Cidr>
  /** A name, or the beginning of names with a trailing `+`. */
  readonly inInterface?: Negatable<string>
  readonly outInterface?: Negatable<string>
  readonly protocol?: Negatable<string>
  readonly matches: readonly Match[]
  readonly target?: Target
}

export interface Negatable<T> {
  readonly value: T
  readonly not?: true
}

/** Inclusive on both ends; one port when they are equal. */
export interface PortRange {
  readonly from: number
  readonly to: number
}

export interface MarkBits {
  readonly value: number
  readonly mask: number
}

export type Match =
  | { readonly kind: 'comment'; readonly text: string }
  | {
      readonly kind: 'ports'
      readonly protocol: 'tcp' | 'udp' | 'sctp'
      readonly source?: Negatable<PortRange>
      readonly destination?: Negatable<PortRange>
    }
  | { readonly kind: 'addrtype'; readonly source?: Negatable<string>; readonly destination?: Negatable<string> }
  | { readonly kind: 'conntrack'; readonly states: Negatable<readonly string[]> }
  | { readonly kind: 'mark'; readonly mark: Negatable<MarkBits> }
  /** The kernel keeps the probability as `threshold` / 2^31. */
  | { readonly kind: 'statistic'; readonly threshold: number }
  | { readonly kind: 'recent'; readonly name: string; readonly action: RecentAction }
  | { readonly kind: 'nfacct'; readonly name: string }
  | { readonly kind: 'set'; readonly set: Negatable<{ readonly name: string; readonly directions: string }> }
  /** Belongs to a connection through this virtual server; the protocol is a number, as the kernel prints it. */
  | { readonly kind: 'ipvs'; readonly protocol: number; readonly address: Ip; readonly port: number }
  /** Whether the packet came in by a port of a bridge. */
  | { readonly kind: 'physdev'; readonly isIn: boolean }
  /** Words as they stand in the line, quotes included, from `-m` on; any words when nothing of the rule was understood. */
  | { readonly kind: 'unknown'; readonly words: readonly string[] }

export type RecentAction =
  | { readonly kind: 'set' }
  | { readonly kind: 'check'; readonly seconds: number; readonly reap: boolean }

export type Target =
  | { readonly kind: 'jump'; readonly chain: ChainName }
  | { readonly kind: 'goto'; readonly chain: ChainName }
  | { readonly kind: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'reject'; readonly with: string }
  /** Where to, as the kernel prints it: `10.0.0.1:80`, `[fd00::1]:80`. */
  | { readonly kind: 'dnat'; readonly to: string }
  | { readonly kind: 'masquerade'; readonly randomFully: boolean }
  /** mark = (mark AND NOT mask) XOR value */
  | { readonly kind: 'mark'; readonly xmark: MarkBits }
  /** Words as they stand in the line, quotes included, from `-j` on. */
  | { readonly kind: 'unknown'; readonly words: readonly string[] }

/** The chain that a rule hands packets to, if it does. */
export function jumpTarget(rule: Rule): ChainName | undefined {
  const { target } = rule
  return target?.kind === 'jump' || target?.kind === 'goto' ? target.chain : undefined
}
