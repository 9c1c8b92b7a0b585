// Figures about a Program, for summaries and metrics.
import type { ObjectKey } from '../model/object-name.ts'
import type { ServicePort } from '../model/service-port.ts'
import type { Program } from './program.ts'
import type { TableName } from './rule.ts'
import { countChains } from './service-chains.ts'
import { countEntries } from './service-entries.ts'

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

/** Counts without compiling. */
export function measureProgram(program: Program): ProgramStatistics {
  return measure(program, (servicePort) => countServicePort(servicePort, program.settings))
}

/** The same for one Program after another, at a cost that follows what changed: it is asked after every sync. */
export function createProgramMeter(): (program: Program) => ProgramStatistics {
  let settings: Program['settings'] | undefined
  let known = new WeakMap<ServicePort, ServicePortCounts>()
  return (program) => {
    if (program.settings !== settings) known = new WeakMap()
    settings = program.settings
    return measure(program, (servicePort) => {
      const before = known.get(servicePort)
      if (before !== undefined) return before
      const counted = countServicePort(servicePort, program.settings)
      known.set(servicePort, counted)
      return counted
    })
  }
}

interface ServicePortCounts {
  readonly chains: number
  readonly nat: number
  readonly filter: number
}

function countServicePort(servicePort: ServicePort, settings: Program['settings']): ServicePortCounts {
  const { chains, rules } = countChains(servicePort, settings)
  let nat = rules
  let filter = 0
  for (const [key, lines] of Object.entries(countEntries(servicePort, settings))) {
    if (key.startsWith('nat ')) nat += lines
    else filter += lines
  }
  return { chains, nat, filter }
}

function measure(
  { static: fixed, jumps, servicePorts }: Program,
  count: (servicePort: ServicePort) => ServicePortCounts,
): ProgramStatistics {
  const rules = new Map<TableName, number>([
    ['filter', 0],
    ['nat', 0],
  ])
  const add = (table: TableName, more: number) => rules.set(table, (rules.get(table) ?? 0) + more)
  let chains = fixed.chains.length
  let endpoints = 0
  let nat = 0
  let filter = 0
  const services = new Set<ObjectKey>()
  for (const { table } of jumps) add(table, 1)
  for (const chain of fixed.chains) if (chain.rules.length > 0) add(chain.table, chain.rules.length)
  for (const servicePort of servicePorts) {
    const own = count(servicePort)
    chains += own.chains
    nat += own.nat
    filter += own.filter
    endpoints += servicePort.endpoints.known
    services.add(servicePort.service)
  }
  add('nat', nat)
  add('filter', filter)
  return { services: services.size, servicePorts: servicePorts.length, endpoints, chains, rules }
}
