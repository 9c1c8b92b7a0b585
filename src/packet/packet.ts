// The first packet of a connection, and its notation on the command line: `tcp 203.0.113.2:40000 -> 192.168.1.63:30380`.
import { type Family, familyOfIp, formatEndpoint, type Ip, isUnspecified, parseIp } from '../model/address.ts'

export type PacketProtocol = 'tcp' | 'udp' | 'sctp' | 'icmp'

/** Ports are 0 for icmp, which has none: it is an echo request. */
export interface Packet {
  readonly family: Family
  readonly protocol: PacketProtocol
  readonly source: Ip
  readonly sourcePort: number
  readonly destination: Ip
  readonly destinationPort: number
}

/** A packet as it was written: the source may be left to whoever knows where it comes from. */
export interface PacketNotation {
  readonly protocol: PacketProtocol
  readonly source?: Ip
  readonly sourcePort: number
  readonly destination: Ip
  readonly destinationPort: number
}

/** A client's port where none is written: from Linux's ephemeral range. */
export const DEFAULT_SOURCE_PORT = 40_000
const PROTOCOLS: readonly PacketProtocol[] = ['tcp', 'udp', 'sctp', 'icmp']
const EXAMPLE = "write it like 'tcp 203.0.113.2:40000 -> 192.168.1.63:30380'"

export type Parsed<T> = { readonly value: T } | { readonly problem: string }

/**
 * `PROTOCOL [SOURCE[:PORT]] -> DESTINATION:PORT`; IPv6 with a port in brackets, as in `tcp [fd00::9]:40000 -> [fd00::1]:80`;
 * without ports for icmp. The problem is a sentence that says what is wrong with the text and what to write.
 */
export function parsePacket(text: string): Parsed<PacketNotation> {
  const parts = /^\s*(\S+?)(?:\s+(.*?))?\s*->\s*(.*?)\s*$/.exec(text)
  if (parts === null) {
    const reason = text.includes('->') ? 'it has no protocol' : "it has no '->'"
    return { problem: `packet ${JSON.stringify(text)}: ${reason}: ${EXAMPLE}` }
  }
  const [, protocolText = '', sourceText = '', destinationText = ''] = parts
  const protocol = PROTOCOLS.find((name) => name === protocolText.toLowerCase().replace(/^icmpv?6$/, 'icmp'))
  if (protocol === undefined) {
    return { problem: `packet: ${JSON.stringify(protocolText)} is not a protocol: use tcp, udp, sctp or icmp` }
  }
  const destination = parseEnd(destinationText, 'destination', protocol)
  if ('problem' in destination) return destination
  const { ip, port } = destination.value
  if (protocol !== 'icmp' && port === undefined) {
    return {
      problem: `packet: the destination ${destinationText} has no port: write it like ${formatEndpoint(ip, 80)}`,
    }
  }
  const to = { protocol, destination: ip, destinationPort: port ?? 0 }
  const sourcePort = protocol === 'icmp' ? 0 : DEFAULT_SOURCE_PORT
  if (sourceText === '') return { value: { ...to, sourcePort } }
  const source = parseEnd(sourceText, 'source', protocol)
  if ('problem' in source) return source
  if (familyOfIp(source.value.ip) !== familyOfIp(ip)) {
    return {
      problem: `packet: the source ${source.value.ip} and the destination ${ip} are of different IP families: use two addresses of one family`,
    }
  }
  return { value: { ...to, source: source.value.ip, sourcePort: source.value.port ?? sourcePort } }
}

/** `tcp 203.0.113.2:40000 -> 192.168.1.63:30380` */
export function formatPacket({ protocol, source, sourcePort, destination, destinationPort }: Packet): string {
  if (protocol === 'icmp') return `icmp ${source} -> ${destination}`
  return `${protocol} ${formatEndpoint(source, sourcePort)} -> ${formatEndpoint(destination, destinationPort)}`
}

interface End {
  readonly ip: Ip
  readonly port?: number
}

function parseEnd(text: string, side: 'source' | 'destination', protocol: PacketProtocol): Parsed<End> {
  if (text === '') return { problem: `packet: the ${side} is missing: ${EXAMPLE}` }
  const bare = parseIp(text)
  const [, inBrackets, plain, portText] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(text) ?? []
  const ip = bare ?? parseIp(inBrackets ?? plain ?? '')
  if (ip === undefined) {
    const advice =
      text.split(':').length > 2 && !text.startsWith('[') ? '; put an IPv6 address that has a port in brackets' : ''
    return { problem: `packet: ${JSON.stringify(text)} is not an address with a port${advice}: ${EXAMPLE}` }
  }
  if (isUnspecified(ip)) return { problem: `packet: nothing is sent from or to ${ip}: give the address of one host` }
  if (bare !== undefined || portText === undefined) return { value: { ip } }
  if (protocol === 'icmp') return { problem: `packet: icmp has no ports: leave out :${portText}` }
  const port = /^\d{1,6}$/.test(portText) ? Number(portText) : Number.NaN
  if (!(port >= 1 && port <= 65_535)) {
    return { problem: `packet: port ${portText} of the ${side} is not a port: use a number from 1 to 65535` }
  }
  return { value: { ip, port } }
}
