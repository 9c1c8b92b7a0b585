// What is shown of an IpvsProgram: the whole picture, or only what belongs to one Service.
import { IPVS_OUT_FILTER } from '../iptables/ipvs-chains.ts'
import { link } from '../iptables/link.ts'
import type { Program } from '../iptables/program.ts'
import type { Ruleset, Table } from '../iptables/rule.ts'
import { ownerOf } from '../iptables/service.ts'
import type { Family, Ip } from '../model/address.ts'
import type { ObjectKey } from '../model/object-name.ts'
import type { ServicePort } from '../model/service-port.ts'
import { linkIpvs } from './link.ts'
import type { IpvsProgram, LinkedSet, OwnedVirtualServer } from './program.ts'

export interface ShownState {
  readonly family: Family
  readonly servicePorts: readonly ServicePort[]
  readonly virtualServers: readonly OwnedVirtualServer[]
  /** In order of creation. */
  readonly sets: readonly LinkedSet[]
  readonly addresses: readonly Ip[]
  readonly ruleset: Ruleset
  /** Where the ruleset comes from; absent when only one Service's share is shown. */
  readonly rules?: Program
}

/** With `service`, only its virtual servers, addresses and lines in what is shared, and sets that have some. */
export function showState(program: IpvsProgram, service?: ObjectKey): ShownState {
  return service === undefined ? showAll(program) : showService(program, service)
}

function showAll(program: IpvsProgram): ShownState {
  const { virtualServers, sets, addresses, rules } = linkIpvs(program)
  return {
    family: program.family,
    servicePorts: program.servicePorts,
    virtualServers: [...virtualServers.values()],
    sets: [...sets.values()],
    addresses: [...addresses],
    ruleset: link(rules),
    rules,
  }
}

function showService(program: IpvsProgram, service: ObjectKey): ShownState {
  const servicePorts = program.servicePorts.filter((port) => port.service === service)
  const owners = new Set(servicePorts.map(ownerOf))
  const own = linkIpvs({ ...program, servicePorts })
  // What several claim belongs to the first of all, not to the first of these.
  const all = [...linkIpvs(program).virtualServers.values()]
  const outFilter = own.rules.static.chains.filter(({ name, rules }) => name === IPVS_OUT_FILTER && rules.length > 0)
  const tables = outFilter.map(({ table, name, rules }): [string, Table] => [table, new Map([[name, { rules }]])])
  return {
    family: program.family,
    servicePorts,
    virtualServers: all.filter(({ owner }) => owners.has(owner)),
    sets: [...own.sets.values()].filter(({ entries }) => entries.size > 0),
    addresses: [...own.addresses],
    ruleset: { family: program.family, tables: new Map(tables) },
  }
}
