// When the way to one virtual server tells that to another: as src/picture/sameness.ts, where sets take the place of
// chains. Ports differ for the rules only by the sets that have them.
import {
  IPVS_FILTER,
  IPVS_LOAD_BALANCER,
  IPVS_NODE_PORT,
  IPVS_OUT_FILTER,
  IPVS_SOURCE_RANGES,
} from '../iptables/ipvs-chains.ts'
import { POSTROUTING, PROXY_FIREWALL, SERVICES } from '../iptables/names.ts'
import type { Rule } from '../iptables/rule.ts'
import { SET_NAMES, setName } from '../ipvs/sets.ts'
import { setEntry } from '../ipvs/simulate-served.ts'
import { IPVS_DEVICE } from '../model/host.ts'
import type { NodeNetwork } from '../packet/network.ts'
import type { PortRules } from './entrances.ts'
import { createDistinction, type Distinction, looksAtAddresses } from './sameness.ts'
import type { IpvsRules } from './virtual-servers.ts'

const OWN_CHAINS = new Set([
  SERVICES,
  IPVS_NODE_PORT,
  IPVS_LOAD_BALANCER,
  PROXY_FIREWALL,
  IPVS_SOURCE_RANGES,
  IPVS_FILTER,
  IPVS_OUT_FILTER,
  POSTROUTING,
])

/** Undefined when a rule of somebody else looks at addresses. */
export function createIpvsDistinction(
  rules: IpvsRules,
  ports: readonly PortRules[],
  network: NodeNetwork,
): Distinction | undefined {
  const { family, ruleset, sets, virtualServers } = rules
  const known = SET_NAMES.map((name) => setName(name, family))
  const names = new Set<string>(known)
  if (virtualServers.some(({ key }) => key === undefined)) return undefined
  for (const table of ruleset.tables.values()) {
    for (const [name, chain] of table) {
      const own = OWN_CHAINS.has(name)
      for (const rule of chain.rules) {
        if (!(own && asksOnlySets(rule, names)) && looksAtAddresses(rule, network)) return undefined
      }
    }
  }
  // Every virtual server is an address of the node: those of kube-ipvs0 are alike.
  const elsewhere = { ...network, interfaces: network.interfaces.filter(({ name }) => name !== IPVS_DEVICE) }
  const distinguish = createDistinction(ports, elsewhere)
  const bound = new Set<string>(network.interfaces.flatMap(({ addresses }) => addresses.map(({ ip }) => ip)))
  const isBound = (endpoint: string) => bound.has(endpoint.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''))
  const filtered = sets?.get(setName('KUBE-LOAD-BALANCER-FW', family))?.entries
  return (port, endpoints) => {
    const members = port.entrances.map(({ ip, port: at }) => {
      if (ip === undefined) return ''
      const entry = setEntry(port.protocol, ip, at)
      const within = known.map((name) => {
        const entries = sets?.get(name)?.entries
        return [entry, String(at), ip].some((text) => entries?.has(text) === true) ? '1' : '0'
      })
      // The node may come from the address itself, which its ranges have or have not.
      const own = filtered?.has(entry) === true ? ip : ''
      return `${within.join('')} ${bound.has(ip)} ${own}`
    })
    return [distinguish(port, endpoints), ...members, ...endpoints.filter((text) => isBound(text))].join('|')
  }
}

function asksOnlySets({ matches }: Rule, names: ReadonlySet<string>): boolean {
  const sets = matches.filter(({ kind }) => kind === 'set' || kind === 'ipvs')
  return (
    sets.length > 0 &&
    matches.every(({ kind }) => kind !== 'unknown' && kind !== 'ports' && kind !== 'statistic') &&
    matches.every((match) => match.kind !== 'set' || names.has(match.set.value.name))
  )
}
