// What the simulator asks of IPVS: which virtual server a packet is for, and which real servers it may get.
import type { Ip } from '../model/address.ts'
import type { PacketProtocol } from '../packet/packet.ts'
import type { Share } from '../packet/share.ts'

/** The virtual servers of a node, for one family. */
export type Balancer = (packet: BalancerSubject) => VirtualServerChoice | undefined

export interface BalancerSubject {
  readonly protocol: PacketProtocol
  readonly destination: Ip
  readonly destinationPort: number
  readonly mark: number
}

/** What a virtual server may do with a new connection. */
export interface VirtualServerChoice {
  /** `tcp 10.96.0.1:80` */
  readonly name: string
  readonly scheduler: string
  /** `ns/name:port`, where known. */
  readonly service?: string
  /** The Service has endpoints, and its policy Local keeps this node from using them. */
  readonly onlyElsewhere?: true
  /** What decides when it is not chance: `by the hash of sh`. */
  readonly question?: string
  /** Those that get new connections at all. Empty: the client is told that nobody is there. */
  readonly realServers: readonly PossibleServer[]
  /** What has to be said about it. */
  readonly notes: readonly string[]
}

export interface PossibleServer {
  readonly address: Ip
  readonly port: number
  /** Absent when a question decides. */
  readonly share?: Share
  /** How it is forwarded when not by changing the destination: `-g`. */
  readonly otherWay?: string
}
