// Which rules of a long chain a packet can match at all: rules for one destination address, or for one port, are found by
// it, the others are always tried. The order of the chain is kept, so walking only the candidates is walking the chain.
import type { Ip } from '../model/address.ts'
import { onlyAddress } from '../packet/network-test.ts'
import type { Chain, Rule } from './rule.ts'

/** Shorter chains are walked as they are. */
const LONG = 12

/** The candidates at or after a position, in order. */
export interface ChainIndex {
  readonly next: (from: number, destination: Ip, protocol: string, port: number) => number
}

/** Undefined for a chain that is too short to be worth it. */
export function indexChain({ rules }: Chain): ChainIndex | undefined {
  if (rules.length < LONG) return undefined
  const byKey = new Map<string, number[]>()
  const always: number[] = []
  for (const [position, rule] of rules.entries()) {
    const key = keyOf(rule)
    if (key === undefined) always.push(position)
    else {
      const list = byKey.get(key)
      if (list === undefined) byKey.set(key, [position])
      else list.push(position)
    }
  }
  if (byKey.size === 0) return undefined
  return {
    next: (from, destination, protocol, port) =>
      Math.min(
        firstFrom(always, from, rules.length),
        firstFrom(byKey.get(destination), from, rules.length),
        firstFrom(byKey.get(`${protocol} ${port}`), from, rules.length),
      ),
  }
}

/** What a packet must have to match the rule; a rule stands under one key only. */
function keyOf(rule: Rule): string | undefined {
  const { destination, matches } = rule
  if (destination !== undefined && destination.not === undefined) {
    const only = onlyAddress(destination.value)
    if (only !== undefined) return only
  }
  for (const match of matches) {
    if (match.kind !== 'ports' || match.destination === undefined || match.destination.not === true) continue
    const { from, to } = match.destination.value
    if (from === to) return `${match.protocol} ${from}`
  }
  return undefined
}

/** The first number of a sorted list that is not below `from`; `end` when there is none. */
function firstFrom(sorted: readonly number[] | undefined, from: number, end: number): number {
  if (sorted === undefined) return end
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? end) < from) low = middle + 1
    else high = middle
  }
  return sorted[low] ?? end
}
