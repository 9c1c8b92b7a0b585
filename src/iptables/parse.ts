// Reads what iptables-save prints, with or without counters, and the canonical form of print.ts. It never refuses a
// dump: a line that is none becomes an issue with its number, and the rest is read. A chain's rules are understood when
// somebody first looks at them: of the 60,000 chains of 10,000 Services a packet passes ten.
import type { Family } from '../model/address.ts'
import type { Issue } from '../model/issue.ts'
import { parseSavedRule } from './parse-rule.ts'
import type { Chain, ChainName, Rule, Ruleset, TableName } from './rule.ts'
import { hasControlCharacter, hasOpenQuote } from './words.ts'

export interface ParsedSave {
  readonly ruleset: Ruleset
  readonly issues: readonly Issue[]
  readonly ruleCount: number
}

/** Rules of one family as text, tables in any order. Printing a rule of the result gives its line back to the byte. */
export function parseSave(text: string, family: Family): ParsedSave {
  const reader: Reader = { family, tables: new Map(), texts: new Map(), issues: [], ruleCount: 0, table: undefined }
  let number = 0
  for (const line of text.split('\n')) {
    number += 1
    const problem = readLine(line.endsWith('\r') ? line.slice(0, -1) : line, reader)
    if (problem !== undefined) reader.issues.push({ severity: 'error', at: { line: number }, message: problem })
  }
  if (reader.table !== undefined) {
    const message = 'the text ends inside a table: give the whole output of iptables-save, up to the last COMMIT'
    reader.issues.push({ severity: 'error', at: { line: number }, message })
  }
  const { tables, issues, ruleCount } = reader
  return { ruleset: { family, tables }, issues, ruleCount }
}

/** Rules are read once, and then their texts are forgotten. */
function createChain(policy: string | undefined, texts: readonly string[], family: Family): Chain {
  let unread = texts
  let rules: readonly Rule[] | undefined
  const chain = {
    get rules() {
      rules ??= unread.map((text) => parseSavedRule(text, family))
      unread = []
      return rules
    },
  }
  // Not by spreading, which would read the rules.
  return policy === undefined ? chain : Object.assign(chain, { policy })
}

interface Reader {
  readonly family: Family
  readonly tables: Map<TableName, Map<ChainName, Chain>>
  /** The texts of each chain's rules, which grow. */
  readonly texts: Map<Chain, string[]>
  readonly issues: Issue[]
  ruleCount: number
  /** The table that the lines belong to, between `*table` and `COMMIT`. */
  table: Map<ChainName, Chain> | undefined
}

const COUNTERS = /^\[\d+:\d+\] /
const CHAIN_LINE = /^:(\S+) (\S+)(?: \[\d+:\d+\])?$/

/** What is wrong with the line, if anything. */
function readLine(line: string, reader: Reader): string | undefined {
  if (line === '' || line.startsWith('#')) return undefined
  if (hasControlCharacter(line)) {
    return `${shown(line)} has a control character, which no rule that sluice can keep has: remove it from the rule's comment`
  }
  if (line.startsWith('*')) return openTable(line.slice(1), reader)
  if (reader.table === undefined) {
    return `${shown(line)} belongs to no table: give the unchanged output of iptables-save, in which a line such as *nat stands before it`
  }
  if (line === 'COMMIT') {
    reader.table = undefined
    return undefined
  }
  if (line.startsWith(':')) return readChainLine(line, reader, reader.table)
  return readRuleLine(line.startsWith('[') ? line.replace(COUNTERS, '') : line, reader, reader.table)
}

function openTable(name: string, reader: Reader): string | undefined {
  const unfinished = reader.table !== undefined
  reader.table = reader.tables.get(name) ?? new Map()
  reader.tables.set(name, reader.table)
  return unfinished
    ? `COMMIT is missing before ${shown(`*${name}`)}: give the unchanged output of iptables-save`
    : undefined
}

function readChainLine(line: string, { family, texts }: Reader, table: Map<ChainName, Chain>): string | undefined {
  const [, name, policy] = CHAIN_LINE.exec(line) ?? []
  if (name === undefined || policy === undefined) {
    return `${shown(line)} is no chain line: write it as ":NAME -" or ":NAME ACCEPT"`
  }
  if (table.has(name)) return `chain ${name} stands twice in its table: keep one of the chain lines`
  const rules: string[] = []
  const chain = createChain(policy === '-' ? undefined : policy, rules, family)
  table.set(name, chain)
  texts.set(chain, rules)
  return undefined
}

function readRuleLine(line: string, reader: Reader, table: ReadonlyMap<ChainName, Chain>): string | undefined {
  if (!line.startsWith('-A ')) {
    return `${shown(line)} is no line of iptables-save: give its unchanged output, without restore commands such as -I or -X`
  }
  const end = line.indexOf(' ', 3)
  const name = end < 0 ? line.slice(3) : line.slice(3, end)
  const chain = table.get(name)
  if (chain === undefined) return `chain ${name} has no chain line: add ":${name} -" before its rules`
  const rule = end < 0 ? '' : line.slice(end + 1)
  if (hasOpenQuote(rule)) return `${shown(line)} has a quote that is not closed: close it on the same line`
  reader.texts.get(chain)?.push(rule)
  reader.ruleCount += 1
  return undefined
}

function shown(line: string): string {
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}...` : line)
}
