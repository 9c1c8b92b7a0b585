// Dumps and deletes UDP entries of the kernel's connection table (linux/netfilter/nfnetlink_conntrack.h). What the kernel
// sends goes into packed records at once, so a table of 100,000 entries never stands here as objects.
import { ADDRESS_BYTES, recordLength, tupleLength } from '../host/flow-records.ts'
import { NetlinkError } from '../host/hands.ts'
import type { Netlink } from '../host/netlink.ts'
import type { Family } from '../model/address.ts'
import {
  attribute,
  endOfAttribute,
  findAttribute,
  firstAttribute,
  type Message,
  nestedAttribute,
  netfilterPayload,
} from './netlink-message.ts'
import { BATCH, type NetlinkSession, withNetfilter } from './netlink-session.ts'

const CONNTRACK = 1 << 8
const GET = CONNTRACK | 1
const DELETE = CONNTRACK | 2
const CTA_TUPLE_ORIG = 1
const CTA_TUPLE_REPLY = 2
const CTA_ID = 12
const CTA_ZONE = 18
const CTA_TUPLE_IP = 1
const CTA_TUPLE_PROTO = 2
const CTA_PROTO_NUM = 1
const CTA_PROTO_SRC_PORT = 2
const CTA_PROTO_DST_PORT = 3
const UDP = 17

const FAMILIES: Readonly<
  Record<Family, { readonly number: number; readonly source: number; readonly destination: number }>
> = {
  ipv4: { number: 2, source: 1, destination: 2 },
  ipv6: { number: 10, source: 3, destination: 4 },
}

const ATTEMPTS = 5

/**
 * All UDP entries, as records of host/flow-records.ts. A dump that the kernel had to interrupt is repeated, and after
 * five attempts taken as it is. Entries of conntrack zones, which other software uses for itself, are left out.
 */
export function dumpConntrack(netlink: Netlink, family: Family): Promise<Uint8Array> {
  return withNetfilter(netlink, 'dump', (session) => dumpRecords(session, family))
}

export async function dumpRecords(session: NetlinkSession, family: Family): Promise<Uint8Array> {
  for (let attempt = 1; ; attempt += 1) {
    const records = new RecordList(family)
    try {
      const request = netfilterPayload(FAMILIES[family].number, [])
      const outcome = await session.dump(GET, request, (datagram, message) => records.add(datagram, message))
      if (outcome === 'complete' || attempt === ATTEMPTS) return records.bytes()
    } catch (error) {
      if (!isInterruption(error)) throw error
      if (attempt === ATTEMPTS) return records.bytes()
    }
  }
}

/** Deletes exactly the entries of the records; how many there were. */
export function deleteConntrack(netlink: Netlink, family: Family, bytes: Uint8Array): Promise<number> {
  return withNetfilter(netlink, 'questions', (session) => deleteRecords(session, family, bytes))
}

export async function deleteRecords(session: NetlinkSession, family: Family, bytes: Uint8Array): Promise<number> {
  const records = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = recordLength(family)
  let deleted = 0
  for (let at = 0; at < records.length; at += BATCH * length) {
    const batch: Buffer[] = []
    for (let next = at; next + length <= records.length && batch.length < BATCH; next += length) {
      const record = records.subarray(next, next + length)
      const id = idOf(record) ?? (await findId(session, family, record))
      if (id !== undefined) batch.push(deletion(family, record, id))
    }
    deleted += await deleteBatch(session, batch)
  }
  return deleted
}

async function deleteBatch(session: NetlinkSession, batch: readonly Buffer[]): Promise<number> {
  let left = batch
  let deleted = 0
  for (let attempt = 1; left.length > 0; attempt += 1) {
    const outcomes = await session.askAll(DELETE, left)
    deleted += outcomes.filter((code) => code === undefined).length
    const refusal = outcomes.find((code) => code !== undefined && code !== 'ENOENT' && code !== 'EINTR')
    if (refusal !== undefined) throw new NetlinkError(refusal, `the kernel deletes no conntrack entries: ${refusal}`)
    left = attempt === ATTEMPTS ? [] : left.filter((_, index) => outcomes[index] === 'EINTR')
  }
  return deleted
}

/** The kernel finds an entry by one direction alone; its number makes sure that it is not a newer one. */
function deletion(family: Family, record: Buffer, id: Uint8Array): Buffer {
  return netfilterPayload(FAMILIES[family].number, [originalTuple(family, record), attribute(CTA_ID, id)])
}

