// Conntrack entries packed for the way between the processes: 100,000 of them are 2.8 MB of IPv4 records, and the helper
// needs no object for any of them. One record: source, destination, source port and destination port of the original
// direction, the same of the reply, then the entry's number (0: not known); all in network byte order, as the kernel
// gives them.
import { type Family, type Ip, parseIp } from '../model/address.ts'
import type { ConntrackFlow, FlowTuple } from '../sync/conntrack-flow.ts'

export const ADDRESS_BYTES: Readonly<Record<Family, number>> = { ipv4: 4, ipv6: 16 }

/** Bytes of one direction: two addresses and two ports. */
export function tupleLength(family: Family): number {
  return 2 * ADDRESS_BYTES[family] + 4
}

export function recordLength(family: Family): number {
  return 2 * tupleLength(family) + 4
}

/** Flows whose addresses are not of the family are left out. */
export function packFlows(family: Family, flows: readonly ConntrackFlow[]): Buffer {
  const ofFamily = flows.filter((flow) => addressesOf(flow).every((ip) => ip.includes(':') === (family === 'ipv6')))
  const records = Buffer.alloc(ofFamily.length * recordLength(family))
  let at = 0
  for (const { original, reply, id } of ofFamily) {
    at = writeTuple(records, at, original)
    at = writeTuple(records, at, reply)
    at = records.writeUInt32BE(id ?? 0, at)
  }
  return records
}

/** Entries with an address that is not of the family in our canonical text (`::ffff:10.0.0.1`) are left out. */
export function unpackFlows(family: Family, bytes: Uint8Array): readonly ConntrackFlow[] {
  const records = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const readAddress = family === 'ipv4' ? readIpv4 : createIpv6Reader()
  const tuple = tupleLength(family)
  const flows: ConntrackFlow[] = []
  for (let at = 0; at + recordLength(family) <= records.length; at += recordLength(family)) {
    const original = readTuple(records, at, family, readAddress)
    const reply = readTuple(records, at + tuple, family, readAddress)
    if (original === undefined || reply === undefined) continue
    const id = records.readUInt32BE(at + 2 * tuple)
    flows.push({ protocol: 'udp', original, reply, ...(id !== 0 && { id }) })
  }
  return flows
}

type AddressReader = (records: Buffer, at: number) => Ip | undefined

function readTuple(records: Buffer, at: number, family: Family, readAddress: AddressReader): FlowTuple | undefined {
  const bytes = ADDRESS_BYTES[family]
  const source = readAddress(records, at)
  const destination = readAddress(records, at + bytes)
  if (source === undefined || destination === undefined) return undefined
  const sourcePort = records.readUInt16BE(at + 2 * bytes)
  return { source, sourcePort, destination, destinationPort: records.readUInt16BE(at + 2 * bytes + 2) }
}

function readIpv4(records: Buffer, at: number): Ip {
  return `${records[at]}.${records[at + 1]}.${records[at + 2]}.${records[at + 3]}` as Ip
}

/** Canonical IPv6 text takes microseconds, and few addresses stand in many entries. */
function createIpv6Reader(): AddressReader {
  const known = new Map<string, Ip | undefined>()
  return (records, at) => {
    const key = records.toString('latin1', at, at + 16)
    if (!known.has(key)) {
      const ip = parseIp(records.toString('hex', at, at + 16).replace(/....(?!$)/g, '$&:'))
      known.set(key, ip?.includes(':') === true ? ip : undefined)
    }
    return known.get(key)
  }
}

function writeTuple(records: Buffer, at: number, tuple: FlowTuple): number {
  let next = writeAddress(records, at, tuple.source)
  next = writeAddress(records, next, tuple.destination)
  next = records.writeUInt16BE(tuple.sourcePort, next)
  return records.writeUInt16BE(tuple.destinationPort, next)
}

function writeAddress(records: Buffer, at: number, ip: Ip): number {
  if (!ip.includes(':')) {
    let next = at
    for (const octet of ip.split('.')) next = records.writeUInt8(Number(octet), next)
    return next
  }
  // Canonical text has no dotted part: parseIp turns ::ffff:a.b.c.d into IPv4.
  const [head = '', tail] = ip.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  let next = at
  for (const group of [...before, ...Array<string>(zeros).fill('0'), ...after]) {
    next = records.writeUInt16BE(Number.parseInt(group, 16), next)
  }
  return next
}

function addressesOf({ original, reply }: ConntrackFlow): readonly Ip[] {
  return [original.source, original.destination, reply.source, reply.destination]
}
