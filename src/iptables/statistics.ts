// Figures about a Program, for summaries and metrics.
import type { ObjectKey } from '../model/object-name.ts'
import type { Program } from './program.ts'
import type { TableName } from './rule.ts'
import { countChains } from './service-chains.ts'
import { countEntries } from './service-entries.ts'
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

/** Counts without compiling, because it is done after every sync. */
export function measureProgram({ static: fixed, servicePorts, settings }: Program): ProgramStatistics {
  const rules = new Map<TableName, number>([
    ['filter', 0],
    ['nat', 0],
  ])
  const add = (table: TableName, count: number) => rules.set(table, (rules.get(table) ?? 0) + count)
  let chains = fixed.chains.length
  let endpoints = 0
  const services = new Set<ObjectKey>()
  for (const { table } of BASE_CHAIN_JUMPS) add(table, 1)
  for (const chain of fixed.chains) if (chain.rules.length > 0) add(chain.table, chain.rules.length)
  for (const servicePort of servicePorts) {
    const own = countChains(servicePort, settings)
    chains += own.chains
    add('nat', own.rules)
    for (const [key, lines] of Object.entries(countEntries(servicePort, settings))) {
      add(key.startsWith('nat ') ? 'nat' : 'filter', lines)
    }
    endpoints += servicePort.endpoints.known
    services.add(servicePort.service)
  }
  return { services: services.size, servicePorts: servicePorts.length, endpoints, chains, rules }
}
