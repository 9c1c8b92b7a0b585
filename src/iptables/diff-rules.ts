// The single -D and -I lines that turn one list of rules into another. Rules are equal when they print the same.
import type { Family } from '../model/address.ts'
import { printRule } from './print-rule.ts'
import type { RuleEdit } from './restore.ts'
import type { ChainName, Rule } from './rule.ts'

/** Whether both chains do the same. The same objects are recognised without printing them. */
export function sameRules(a: readonly Rule[], b: readonly Rule[], family: Family): boolean {
  if (a === b) return true
  return a.length === b.length && a.every((rule, index) => sameRule(rule, b[index], family))
}

/**
 * Deletes first, by full rule (a number could be another rule by then), then inserts by number, from the top down.
 * The fewest lines that do it, except that a repeated rule may be deleted and inserted again: -D takes the first one.
 */
export function editRules(
  chain: ChainName,
  desired: readonly Rule[],
  actual: readonly Rule[],
  family: Family,
): readonly RuleEdit[] {
  const { start, desiredEnd, actualEnd } = differingWindow(desired, actual, family)
  const wanted = desired.slice(start, desiredEnd)
  const present = actual.slice(start, actualEnd)
  const wantedTexts = wanted.map((rule) => printRule(rule, family))
  const presentTexts = present.map((rule) => printRule(rule, family))
  const kept = keptRules(wantedTexts, presentTexts)
  const keptWanted = new Set(kept.values())
  const deletes = present.filter((_, index) => !kept.has(index))
  const inserts = [...wanted.entries()].filter(([index]) => !keptWanted.has(index))
  return [
    ...deletes.map((rule): RuleEdit => ({ kind: 'delete', chain, rule })),
    ...inserts.map(([index, rule]): RuleEdit => ({ kind: 'insert', chain, number: start + index + 1, rule })),
  ]
}

interface Window {
  readonly start: number
  readonly desiredEnd: number
  readonly actualEnd: number
}

/**
 * The part between the equal rules at the top and those at the bottom. It begins at the top of the chain when one of
 * its present rules also stands above it, because -D would take that one.
 */
function differingWindow(desired: readonly Rule[], actual: readonly Rule[], family: Family): Window {
  const shorter = Math.min(desired.length, actual.length)
  let start = 0
  while (start < shorter && sameRule(desired[start], actual[start], family)) start += 1
  let tail = 0
  while (tail < shorter - start && sameRule(desired.at(-1 - tail), actual.at(-1 - tail), family)) tail += 1
  const present = new Set(actual.slice(start, actual.length - tail).map((rule) => printRule(rule, family)))
  const repeated = present.size > 0 && actual.slice(0, start).some((rule) => present.has(printRule(rule, family)))
  return { start: repeated ? 0 : start, desiredEnd: desired.length - tail, actualEnd: actual.length - tail }
}

function sameRule(a: Rule | undefined, b: Rule | undefined, family: Family): boolean {
  if (a === b) return true
  return a !== undefined && b !== undefined && printRule(a, family) === printRule(b, family)
}

/**
 * Which present rules stay: index in `present` to index in `wanted`, both rising. Of a text that occurs several times
 * only the last ones can stay, because -D takes the first; when others would, all of that text go.
 */
function keptRules(wanted: readonly string[], present: readonly string[]): ReadonlyMap<number, number> {
  const pairs = pairEqualTexts(wanted, present)
  const kept = new Map(longestRisingPairs(pairs))
  for (const places of placesByText(present).values()) {
    const firstKept = places.findIndex((place) => kept.has(place))
    if (firstKept < 0 || places.slice(firstKept).every((place) => kept.has(place))) continue
    for (const place of places) kept.delete(place)
  }
  return kept
}

type Pair = readonly [present: number, wanted: number]

/** The last occurrences of each text on both sides, paired in order; sorted by place in `present`. */
function pairEqualTexts(wanted: readonly string[], present: readonly string[]): readonly Pair[] {
  const wantedPlaces = placesByText(wanted)
  const pairs: Pair[] = []
  for (const [text, places] of placesByText(present)) {
    const targets = wantedPlaces.get(text) ?? []
    const count = Math.min(places.length, targets.length)
    for (let back = count; back >= 1; back -= 1) pairs.push([places.at(-back) ?? 0, targets.at(-back) ?? 0])
  }
  return pairs.toSorted(([a], [b]) => a - b)
}

function placesByText(texts: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const places = new Map<string, number[]>()
  for (const [place, text] of texts.entries()) {
    const known = places.get(text)
    if (known === undefined) places.set(text, [place])
    else known.push(place)
  }
  return places
}

/** Patience: the longest part of the pairs in which `wanted` rises too. */
function longestRisingPairs(pairs: readonly Pair[]): readonly Pair[] {
  // ends[n] is the pair with the smallest `wanted` that ends a rising part of n + 1 pairs.
  const ends: number[] = []
  const previous: (number | undefined)[] = []
  for (const [index, [, target]] of pairs.entries()) {
    let low = 0
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((pairs[ends[middle] ?? 0]?.[1] ?? 0) < target) low = middle + 1
      else high = middle
    }
    previous.push(low === 0 ? undefined : ends[low - 1])
    ends[low] = index
  }
  const rising: Pair[] = []
  for (let index = ends.at(-1); index !== undefined; index = previous[index]) {
    const pair = pairs[index]
    if (pair !== undefined) rising.push(pair)
  }
  return rising.toReversed()
}
