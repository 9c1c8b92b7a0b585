// What was read of a node's kernel, or of a dump of it: for findings that objects alone can't give.

import type { KernelText } from '../iptables/kernel-text.ts'
import type { Ruleset } from '../iptables/rule.ts'
import type { SavedService } from '../ipvs/parse.ts'
import type { VirtualServerKey } from '../ipvs/virtual-server.ts'
import type { Family, Ip } from '../model/address.ts'
import type { ProxyMode } from '../model/config.ts'

export interface KernelState {
  /** The mode that the rules were made in. */
  readonly mode: ProxyMode
  /** What to call it in messages: `this machine`, `dump.txt`. */
  readonly label: string
  readonly rules: ReadonlyMap<Family, Ruleset>
  /** The same as they were saved, where they have no counters: equal texts need not be understood. */
  readonly texts?: ReadonlyMap<Family, KernelText>
  /** In IPVS mode. */
  readonly ipvs?: IpvsKernel
  /** Entries in use, and how many there may be. Absent in a dump. */
  readonly conntrack?: { readonly count: number; readonly max: number }
  /** Network interfaces. Empty in a dump. */
  readonly links: readonly NetworkLink[]
}

/** What was read of a kernel in IPVS mode, or of a dump of it, beside its rules. */
export interface IpvsKernel {
  readonly servers: ReadonlyMap<VirtualServerKey, SavedService>
  /** Absent when they are not known, like the addresses. */
  readonly sets?: ReadonlyMap<string, { readonly entries: ReadonlySet<string> }>
  /** Of kube-ipvs0. */
  readonly addresses?: ReadonlySet<Ip>
}

export interface NetworkLink {
  readonly name: string
  /** Bytes. */
  readonly mtu: number
  /** Devtype of the kernel, such as `vxlan`, `wireguard`, `bridge`; `ipip` for IP in IP; empty for any other. */
  readonly kind: string
  /** It is the end of a pair whose other end is in a Pod. */
  readonly toPod: boolean
  /** The default route goes out by it. */
  readonly uplink: boolean
}
