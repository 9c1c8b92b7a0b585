// What sluice wants in the kernel in IPVS mode, for one family. Like the iptables Program it holds resolved ServicePorts;
// link.ts makes the whole picture of it.
import type { SetHeader, SetName } from '../ipset/ip-set.ts'
import type { Program } from '../iptables/program.ts'
import type { Family, Ip } from '../model/address.ts'
import type { ServicePort } from '../model/service-port.ts'
import type { IpvsChunk } from './chunk.ts'
import type { IpvsSettings } from './settings.ts'
import type { VirtualServer, VirtualServerKey } from './virtual-server.ts'

export interface IpvsProgram {
  readonly family: Family
  /** The same object as long as node and configuration are. */
  readonly settings: IpvsSettings
  /** By name, then protocol. One that did not change is the same object as before. */
  readonly servicePorts: readonly ServicePort[]
  /** What stands in for ServicePorts that the kernel refused. */
  readonly kept?: ReadonlyMap<ServicePort, IpvsChunk>
}

/** The whole picture of a program. */
export interface IpvsState {
  readonly family: Family
  /** By key; in the order of their owners when linked from scratch, in any order after changes. */
  readonly virtualServers: ReadonlyMap<VirtualServerKey, OwnedVirtualServer>
  /** All sets of the mode, also empty ones, in kube-proxy's order of creation. */
  readonly sets: ReadonlyMap<SetName, LinkedSet>
  /** Addresses of kube-ipvs0. */
  readonly addresses: ReadonlySet<Ip>
  /** The rules around: an iptables Program without ServicePorts. The same object as long as they do not change. */
  readonly rules: Program
}

export interface OwnedVirtualServer {
  /** Of several ServicePorts that claim it, the first by name has it, as everywhere in sluice. */
  readonly owner: string
  readonly virtualServer: VirtualServer
}

export interface LinkedSet {
  readonly header: SetHeader
  /** Entries, with the number of ServicePorts that want each. */
  readonly entries: ReadonlyMap<string, number>
}

/** What may differ from the state before; to be compared, not more. */
export interface Touched {
  readonly virtualServers: ReadonlySet<VirtualServerKey>
  readonly entries: ReadonlyMap<SetName, ReadonlySet<string>>
  readonly addresses: ReadonlySet<Ip>
  /** Whether the rules are other ones. */
  readonly rules: boolean
}
