// The last lines on standard error: what was rendered.
import type { Program } from '../iptables/program.ts'
import { measureProgram } from '../iptables/statistics.ts'
import type { NodeFacts } from '../model/node.ts'

/** `node1 ipv4: 2 services, 2 service ports, 4 endpoints; 20 chains; rules: filter 14, nat 31` */
export function summarise(node: NodeFacts, program: Program): string {
  const { services, servicePorts, endpoints, chains, rules } = measureProgram(program)
  const tables = [...rules].map(([table, count]) => `${table} ${count}`)
  return `${node.name} ${program.family}: ${services} services, ${servicePorts} service ports, ${endpoints} endpoints; ${chains} chains; rules: ${tables.join(', ')}`
}
