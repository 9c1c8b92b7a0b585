// Reads what iptables-save prints, with or without counters, and the canonical form of print.ts. It never refuses a
// dump: a line that is none becomes an issue with its number, and the rest is read.
import type { Family } from '../model/address.ts'
import type { Issue } from '../model/issue.ts'
import { parseSavedRule } from './parse-rule.ts'
import type { ChainName, Rule, Ruleset, TableName } from './rule.ts'
import { hasControlCharacter, splitWords } from './words.ts'

export interface ParsedSave {
  readonly ruleset: Ruleset
  readonly issues: readonly Issue[]
}

/** Rules of one family as text, tables in any order. Printing a rule of the result gives its line back to the byte. */
export function parseSave(text: string, family: Family): ParsedSave {
  const reader: Reader = { family, tables: new Map(), issues: [], table: undefined }
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
  return { ruleset: { family, tables: reader.tables }, issues: reader.issues }
}

interface GrowingChain {
  readonly policy?: string
  readonly rules: Rule[]
}

interface Reader {
  readonly family: Family
  readonly tables: Map<TableName, Map<ChainName, GrowingChain>>
  readonly issues: Issue[]
  /** The table that the lines belong to, between `*table` and `COMMIT`. */
  table: Map<ChainName, GrowingChain> | undefined
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
  if (line.startsWith(':')) return readChainLine(line, reader.table)
  return readRuleLine(line.startsWith('[') ? line.replace(COUNTERS, '') : line, reader.table, reader.family)
}

function openTable(name: string, reader: Reader): string | undefined {
  const unfinished = reader.table !== undefined
  reader.table = reader.tables.get(name) ?? new Map()
  reader.tables.set(name, reader.table)
  return unfinished
    ? `COMMIT is missing before ${shown(`*${name}`)}: give the unchanged output of iptables-save`
    : undefined
}

function readChainLine(line: string, table: Map<ChainName, GrowingChain>): string | undefined {
  const [, name, policy] = CHAIN_LINE.exec(line) ?? []
  if (name === undefined || policy === undefined) {
    return `${shown(line)} is no chain line: write it as ":NAME -" or ":NAME ACCEPT"`
  }
  if (table.has(name)) return `chain ${name} stands twice in its table: keep one of the chain lines`
  table.set(name, policy === '-' ? { rules: [] } : { policy, rules: [] })
  return undefined
}

function readRuleLine(line: string, table: Map<ChainName, GrowingChain>, family: Family): string | undefined {
  if (!line.startsWith('-A ')) {
    return `${shown(line)} is no line of iptables-save: give its unchanged output, without restore commands such as -I or -X`
  }
  const end = line.indexOf(' ', 3)
  const name = end < 0 ? line.slice(3) : line.slice(3, end)
  const chain = table.get(name)
  if (chain === undefined) return `chain ${name} has no chain line: add ":${name} -" before its rules`
  const rule = end < 0 ? '' : line.slice(end + 1)
  if (splitWords(rule) === undefined) return `${shown(line)} has a quote that is not closed: close it on the same line`
  chain.rules.push(parseSavedRule(rule, family))
  return undefined
}

function shown(line: string): string {
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}...` : line)
}
