// Netlink messages and their attributes as bytes: struct nlmsghdr, struct nfgenmsg, struct nlattr (linux/netlink.h,
// linux/netfilter/nfnetlink.h). Headers are in the byte order of the machine, and the netlink package has builds for
// little-endian machines only; netfilter's own numbers are in network byte order.

export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
export const NLM_F_REQUEST = 0x1
export const NLM_F_ACK = 0x4
export const NLM_F_DUMP_INTR = 0x10
export const NLM_F_DUMP = 0x300
export const NLM_F_CREATE = 0x400

const HEADER = 16
const ATTRIBUTE_HEADER = 4
/** Without the flags for nested attributes and for byte order. */
const ATTRIBUTE_TYPE = 0x3fff
const NESTED = 0x8000
/** struct nfgenmsg */
const FAMILY_HEADER = 4

/** The request's type, flags and number, and its payload. */
export interface Request {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly payload: Buffer
}

/** A message in a datagram: its payload is `datagram[from]` up to and without `datagram[to]`. */
export interface Message {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly from: number
  readonly to: number
}

export function formatRequest({ type, flags, sequence, payload }: Request): Buffer {
  const message = Buffer.alloc(HEADER + payload.length)
  message.writeUInt32LE(message.length, 0)
  message.writeUInt16LE(type, 4)
  message.writeUInt16LE(flags, 6)
  message.writeUInt32LE(sequence, 8)
  payload.copy(message, HEADER)
  return message
}

export function* parseMessages(datagram: Buffer): Generator<Message> {
  for (let at = 0; at + HEADER <= datagram.length; ) {
    const length = datagram.readUInt32LE(at)
    if (length < HEADER || at + length > datagram.length) return
    yield {
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      from: at + HEADER,
      to: at + length,
    }
    at += align(length)
  }
}

/** The payload of a message to netfilter. */
export function netfilterPayload(family: number, attributes: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.of(family, 0, 0, 0), ...attributes])
}

export function attribute(type: number, value: Uint8Array): Buffer {
  const length = ATTRIBUTE_HEADER + value.length
  const bytes = Buffer.alloc(align(length))
  bytes.writeUInt16LE(length, 0)
  bytes.writeUInt16LE(type, 2)
  bytes.set(value, ATTRIBUTE_HEADER)
  return bytes
}

export function nestedAttribute(type: number, attributes: readonly Buffer[]): Buffer {
  return attribute(type | NESTED, Buffer.concat(attributes))
}

/** Where the attributes of a netfilter message begin. */
export function firstAttribute(message: Pick<Message, 'from'>): number {
  return message.from + FAMILY_HEADER
}

/**
 * Where the value of an attribute begins, among attributes from `from` up to `to`; -1 when there is none of the type.
 * Places instead of slices, because a dump has a dozen attributes per entry, and 100,000 entries.
 */
export function findAttribute(bytes: Buffer, from: number, to: number, type: number): number {
  for (let at = from; at + ATTRIBUTE_HEADER <= to; ) {
    const length = readUint16(bytes, at)
    if (length < ATTRIBUTE_HEADER || at + length > to) return -1
    if ((readUint16(bytes, at + 2) & ATTRIBUTE_TYPE) === type) return at + ATTRIBUTE_HEADER
    at += align(length)
  }
  return -1
}

/** Where the value that begins at `value` ends. */
export function endOfAttribute(bytes: Buffer, value: number): number {
  return value - ATTRIBUTE_HEADER + readUint16(bytes, value - ATTRIBUTE_HEADER)
}

function readUint16(bytes: Buffer, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
}

function align(length: number): number {
  return (length + 3) & ~3
}
