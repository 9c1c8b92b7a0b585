// One family's rules as text, cut into chains: what two sides are compared by. Rules of a dump are never parsed unless
// they differ, so that two dumps of 172,000 rules are compared in the time it takes to walk over their lines.
import { type KernelChain, linesOf, ruleTextsOf } from '../iptables/kernel-text.ts'
import { printRuleLine } from '../iptables/print-rule.ts'
import type { ChainName, Rule, Ruleset, TableName } from '../iptables/rule.ts'
import type { Family } from '../model/address.ts'

export interface RuleText {
  readonly family: Family
  readonly tables: ReadonlyMap<TableName, TableText>
}

export type TableText = ReadonlyMap<ChainName, KernelChain>

/**
 * The rules as iptables-save would print them, tables and chains by name. Chains that `beside` has with the same rules
 * are parts of its text, so that of two sides that are nearly the same only one is kept.
 */
export function textOfRuleset({ family, tables }: Ruleset, beside?: RuleText): RuleText {
  const printed = new Map<TableName, TableText>()
  for (const name of [...tables.keys()].toSorted()) {
    const table = tables.get(name)
    const there = beside?.tables.get(name)
    const chains = new Map<ChainName, KernelChain>()
    for (const chainName of [...(table?.keys() ?? [])].toSorted()) {
      const { policy, rules } = table?.get(chainName) ?? { rules: [] }
      const text = keepOne(printChain(chainName, rules, family), there?.get(chainName))
      chains.set(chainName, { ...(policy !== undefined && { policy }), text, start: 0, end: text.length })
    }
    printed.set(name, chains)
  }
  return { family, tables: printed }
}

function printChain(name: ChainName, rules: readonly Rule[], family: Family): string {
  const start = `-A ${name}`
  let text = ''
  for (const rule of rules) text += `${printRuleLine(start, rule, family)}\n`
  return text
}

/** The equal text that is kept already, or the given one. */
function keepOne(text: string, there: KernelChain | undefined): string {
  if (there === undefined || there.end - there.start !== text.length) return text
  const kept = linesOf(there)
  return kept === text ? kept : text
}

interface GrowingChain extends KernelChain {
  start: number
  end: number
}

const DASH = 0x2d
const COLON = 0x3a
const STAR = 0x2a
const HASH = 0x23
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/
const CHAIN_LINE = /^:(\S+) (\S+)(?: \[\d+:\d+\])?$/

/**
 * What iptables-save printed, without counters. Undefined when a line is anything else: parseSave then tells what, and
 * understands more.
 */
export function readRuleText(text: string, family: Family): RuleText | undefined {
  if (CONTROL.test(text) || (text !== '' && !text.endsWith('\n'))) return undefined
  const tables = new Map<TableName, Map<ChainName, GrowingChain>>()
  let table: Map<ChainName, GrowingChain> | undefined
  let chain: GrowingChain | undefined
  let prefix = ''
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at)
    const first = text.charCodeAt(at)
    if (first === DASH && table !== undefined) {
      if (chain === undefined || !text.startsWith(prefix, at)) {
        const name = chainNameIn(text.slice(at, end))
        chain = name === undefined ? undefined : table.get(name)
        // The rules of a chain stand together.
        if (chain === undefined || chain.end !== 0) return undefined
        prefix = `-A ${name} `
        chain.start = at
      } else if (chain.end !== at) return undefined
      chain.end = end + 1
    } else if (first === COLON && table !== undefined) {
      const [, name, policy] = CHAIN_LINE.exec(text.slice(at, end)) ?? []
      if (name === undefined || policy === undefined || table.has(name)) return undefined
      table.set(name, { ...(policy !== '-' && { policy }), text, start: 0, end: 0 })
    } else if (first === STAR && table === undefined) {
      const name = text.slice(at + 1, end)
      if (tables.has(name)) return undefined
      table = new Map()
      tables.set(name, table)
      chain = undefined
    } else if (table !== undefined && end - at === 'COMMIT'.length && text.startsWith('COMMIT', at)) {
      table = undefined
    } else if (first !== HASH && end !== at) return undefined
    at = end + 1
  }
  return table === undefined ? { family, tables } : undefined
}

/** Of a line `-A CHAIN ...`. */
function chainNameIn(line: string): ChainName | undefined {
  if (!line.startsWith('-A ')) return undefined
  const end = line.indexOf(' ', 3)
  return end < 0 ? undefined : line.slice(3, end)
}

/** The tables of several texts. */
export function mergeRuleTexts(family: Family, texts: readonly RuleText[]): RuleText {
  return { family, tables: new Map(texts.flatMap(({ tables }) => [...tables])) }
}

/** The rules of a chain without `-A CHAIN `; none for a chain that is not there. */
export function rulesIn(table: TableText | undefined, name: ChainName): readonly string[] {
  const chain = table?.get(name)
  return chain === undefined ? [] : ruleTextsOf(name, chain)
}

export function isSameChain(one: KernelChain, other: KernelChain): boolean {
  return one.end - one.start === other.end - other.start && linesOf(one) === linesOf(other)
}

/** The chain that a rule's text hands packets to, or the name of its target: the word behind its last `-j` or `-g`. */
export function targetInText(rule: string): string | undefined {
  const at = Math.max(rule.lastIndexOf('-j '), rule.lastIndexOf('-g '))
  if (at < 0 || (at > 0 && rule.charCodeAt(at - 1) !== 0x20)) return undefined
  const end = rule.indexOf(' ', at + 3)
  return end < 0 ? rule.slice(at + 3) : rule.slice(at + 3, end)
}
