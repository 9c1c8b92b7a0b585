// A packet on its way through rules: what rules see of it, where it is, and what is known around it.
import type { Ip } from '../model/address.ts'
import type { NodeNetwork } from '../packet/network.ts'
import type { Origin } from '../packet/origin.ts'
import type { PacketProtocol } from '../packet/packet.ts'
import type { Hook, Way } from '../packet/trace.ts'
import type { ChainName, TableName } from './rule.ts'
import type { Balancer } from './simulate-balancer.ts'
import type { RuleIndex } from './simulate-chains.ts'
import type { ServedPorts } from './simulate-served.ts'
import type { SavedSets } from './simulate-sets.ts'

/** Stands for the name of an interface that nobody knows. */
export const UNKNOWN = '?'
/** A place behind every rule. */
export const END_OF_CHAIN = Number.MAX_SAFE_INTEGER

/** A packet as a rule sees it, on its way. */
export interface Subject {
  readonly protocol: PacketProtocol
  readonly source: Ip
  readonly sourcePort: number
  readonly destination: Ip
  readonly destinationPort: number
  readonly mark: number
  /** Names of interfaces; UNKNOWN when there is one that nobody knows, absent when there is none. */
  readonly inInterface?: string
  readonly outInterface?: string
  readonly hook: string
  /** What conntrack says of it: a new connection, and which addresses of it were changed. */
  readonly tracking: 'none yet' | 'new' | 'untracked'
  readonly hasDnat: boolean
  readonly hasSnat: boolean
  /** Once IPVS has chosen a real server. */
  readonly balanced?: BalancedPacket
}

export interface BalancedPacket {
  /** What the client asked for. */
  readonly at: { readonly protocol: PacketProtocol; readonly address: Ip; readonly port: number }
}

export interface Surroundings {
  readonly network: NodeNetwork
  readonly sets: SavedSets | undefined
  readonly balancer: Balancer | undefined
  readonly served: ServedPorts
}

/** A packet somewhere on its way. */
export interface Journey {
  readonly subject: Subject
  readonly spot: Spot
  readonly origin: Origin
  /** It came back by the loopback interface after POSTROUTING; its connection's addresses are decided. */
  readonly again: boolean
  readonly masqueraded: boolean
  /** Of the rule that chose the destination. */
  readonly service?: string
  /** The rule that marked it last, or that jumped to the chain that did nothing but mark. */
  readonly markedBy?: MarkingRule
}

export interface MarkingRule {
  /** `nat KUBE-FW-X` */
  readonly chain: ChainName
  readonly comment: string
  readonly service?: string
}

export interface Spot {
  readonly hook: Hook
  readonly table: TableName
  readonly chain: ChainName
  /** The next rule, from 0. */
  readonly at: number
  readonly back?: Spot
}

/** One trace being made. */
export interface Walker {
  /** The whole way from somewhere on, for a branch. */
  readonly follow: (start: Journey | Way['next']) => Way
  readonly index: RuleIndex
  readonly around: Surroundings
  /** Packets to and from 127.0.0.0/8 may use other interfaces than lo (sysctl route_localnet). */
  readonly routeLocalnet: boolean
  readonly notes: Set<string>
  unknowns: number
}
