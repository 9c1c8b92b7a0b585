// The addresses of kube-ipvs0 as text: a list to read and compare, and the lines of `ip -batch`.
import { hostCidr, type Ip } from '../model/address.ts'
import { IPVS_DEVICE } from '../model/host.ts'

/** With prefix lengths, sorted by code point, one a line. */
export function printAddresses(addresses: Iterable<Ip>): string {
  return [...addresses]
    .map((ip) => `${hostCidr(ip)}\n`)
    .toSorted()
    .join('')
}

/** Fails where the device is there. */
export const ADD_DEVICE_LINE = `link add ${IPVS_DEVICE} type dummy`

/** Replacing, because an address that is there already is no error then. */
export function addAddressLine(ip: Ip): string {
  return `address replace ${hostCidr(ip)} dev ${IPVS_DEVICE}`
}

export function deleteAddressLine(ip: Ip): string {
  return `address delete ${hostCidr(ip)} dev ${IPVS_DEVICE}`
}
