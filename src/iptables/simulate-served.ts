// Which ports rules serve at an address, and which node ports there are: to tell a person what stands beside the port
// that nobody serves.
import type { Ip } from '../model/address.ts'
import { onlyAddress } from '../packet/network-test.ts'
import { EXTERNAL_SERVICES, NODE_PORTS, SERVICES } from './names.ts'
import type { Match, Rule, Ruleset } from './rule.ts'
import { commentOf, serviceOfComment } from './simulate-steps.ts'

export interface NamedPort {
  readonly protocol: string
  readonly port: number
  /** `ns/name:port`, where known. */
  readonly service?: string
}

export interface ServedPorts {
  /** Of an address of Services, sorted by port; empty when it is none. */
  readonly at: (address: Ip) => readonly NamedPort[]
  /** The node port, whatever addresses of the node it is served at. Undefined when no Service has it. */
  readonly nodePort: (protocol: string, port: number) => NamedPort | undefined
}

/** By the chains that all Services share, in iptables mode; they are read when it is first asked. */
export function servedByRules(ruleset: Ruleset): ServedPorts {
  return servedPorts(() => readRules(ruleset))
}

export interface FoundPort extends NamedPort {
  /** Absent for a node port. */
  readonly address?: Ip
}

/** Of what is found twice the first one counts, as for packets. `find` is asked once, and only when anybody asks. */
export function servedPorts(find: () => Iterable<FoundPort>): ServedPorts {
  let known: PortsByAddress | undefined
  const read = () => (known ??= groupByAddress(find()))
  return {
    at: (address) => [...(read().get(address)?.values() ?? [])].toSorted((a, b) => a.port - b.port),
    nodePort: (protocol, port) => read().get('')?.get(`${protocol} ${port}`),
  }
}

/** Node ports have no address: ``. */
type PortsByAddress = ReadonlyMap<string, ReadonlyMap<string, NamedPort>>

function groupByAddress(found: Iterable<FoundPort>): PortsByAddress {
  const byAddress = new Map<string, Map<string, NamedPort>>()
  for (const { address = '', ...served } of found) {
    const ports = byAddress.get(address) ?? new Map<string, NamedPort>()
    byAddress.set(address, ports)
    const key = `${served.protocol} ${served.port}`
    if (!ports.has(key)) ports.set(key, served)
  }
  return byAddress
}

const CHAINS = [
  ['nat', SERVICES],
  ['nat', NODE_PORTS],
  ['filter', SERVICES],
  ['filter', EXTERNAL_SERVICES],
] as const

function* readRules({ tables }: Ruleset): Iterable<FoundPort> {
  for (const [table, chain] of CHAINS) {
    for (const rule of tables.get(table)?.get(chain)?.rules ?? []) {
      const found = readRule(rule, chain)
      if (found !== undefined) yield found
    }
  }
}

function readRule(rule: Rule, chain: string): FoundPort | undefined {
  const service = serviceOfComment(commentOf(rule))
  const ports = rule.matches.find(isPorts)
  const { from, to } = ports?.destination?.value ?? { from: 0, to: -1 }
  if (service === undefined || ports === undefined || from !== to) return undefined
  const { destination } = rule
  const address = destination === undefined || destination.not === true ? undefined : onlyAddress(destination.value)
  const toNode = chain === NODE_PORTS || rule.matches.some((match) => match.kind === 'addrtype')
  if (address === undefined && !toNode) return undefined
  return { protocol: ports.protocol, port: from, service, ...(address !== undefined && { address }) }
}

function isPorts(match: Match): match is Extract<Match, { kind: 'ports' }> {
  return match.kind === 'ports'
}
