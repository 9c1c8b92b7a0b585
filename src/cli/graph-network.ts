// The node's network for pictures. A client needs an address of the node to ask a node port at.
import { type Cidr, type Family, type Ip, isLoopback } from '../model/address.ts'
import type { NodeNetwork } from '../packet/network.ts'
import type { RuleSource } from './rule-source.ts'
import { networkFor } from './trace-network.ts'

/** Of documentation, so that nobody takes them for real ones: RFC 5737, RFC 3849. */
const STAND_IN: Readonly<Record<Family, Ip>> = { ipv4: '192.0.2.1' as Ip, ipv6: '2001:db8::1' as Ip }

export interface PictureNetwork {
  readonly network: NodeNetwork
  /** What had to be assumed. */
  readonly note?: string
}

/** `host` is the option --host. */
export function pictureNetwork(source: RuleSource, family: Family, host: string | undefined): PictureNetwork {
  const network = networkFor(source, family, host)
  if (!isLoopback(network.nodeIP)) return { network }
  const ip = STAND_IN[family]
  const own = { addresses: [{ ip, network: `${ip}/${family === 'ipv4' ? 32 : 128}` as Cidr }] }
  return {
    network: { ...network, nodeIP: ip, interfaces: [...network.interfaces, own] },
    note: `assumed: ${ip} stands for an address of the node, which is not known (--host FILE tells which it has)`,
  }
}
