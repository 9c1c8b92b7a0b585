// What one ServicePort contributes in IPVS mode. Entries and addresses may be contributed by several ServicePorts.
import type { SetName } from '../ipset/ip-set.ts'
import type { Rule } from '../iptables/rule.ts'
import type { Ip } from '../model/address.ts'
import type { VirtualServer } from './virtual-server.ts'

export interface IpvsChunk {
  /** A ServicePort's name and protocol: `ns1/svc1:p80 tcp`. */
  readonly owner: string
  readonly virtualServers: readonly VirtualServer[]
  readonly entries: readonly SetEntry[]
  /** Addresses of the dummy interface. */
  readonly addresses: readonly Ip[]
  /** Its rules in KUBE-IPVS-OUT-FILTER. */
  readonly outFilter: readonly Rule[]
}

export interface SetEntry {
  readonly set: SetName
  /** As `ipset save` prints it. */
  readonly text: string
}
