// The simulator of what an IpvsProgram comes to: rules, sets, virtual servers and the addresses of kube-ipvs0.
import { printIpsetSave } from '../../src/ipset/print.ts'
import { createSimulator, type Simulator } from '../../src/iptables/simulate.ts'
import { parseSavedSets } from '../../src/iptables/simulate-sets.ts'
import { parseIpvsadmSave } from '../../src/ipvs/parse.ts'
import { printIpvsadmSave } from '../../src/ipvs/print.ts'
import type { ShownState } from '../../src/ipvs/shown-state.ts'
import { createBalancer } from '../../src/ipvs/simulate.ts'
import { interfaceOfAddresses, type NodeNetwork } from '../../src/packet/network.ts'

export interface SimulatedIpvs {
  readonly simulate: Simulator
  /** With kube-ipvs0. */
  readonly network: NodeNetwork
}

export function simulateIpvs(state: ShownState, network: NodeNetwork): SimulatedIpvs {
  const { family, ruleset, addresses } = state
  const { sets } = parseSavedSets(printIpsetSave(state.sets))
  const { services } = parseIpvsadmSave(printIpvsadmSave(state.virtualServers.map((each) => each.virtualServer)))
  const device = interfaceOfAddresses(addresses, family).map((own) => ({ ...own, name: 'kube-ipvs0' }))
  return {
    simulate: createSimulator(ruleset, sets, createBalancer(services, family)),
    network: { ...network, interfaces: [...network.interfaces, ...device] },
  }
}
