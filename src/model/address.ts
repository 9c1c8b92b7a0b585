// IP addresses and networks as canonical text. Every address that enters the program passes through here once,
// so that afterwards equality is `===` and text can go into a rule as it is.
import ipaddr from 'ipaddr.js'

export type Family = 'ipv4' | 'ipv6'
export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6']

declare const ipBrand: unique symbol
declare const cidrBrand: unique symbol
/** An IP address in canonical text: IPv4 without leading zeros, IPv6 as RFC 5952 has it. */
export type Ip = string & { readonly [ipBrand]: true }
/** A network in canonical text, host bits masked: `10.0.0.0/8`, `fd00::/64`. */
export type Cidr = string & { readonly [cidrBrand]: true }

const DECIMAL_OCTETS = /^\d+\.\d+\.\d+\.\d+$/
const IPV6_CHARACTERS = /^[0-9a-fA-F:.]+$/
const COMPATIBLE_PREFIX = /^::(?=\d+\.)/
const PREFIX_LENGTH = /^\d{1,3}$/

/**
 * Reads one address as Kubernetes does (`ParseIPSloppy`): octets are decimal, leading zeros are dropped, an IPv4-mapped
 * IPv6 address is an IPv4 address. Undefined when it is none.
 */
export function parseIp(text: string): Ip | undefined {
  return parse(text)?.toString() as Ip | undefined
}

/** Reads a network, masks its host bits; undefined when it is none. A bare address is none. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.lastIndexOf('/')
  if (slash < 0) return undefined
  const given = parseUnmapped(text.slice(0, slash))
  const lengthText = text.slice(slash + 1)
  if (given === undefined || !PREFIX_LENGTH.test(lengthText)) return undefined
  const bits = given.kind() === 'ipv4' ? 32 : 128
  let length = Number(lengthText)
  if (length > bits) return undefined
  let address: ipaddr.IPv4 | ipaddr.IPv6 = given
  if (given instanceof ipaddr.IPv6 && given.isIPv4MappedAddress()) {
    if (length < 96) return undefined
    address = given.toIPv4Address()
    length -= 96
  }
  const bytes = address
    .toByteArray()
    .map((byte, index) => byte & (0xff00 >> Math.min(Math.max(length - index * 8, 0), 8)))
  return `${ipaddr.fromByteArray(bytes).toString()}/${length}` as Cidr
}

export function familyOfIp(ip: Ip): Family {
  return ip.includes(':') ? 'ipv6' : 'ipv4'
}

export function familyOfCidr(cidr: Cidr): Family {
  return cidr.includes(':') ? 'ipv6' : 'ipv4'
}

export function prefixLength(cidr: Cidr): number {
  return Number(cidr.slice(cidr.lastIndexOf('/') + 1))
}

/** The network address: `10.0.0.0` of `10.0.0.0/8`. */
export function networkAddress(cidr: Cidr): Ip {
  return cidr.slice(0, cidr.lastIndexOf('/')) as Ip
}

/** The network that holds this address alone. */
export function hostCidr(ip: Ip): Cidr {
  return (ip.includes(':') ? `${ip}/128` : `${ip}/32`) as Cidr
}

/** Whether the network holds the address; false across families. */
export function cidrContains(cidr: Cidr, ip: Ip): boolean {
  if (familyOfCidr(cidr) !== familyOfIp(ip)) return false
  return ipaddr.parse(ip).match(ipaddr.parseCIDR(cidr))
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(ip: Ip): boolean {
  return ipaddr.parse(ip).range() === 'loopback'
}

/** 0.0.0.0 or ::. */
export function isUnspecified(ip: Ip): boolean {
  return ip === '0.0.0.0' || ip === '::'
}

/** `10.0.0.1:80`, `[fd00::1]:80`. */
export function formatEndpoint(ip: Ip, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}

function parse(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const address = parseUnmapped(text)
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address
}

function parseUnmapped(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (DECIMAL_OCTETS.test(text)) {
    const octets = text.split('.').map(Number)
    return octets.every((octet) => octet <= 255) ? new ipaddr.IPv4(octets) : undefined
  }
  if (!IPV6_CHARACTERS.test(text)) return undefined
  // ipaddr.js takes ::1.2.3.4 for ::ffff:1.2.3.4, and reads 0::1.2.3.4 as it is.
  const explicit = text.replace(COMPATIBLE_PREFIX, '0::')
  return ipaddr.IPv6.isValid(explicit) ? ipaddr.IPv6.parse(explicit) : undefined
}
