// The node that rules are made for, as far as rules depend on it.
import type { Cidr, Family, Ip } from './address.ts'
import type { Host } from './host.ts'

export interface NodeFacts {
  readonly name: string
  /** Empty when the node has no zone. */
  readonly zone: string
  /** The address of each family that stands for this node; loopback when there is none. */
  readonly nodeIPs: Readonly<Record<Family, Ip>>
  /** The family of the address that the node is known by. */
  readonly primaryFamily: Family
  readonly podCIDRs: readonly Cidr[]
  readonly host: Host
}

/** How packets from this node's own pods are recognised. */
export type LocalDetector =
  | { readonly kind: 'source'; readonly cidr: Cidr }
  /** An interface's name, or the beginning of names with a trailing `+`. */
  | { readonly kind: 'interface'; readonly name: string }
