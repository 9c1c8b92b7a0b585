// Does to rules in memory what `iptables-restore --noflush` does to those of the kernel, and refuses what it refuses.
// Where iptables-nft and iptables-legacy differ it is as strict as the stricter one: a jump to a chain that no line
// before has made is refused, as legacy does at once and nft at COMMIT.

import { parseRule } from '../../src/iptables/parse-rule.ts'
import { printRule } from '../../src/iptables/print-rule.ts'
import type { Chain, ChainName, Rule, Ruleset, Table, TableName } from '../../src/iptables/rule.ts'
import { jumpTarget } from '../../src/iptables/rule.ts'
import type { Family } from '../../src/model/address.ts'

/** What was refused, where (line from 1), and the rules as they are then: tables committed before it stay changed. */
export class RestoreRefused extends Error {
  override readonly name = 'RestoreRefused'
  readonly line: number
  readonly ruleset: Ruleset

  constructor(reason: string, line: number, ruleset: Ruleset) {
    super(`iptables-restore: line ${line} failed: ${reason}`)
    this.line = line
    this.ruleset = ruleset
  }
}

const BASE_CHAINS: ReadonlyMap<TableName, readonly ChainName[]> = new Map([
  ['filter', ['INPUT', 'FORWARD', 'OUTPUT']],
  ['nat', ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING']],
  ['mangle', ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']],
  ['raw', ['PREROUTING', 'OUTPUT']],
  ['security', ['INPUT', 'FORWARD', 'OUTPUT']],
])
const LONGEST_CHAIN_NAME = 28

interface MutableChain {
  policy?: string
  readonly rules: Rule[]
}
type MutableTable = Map<ChainName, MutableChain>

/** The rules after the payload; throws `RestoreRefused`. Each table changes as a whole at its COMMIT, or not at all. */
export function applyRestore(ruleset: Ruleset, payload: string): Ruleset {
  const tables = new Map(ruleset.tables)
  let open: { readonly name: TableName; readonly table: MutableTable } | undefined
  let number = 0
  if (payload !== '' && !payload.endsWith('\n')) throw new RestoreRefused('no newline at the end', 0, ruleset)
  for (const line of payload.split('\n')) {
    number += 1
    if (line === '' || line.startsWith('#')) continue
    try {
      if (line.startsWith('*')) {
        if (open !== undefined) throw new Error('COMMIT expected')
        open = { name: line.slice(1), table: openTable(line.slice(1), tables) }
      } else if (open === undefined) throw new Error(`no table before ${line}`)
      else if (line === 'COMMIT') {
        tables.set(open.name, open.table)
        open = undefined
      } else applyLine(line, open.table, ruleset.family)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new RestoreRefused(reason, number, { family: ruleset.family, tables })
    }
  }
  if (open !== undefined) throw new RestoreRefused('COMMIT expected', number, { family: ruleset.family, tables })
  return { family: ruleset.family, tables }
}

/** A copy to work on, with the base chains that every table has as soon as it is used. */
function openTable(name: TableName, tables: ReadonlyMap<TableName, Table>): MutableTable {
  const baseChains = BASE_CHAINS.get(name)
  if (baseChains === undefined) throw new Error(`can't initialize table ${name}`)
  const table: MutableTable = new Map()
  for (const chain of baseChains) table.set(chain, { policy: 'ACCEPT', rules: [] })
  for (const [chain, { policy, rules }] of tables.get(name) ?? new Map<ChainName, Chain>()) {
    table.set(chain, policy === undefined ? { rules: [...rules] } : { policy, rules: [...rules] })
  }
  return table
}

function applyLine(line: string, table: MutableTable, family: Family): void {
  const [command = '', name = '', ...rest] = line.replace(/^\[\d+:\d+\] /, '').split(' ')
  if (command.startsWith(':')) {
    declareChain(command.slice(1), name, table)
    return
  }
  const chain = table.get(name)
  if (command === '-S') return
  if (command === '-N') {
    if (chain !== undefined) throw new Error(`chain ${name} already exists`)
    declareChain(name, '-', table)
    return
  }
  if (chain === undefined) throw new Error(`no chain by the name of ${name}`)
  switch (command) {
    case '-A':
      chain.rules.push(readRule(rest, table, family))
      return
    case '-I':
      insertRule(chain, rest, table, family)
      return
    case '-D':
      deleteRule(chain, parseRule(rest.join(' '), family), family)
      return
    case '-F':
      chain.rules.length = 0
      return
    case '-X':
      deleteChain(name, chain, table)
      return
    default:
      throw new Error(`unknown command ${command}`)
  }
}

function declareChain(name: ChainName, policy: string, table: MutableTable): void {
  if (name === '' || name.length > LONGEST_CHAIN_NAME) throw new Error(`chain name ${name} is too long or empty`)
  const known = table.get(name)
  if (known?.policy === undefined) {
    if (policy !== '-') throw new Error(`${name} is no base chain and has no policy`)
    table.set(name, { rules: [] })
    return
  }
  if (policy !== '-') known.policy = policy
  known.rules.length = 0
}

function insertRule(chain: MutableChain, words: readonly string[], table: MutableTable, family: Family): void {
  const numbered = /^\d+$/.test(words[0] ?? '')
  const number = numbered ? Number(words[0]) : 1
  if (number < 1 || number > chain.rules.length + 1) throw new Error(`index of insertion too big: ${number}`)
  chain.rules.splice(number - 1, 0, readRule(numbered ? words.slice(1) : words, table, family))
}

function deleteRule(chain: MutableChain, rule: Rule, family: Family): void {
  const text = printRule(rule, family)
  const place = chain.rules.findIndex((present) => printRule(present, family) === text)
  if (place < 0) throw new Error(`bad rule (does a matching rule exist in that chain?): ${text}`)
  chain.rules.splice(place, 1)
}

function deleteChain(name: ChainName, chain: MutableChain, table: MutableTable): void {
  if (chain.policy !== undefined) throw new Error(`${name} is a base chain`)
  if (chain.rules.length > 0) throw new Error(`chain ${name} is not empty`)
  for (const [other, { rules }] of table) {
    if (rules.some((rule) => jumpTarget(rule) === name)) throw new Error(`chain ${name} is referred to by ${other}`)
  }
  table.delete(name)
}

function readRule(words: readonly string[], table: MutableTable, family: Family): Rule {
  const rule = parseRule(words.join(' '), family)
  const target = jumpTarget(rule)
  if (target === undefined) return rule
  const chain = table.get(target)
  if (chain === undefined) throw new Error(`no chain by the name of ${target}`)
  if (chain.policy !== undefined) throw new Error(`${target} is a base chain`)
  return rule
}