/** The number of the entry that has both directions of the record. */
async function findId(session: NetlinkSession, family: Family, record: Buffer): Promise<Uint8Array | undefined> {
  const request = netfilterPayload(FAMILIES[family].number, [originalTuple(family, record)])
  const found = Buffer.alloc(recordLength(family))
  try {
    await session.ask(GET, 0, request, (datagram, message) => void copyRecord(family, datagram, message, found, 0))
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENOENT') return undefined
    throw error
  }
  const directions = 2 * tupleLength(family)
  return found.subarray(0, directions).equals(record.subarray(0, directions)) ? idOf(found) : undefined
}

function idOf(record: Buffer): Uint8Array | undefined {
  const id = record.subarray(-4)
  return id.readUInt32BE(0) === 0 ? undefined : id
}

function originalTuple(family: Family, record: Buffer): Buffer {
  const { source, destination } = FAMILIES[family]
  const bytes = ADDRESS_BYTES[family]
  return nestedAttribute(CTA_TUPLE_ORIG, [
    nestedAttribute(CTA_TUPLE_IP, [
      attribute(source, record.subarray(0, bytes)),
      attribute(destination, record.subarray(bytes, 2 * bytes)),
    ]),
    nestedAttribute(CTA_TUPLE_PROTO, [
      attribute(CTA_PROTO_NUM, Buffer.of(UDP)),
      attribute(CTA_PROTO_SRC_PORT, record.subarray(2 * bytes, 2 * bytes + 2)),
      attribute(CTA_PROTO_DST_PORT, record.subarray(2 * bytes + 2, 2 * bytes + 4)),
    ]),
  ])
}

/** Writes the entry's record at `at`; false when it is not UDP, or of a zone. */
function copyRecord(family: Family, datagram: Buffer, message: Message, record: Buffer, at: number): boolean {
  const from = firstAttribute(message)
  const { to } = message
  if (findAttribute(datagram, from, to, CTA_ZONE) >= 0) return false
  const tuple = tupleLength(family)
  if (!copyTuple(family, datagram, findAttribute(datagram, from, to, CTA_TUPLE_ORIG), record, at)) return false
  if (!copyTuple(family, datagram, findAttribute(datagram, from, to, CTA_TUPLE_REPLY), record, at + tuple)) return false
  const id = findAttribute(datagram, from, to, CTA_ID)
  if (id >= 0) datagram.copy(record, at + 2 * tuple, id, id + 4)
  return true
}

/** `tuple` is where it begins in the datagram, -1 when there is none. */
function copyTuple(family: Family, datagram: Buffer, tuple: number, record: Buffer, at: number): boolean {
  if (tuple < 0) return false
  const end = endOfAttribute(datagram, tuple)
  const ip = findAttribute(datagram, tuple, end, CTA_TUPLE_IP)
  const protocol = findAttribute(datagram, tuple, end, CTA_TUPLE_PROTO)
  if (ip < 0 || protocol < 0) return false
  const ipEnd = endOfAttribute(datagram, ip)
  const protocolEnd = endOfAttribute(datagram, protocol)
  const number = findAttribute(datagram, protocol, protocolEnd, CTA_PROTO_NUM)
  if (number < 0 || datagram[number] !== UDP) return false
  const source = findAttribute(datagram, ip, ipEnd, FAMILIES[family].source)
  const destination = findAttribute(datagram, ip, ipEnd, FAMILIES[family].destination)
  const sourcePort = findAttribute(datagram, protocol, protocolEnd, CTA_PROTO_SRC_PORT)
  const destinationPort = findAttribute(datagram, protocol, protocolEnd, CTA_PROTO_DST_PORT)
  if (source < 0 || destination < 0 || sourcePort < 0 || destinationPort < 0) return false
  const bytes = ADDRESS_BYTES[family]
  datagram.copy(record, at, source, source + bytes)
  datagram.copy(record, at + bytes, destination, destination + bytes)
  datagram.copy(record, at + 2 * bytes, sourcePort, sourcePort + 2)
  datagram.copy(record, at + 2 * bytes + 2, destinationPort, destinationPort + 2)
  return true
}

function isInterruption(error: unknown): boolean {
  return error instanceof NetlinkError && error.code === 'EINTR'
}

/** Records one after the other in a buffer that grows. */
class RecordList {
  readonly #family: Family
  #buffer = Buffer.alloc(65_536)
  #length = 0

  constructor(family: Family) {
    this.#family = family
  }

  add(datagram: Buffer, message: Message): void {
    const length = recordLength(this.#family)
    if (this.#length + length > this.#buffer.length) {
      this.#buffer = Buffer.concat([this.#buffer, Buffer.alloc(this.#buffer.length)])
    }
    if (copyRecord(this.#family, datagram, message, this.#buffer, this.#length)) this.#length += length
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }
}
