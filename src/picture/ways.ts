// Everybody's ways to every entrance of a port: what the simulator says, as words and as the light on the picture.

import { type Ip, isLoopback } from '../model/address.ts'
import { describeReply, describeVerdict, reachesEndpoint } from '../packet/describe-trace.ts'
import type { NodeNetwork } from '../packet/network.ts'
import { exampleSource, type OriginKind, originAs } from '../packet/origin.ts'
import { DEFAULT_SOURCE_PORT, type Packet } from '../packet/packet.ts'
import type { Trace } from '../packet/trace.ts'
import type { Entrance } from './entrances.ts'
import { lightOf } from './light.ts'
import type { Light } from './picture.ts'
import type { PortPicture } from './port-picture.ts'

/** The one of the node's rules: src/iptables/simulate.ts. */
export type TracePacket = (packet: Packet, origin: Trace['origin'], network: NodeNetwork) => Trace

export const CLIENTS: readonly OriginKind[] = ['pod', 'node', 'other node', 'outside']

export interface WayIn {
  readonly packet: Packet
  /** The verdict first. */
  readonly words: readonly string[]
  /** Every packet reaches an endpoint. */
  readonly arrives: boolean
  readonly light: Light
}

/** Undefined where no address of such a client is known. */
export function wayIn(
  picture: PortPicture,
  position: number,
  client: OriginKind,
  network: NodeNetwork,
  trace: TracePacket,
): WayIn | undefined {
  const entrance = picture.rules.entrances[position]
  const node = picture.entrances[position]
  const packet = entrance && packetFrom(picture, entrance, client, network)
  if (packet === undefined || node === undefined) return undefined
  const traced = trace(packet, originAs(network, client, packet.source), network)
  return {
    packet,
    words: [...describeVerdict(traced), ...describeReply(traced, network), ...traced.notes],
    arrives: reachesEndpoint(traced),
    light: lightOf(traced, picture, node),
  }
}

function packetFrom(
  { rules }: PortPicture,
  { ip, port }: Entrance,
  client: OriginKind,
  network: NodeNetwork,
): Packet | undefined {
  const { family, protocol } = rules
  const destination = ip ?? nodeAddress(network)
  if (destination === undefined || (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')) return undefined
  const source = exampleSource(network, client, destination)
  if (source === undefined) return undefined
  return { family, protocol, source, sourcePort: DEFAULT_SOURCE_PORT, destination, destinationPort: port }
}

/** Where node ports are asked for. */
export function nodeAddress({ nodeIP }: NodeNetwork): Ip | undefined {
  return isLoopback(nodeIP) ? undefined : nodeIP
}
