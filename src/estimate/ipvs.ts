// How much a cluster's Services come to on a node in IPVS mode: sets, virtual servers and addresses, counted; times and
// memory, from measured coefficients.
import { addEntryLine, createSetLine } from '../ipset/print.ts'
import { link } from '../iptables/link.ts'
import { printPayload } from '../iptables/print-payload.ts'
import { linkIpvs } from '../ipvs/link.ts'
import { printIpvsadmSave } from '../ipvs/print.ts'
import { addAddressLine } from '../ipvs/print-addresses.ts'
import type { IpvsProgram } from '../ipvs/program.ts'
import type { Family } from '../model/address.ts'
import type { Coefficients, Line } from './coefficient-types.ts'
import type { Amounts } from './estimate.ts'

export interface IpvsAmounts extends Amounts {
  readonly virtualServers: number
  readonly realServers: number
  /** Of kube-ipvs0. */
  readonly addresses: number
}

export interface IpvsEstimate {
  readonly mode: 'ipvs'
  readonly family: Family
  readonly amounts: IpvsAmounts
  /** Absent when nothing was measured. */
  readonly costs?: { readonly firstSyncMs: number; readonly changeMs: number; readonly agentBytes: number }
}

/** Bytes are those of the texts for ipset restore, ip -batch, ipvsadm -R and iptables-restore at the first sync. */
export function measureIpvsAmounts(program: IpvsProgram): IpvsAmounts {
  const { servicePorts } = program
  const { sets, virtualServers, addresses, rules } = linkIpvs(program)
  const servers = [...virtualServers.values()].map(({ virtualServer }) => virtualServer)
  const rulesByTable: Record<string, number> = {}
  let chains = 0
  for (const [table, found] of link(rules).tables) {
    const own = [...found].filter(([name]) => name.startsWith('KUBE-'))
    chains += own.length
    rulesByTable[table] = [...found.values()].reduce((sum, chain) => sum + chain.rules.length, 0)
  }
  let entries = 0
  let bytes = printPayload(rules).length + printIpvsadmSave(servers).length
  for (const { header, entries: own } of sets.values()) {
    entries += own.size
    bytes += createSetLine(header).length + 1
    for (const entry of own.keys()) bytes += addEntryLine(header.name, entry).length + 1
  }
  for (const ip of addresses) bytes += addAddressLine(ip).length + 1
  return {
    services: new Set(servicePorts.map(({ service }) => service)).size,
    servicePorts: servicePorts.length,
    endpoints: servicePorts.reduce((sum, { endpoints }) => sum + endpoints.reachable.length, 0),
    rules: Object.values(rulesByTable).reduce((sum, count) => sum + count, 0),
    rulesByTable,
    chains,
    setEntries: entries,
    virtualServers: servers.length,
    realServers: servers.reduce((sum, { realServers }) => sum + realServers.length, 0),
    addresses: addresses.size,
    payloadBytes: bytes,
  }
}

/** Amounts of `times` as many Services as the program's, which are all alike; rules and sets are there once. */
export function scaleIpvsAmounts(program: IpvsProgram, times: number): IpvsAmounts {
  const one = measureIpvsAmounts(program)
  const fixed = measureIpvsAmounts({ ...program, servicePorts: [] })
  const scale = (what: Exclude<keyof IpvsAmounts, 'rulesByTable'>) =>
    Math.round(fixed[what] + (one[what] - fixed[what]) * times)
  return {
    ...one,
    services: scale('services'),
    servicePorts: scale('servicePorts'),
    endpoints: scale('endpoints'),
    setEntries: scale('setEntries'),
    virtualServers: scale('virtualServers'),
    realServers: scale('realServers'),
    addresses: scale('addresses'),
    // Rules hardly grow: they name sets.
    payloadBytes: scale('payloadBytes'),
  }
}

/** What a first sync writes beside rules: each is one command of a tool's text, or of a netlink message. */
export function objectsOf({ setEntries, virtualServers, realServers, addresses }: IpvsAmounts): number {
  return setEntries + virtualServers + realServers + addresses
}

export function estimateIpvsCosts(family: Family, amounts: IpvsAmounts, { ipvs }: Coefficients): IpvsEstimate {
  if (ipvs === undefined) return { mode: 'ipvs', family, amounts }
  const objects = objectsOf(amounts)
  const at = ({ base, perRule }: Line) => Math.round(base + perRule * objects)
  return {
    mode: 'ipvs',
    family,
    amounts,
    costs: { firstSyncMs: at(ipvs.firstSyncMs), changeMs: at(ipvs.changeMs), agentBytes: at(ipvs.agentBytes) },
  }
}
