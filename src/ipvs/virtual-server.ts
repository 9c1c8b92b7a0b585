// The nouns of IPVS: virtual servers and their real servers, as `ipvsadm -Sn` shows them.
import { formatEndpoint, type Ip } from '../model/address.ts'
import type { Protocol } from '../model/object-name.ts'

/** `tcp 10.96.0.1:443`, `udp [fd00::1]:53` */
export type VirtualServerKey = string
/** `10.0.0.1:80`, `[fd00::1]:80` */
export type RealServerKey = string

export interface VirtualServer {
  readonly protocol: Protocol
  readonly address: Ip
  readonly port: number
  /** The kernel's name: rr, wrr, lc, wlc, lblc, lblcr, sh, mh, dh, sed, nq, fo, ovf. */
  readonly scheduler: string
  /** Names of scheduler flags as ipvsadm prints them behind -b: `mh-port`. */
  readonly schedulerFlags: readonly string[]
  /** Seconds for which a client keeps its real server; absent without persistence. */
  readonly persistenceSeconds?: number
  /** Sorted by key. */
  readonly realServers: readonly RealServer[]
}

export interface RealServer {
  readonly address: Ip
  readonly port: number
  readonly weight: number
}

export function virtualServerKey({ protocol, address, port }: Pick<VirtualServer, 'protocol' | 'address' | 'port'>) {
  return `${protocol} ${formatEndpoint(address, port)}`
}

export function realServerKey({ address, port }: Pick<RealServer, 'address' | 'port'>): RealServerKey {
  return formatEndpoint(address, port)
}
