// Chunks -> the rules of whole tables, as they stand in an otherwise empty kernel: shared chains get the lines of all
// owners in order, base chains the jumps.
import { isServiceChain } from './names.ts'
import { chunkOf, type Program } from './program.ts'
import type { Chain, ChainName, Rule, Ruleset, TableName } from './rule.ts'

/** The base chains that a kernel shows once a table is in use. */
const BASE_CHAINS: Readonly<Record<string, readonly ChainName[]>> = {
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
}

/** All rules of a program. */
export function link(program: Program): Ruleset {
  const tables: Tables = new Map()
  for (const [table, names] of Object.entries(BASE_CHAINS)) {
    if (!program.static.chains.some((chain) => chain.table === table)) continue
    for (const name of names) {
      const jumps = program.jumps.filter((jump) => jump.table === table && jump.chain === name)
      chainsOf(tables, table).set(name, { policy: 'ACCEPT', rules: jumps.map((jump) => jump.rule).toReversed() })
    }
  }
  addServices(tables, program)
  for (const { table, name, rules } of program.static.chains) {
    const chains = chainsOf(tables, table)
    chains.set(name, { rules: [...(chains.get(name)?.rules ?? []), ...rules] })
  }
  return { family: program.family, tables }
}

/** Only what belongs to the ServicePorts of the program: their chains, and their lines of shared chains. */
export function linkServices(program: Program): Ruleset {
  const tables: Tables = new Map()
  addServices(tables, program)
  return { family: program.family, tables }
}

/** Whether a chain's rules come from many ServicePorts. */
export function isSharedChain(_table: TableName, chain: ChainName): boolean {
  return chain.startsWith('KUBE-') && !isServiceChain(chain)
}

type Tables = Map<TableName, Map<ChainName, Chain>>

function addServices(tables: Tables, program: Program): void {
  const shared = new Map<string, Rule[]>()
  for (const servicePort of program.servicePorts) {
    const chunk = chunkOf(program, servicePort)
    for (const { table, name, rules } of chunk.chains) chainsOf(tables, table).set(name, { rules })
    for (const { table, chain, rule } of chunk.entries) {
      const lines = shared.get(`${table} ${chain}`) ?? []
      if (lines.length === 0) {
        shared.set(`${table} ${chain}`, lines)
        chainsOf(tables, table).set(chain, { rules: lines })
      }
      lines.push(rule)
    }
  }
}

function chainsOf(tables: Tables, table: TableName): Map<ChainName, Chain> {
  const known = tables.get(table)
  if (known !== undefined) return known
  const chains = new Map<ChainName, Chain>()
  tables.set(table, chains)
  return chains
}
