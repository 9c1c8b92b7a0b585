// The interfaces of a host with their names and networks, which rules do not depend on and the ways of packets do: from
// a host file that host-file.ts has accepted, or from this machine.
import { networkInterfaces } from 'node:os'
import { parse } from 'yaml'
import { type Cidr, hostCidr, type Ip, parseCidr, parseIp } from '../model/address.ts'

export interface HostInterface {
  readonly name: string
  readonly addresses: readonly { readonly ip: Ip; readonly network: Cidr }[]
}

/** Unreadable addresses are left out: decodeHost reports them. */
export function decodeInterfaces(text: string): readonly HostInterface[] {
  const document: unknown = parse(text)
  if (typeof document !== 'object' || document === null || !('interfaces' in document)) return []
  const { interfaces } = document
  if (typeof interfaces !== 'object' || interfaces === null) return []
  return Object.entries(interfaces).map(([name, addresses]) => ({
    name,
    addresses: Array.isArray(addresses) ? addresses.flatMap((address) => decodeAddress(String(address))) : [],
  }))
}

/** Interfaces that are up. */
export function readLiveInterfaces(): readonly HostInterface[] {
  return Object.entries(networkInterfaces()).map(([name, addresses = []]) => ({
    name,
    addresses: addresses.flatMap(({ cidr, address }) => decodeAddress(cidr ?? address)),
  }))
}

function decodeAddress(text: string): HostInterface['addresses'] {
  const ip = parseIp(text.includes('/') ? text.slice(0, text.lastIndexOf('/')) : text)
  if (ip === undefined) return []
  const network = text.includes('/') ? parseCidr(text) : hostCidr(ip)
  return network === undefined ? [] : [{ ip, network }]
}
