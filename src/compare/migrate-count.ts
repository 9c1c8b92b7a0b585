// Figures of what a mode leaves behind.
import { countChains } from '../iptables/service-chains.ts'
import { countEntries } from '../iptables/service-entries.ts'
import type { MigrationInput } from './migration.ts'

export interface LeftCounts {
  /** Private chains of iptables mode. */
  readonly chains: number
  /** Its rules that reject or drop. */
  readonly refusals: number
  /** Addresses on kube-ipvs0, at most. */
  readonly addresses: number
  /** Virtual servers without those of node ports, of which each node address has one. */
  readonly servers: number
}

export function measureRules(inputs: readonly MigrationInput[]): LeftCounts {
  let chains = 0
  let refusals = 0
  let servers = 0
  const addresses = new Set<string>()
  for (const { servicePorts, settings } of inputs) {
    for (const port of servicePorts) {
      const full = { ...settings, endpointComments: true }
      chains += countChains(port, full).chains
      const entries = countEntries(port, full)
      refusals += (entries['filter KUBE-SERVICES'] ?? 0) + (entries['filter KUBE-EXTERNAL-SERVICES'] ?? 0)
      const own = [port.clusterIP, ...port.externalIPs, ...port.loadBalancerIPs]
      servers += new Set(own).size
      for (const ip of own) addresses.add(ip)
    }
  }
  return { chains, refusals, addresses: addresses.size, servers }
}
