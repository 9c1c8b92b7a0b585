// The last lines on standard error: what was rendered.
import { linkServices } from '../iptables/link.ts'
import type { Program } from '../iptables/program.ts'
import { measureProgram } from '../iptables/statistics.ts'
import type { NodeFacts } from '../model/node.ts'
import { count } from './words.ts'

/**
 * `node1 ipv4: 2 services, 2 service ports, 4 endpoints; 20 chains; rules: filter 14, nat 31`. With `onlyServices` the
 * rules that every node has are not counted.
 */
export function summarise(node: NodeFacts, program: Program, onlyServices: boolean): string {
  const { services, servicePorts, endpoints, ...all } = measureProgram(program)
  const { chains, rules } = onlyServices ? measureServices(program) : all
  const figures = [count(services, 'service'), count(servicePorts, 'service port'), count(endpoints, 'endpoint')]
  const tables = [...rules].map(([table, number]) => `${table} ${number}`)
  const counted = tables.length === 0 ? 'none' : tables.join(', ')
  return `${node.name} ${program.family}: ${figures.join(', ')}; ${count(chains, 'chain')}; rules: ${counted}`
}

/** Chains are those with rules of the services, shared ones included. */
function measureServices(program: Program) {
  const { tables } = linkServices(program)
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
