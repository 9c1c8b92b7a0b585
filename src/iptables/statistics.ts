// Figures about a Program, for summaries.
import { chunkOf, type Program } from './program.ts'
import type { TableName } from './rule.ts'
import { BASE_CHAIN_JUMPS } from './static.ts'

export interface ProgramStatistics {
  readonly services: number
  readonly servicePorts: number
  /** Known to the ServicePorts, ready or not. */
  readonly endpoints: number
  /** Chains that sluice makes, in all tables. */
  readonly chains: number
  /** Rules that sluice makes, the jumps of base chains included. */
  readonly rules: ReadonlyMap<TableName, number>
}

export function measureProgram(program: Program): ProgramStatistics {
  const rules = new Map<TableName, number>([
    ['filter', 0],
    ['nat', 0],
  ])
  const add = (table: TableName, count: number) => rules.set(table, (rules.get(table) ?? 0) + count)
  let chains = program.static.chains.length
  for (const { table } of BASE_CHAIN_JUMPS) add(table, 1)
  for (const chain of program.static.chains) if (chain.rules.length > 0) add(chain.table, chain.rules.length)
  for (const servicePort of program.servicePorts) {
    const chunk = chunkOf(program, servicePort)
    chains += chunk.chains.length
    for (const chain of chunk.chains) add(chain.table, chain.rules.length)
    for (const { table } of chunk.entries) add(table, 1)
  }
  return {
    services: new Set(program.servicePorts.map((port) => port.service)).size,
    servicePorts: program.servicePorts.length,
    endpoints: program.servicePorts.reduce((sum, port) => sum + port.endpoints.known, 0),
    chains,
    rules,
  }
}
