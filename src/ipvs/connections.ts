// Reads what `ipvsadm -Ln` prints: the connections that each real server has.
import { parseIp } from '../model/address.ts'
import type { Protocol } from '../model/object-name.ts'
import { type RealServerKey, realServerKey, type VirtualServerKey, virtualServerKey } from './virtual-server.ts'

/** Connections, active and inactive ones together, by virtual server and real server. */
export type ConnectionCounts = ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, number>>

const SERVICE = /^(TCP|UDP|SCTP) +(\S+):(\d+) /
const REAL_SERVER = /^ +-> (\S+):(\d+) +\S+ +\d+ +(\d+) +(\d+) *$/

/** Services by firewall mark, and lines of another form, are passed over. */
export function readConnectionCounts(text: string): ConnectionCounts {
  const counts = new Map<VirtualServerKey, Map<RealServerKey, number>>()
  let current: Map<RealServerKey, number> | undefined
  for (const line of text.split('\n')) {
    const [, ip, port, active, inactive] = REAL_SERVER.exec(line) ?? []
    const address = ip === undefined ? undefined : readAddress(ip)
    if (address !== undefined) {
      current?.set(realServerKey({ address, port: Number(port) }), Number(active) + Number(inactive))
      continue
    }
    if (/^\s/.test(line)) continue
    const [, protocol, vip, vport] = SERVICE.exec(line) ?? []
    const virtual = vip === undefined ? undefined : readAddress(vip)
    current = undefined
    if (protocol === undefined || virtual === undefined) continue
    current = new Map()
    const at = { protocol: protocol.toLowerCase() as Protocol, address: virtual, port: Number(vport) }
    counts.set(virtualServerKey(at), current)
  }
  return counts
}

function readAddress(text: string) {
  return parseIp(text.replace(/^\[(.*)\]$/, '$1'))
}
