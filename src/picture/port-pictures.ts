// The ports of Services that rules of either mode have, ready to be drawn, and which of them look the same to packets.
import type { Ruleset } from '../iptables/rule.ts'
import type { Family } from '../model/address.ts'
import type { NodeNetwork } from '../packet/network.ts'
import { type PortRules, readEntrances } from './entrances.ts'
import { createIpvsDrawer } from './ipvs-picture.ts'
import { createIpvsDistinction } from './ipvs-sameness.ts'
import { drawPort, type PortPicture } from './port-picture.ts'
import { rangesOf } from './rule-words.ts'
import { createDistinction, type Distinction, tellsNoAddresses } from './sameness.ts'
import { type IpvsRules, readVirtualServers } from './virtual-servers.ts'

/** Of one family. */
export interface PortPictures {
  readonly family: Family
  /** Sorted by name, then protocol. */
  readonly ports: readonly PortRules[]
  /** `port` is one of the ports. */
  readonly draw: (port: PortRules) => PortPicture
  /** What tells ports of the same form from each other; undefined when every port has to be traced by itself. */
  readonly distinguish: (network: NodeNetwork) => Distinction | undefined
}

export function iptablesPictures(ruleset: Ruleset): PortPictures {
  const ports = readEntrances(ruleset)
  return {
    family: ruleset.family,
    ports,
    draw: (port) => drawPort(ruleset, port),
    distinguish: (network) => {
      if (!tellsNoAddresses(ruleset, network)) return undefined
      const distinguish = createDistinction(ports, network)
      return (port, endpoints) => [distinguish(port, endpoints), ...sourceRanges(ruleset, port)].join('|')
    },
  }
}

/** Of load-balancer IPs: a picture does not show all when they are many. */
function sourceRanges({ tables }: Ruleset, { entrances }: PortRules): readonly string[] {
  return entrances.flatMap(({ chain = '' }) =>
    chain.startsWith('KUBE-FW-') ? rangesOf(tables.get('nat')?.get(chain)?.rules ?? []) : [],
  )
}

export function ipvsPictures(rules: IpvsRules): PortPictures {
  const ports = readVirtualServers(rules)
  const served = new Map<PortRules, (typeof ports)[number]>(ports.map((port) => [port, port]))
  const draw = createIpvsDrawer(rules)
  return {
    family: rules.family,
    ports,
    draw: (port) => draw(served.get(port) ?? { ...port, entrances: [] }),
    distinguish: (network) => createIpvsDistinction(rules, ports, network),
  }
}
