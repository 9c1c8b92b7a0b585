// The last lines on standard error: what was rendered.
import { linkServices } from '../iptables/link.ts'
import type { Program } from '../iptables/program.ts'
import type { Ruleset } from '../iptables/rule.ts'
import { measureProgram, type ProgramStatistics } from '../iptables/statistics.ts'
import type { ShownState } from '../ipvs/shown-state.ts'
import type { RenderedNode } from './rendered.ts'
import { count } from './words.ts'

/**
 * A line per family: `node1 ipv4: 2 services, 2 service ports, 4 endpoints; 20 chains; rules: filter 14, nat 31`. With
 * `onlyServices` the rules that every node has are not counted. In IPVS mode virtual servers, set entries and addresses
 * are told too.
 */
export function summarise(rendered: RenderedNode, onlyServices: boolean): readonly string[] {
  const { name } = rendered.node
  if (rendered.mode === 'ipvs') return rendered.families.map((state) => `${name} ${state.family}: ${tellState(state)}`)
  return rendered.families.map((program) => `${name} ${program.family}: ${tellProgram(program, onlyServices)}`)
}

function tellProgram(program: Program, onlyServices: boolean): string {
  const all = measureProgram(program)
  return `${tellServices(all)}; ${tellRules(onlyServices ? measureRuleset(linkServices(program)) : all)}`
}

function tellState({ servicePorts, virtualServers, sets, addresses, ruleset, rules }: ShownState): string {
  const services = new Set(servicePorts.map(({ service }) => service)).size
  const endpoints = servicePorts.reduce((sum, port) => sum + port.endpoints.known, 0)
  const entries = sets.reduce((sum, set) => sum + set.entries.size, 0)
  const own = [
    count(virtualServers.length, 'virtual server'),
    count(entries, 'set entry', 'set entries'),
    count(addresses.length, 'address', 'addresses'),
  ]
  const measured = rules === undefined ? measureRuleset(ruleset) : measureProgram(rules)
  return `${tellServices({ services, servicePorts: servicePorts.length, endpoints })}; ${own.join(', ')}; ${tellRules(measured)}`
}

function tellServices({
  services,
  servicePorts,
  endpoints,
}: Pick<ProgramStatistics, 'services' | 'servicePorts' | 'endpoints'>): string {
  return [count(services, 'service'), count(servicePorts, 'service port'), count(endpoints, 'endpoint')].join(', ')
}

function tellRules({ chains, rules }: Pick<ProgramStatistics, 'chains' | 'rules'>): string {
  const tables = [...rules].map(([table, number]) => `${table} ${number}`)
  return `${count(chains, 'chain')}; rules: ${tables.length === 0 ? 'none' : tables.join(', ')}`
}

/** Chains are those with rules of the services, shared ones included. */
function measureRuleset({ tables }: Ruleset): Pick<ProgramStatistics, 'chains' | 'rules'> {
  const rules = new Map<string, number>()
  let chains = 0
  for (const [name, table] of [...tables].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    chains += table.size
    rules.set(
      name,
      [...table.values()].reduce((sum, chain) => sum + chain.rules.length, 0),
    )
  }
  return { chains, rules }
}
