// Questions to a part of the kernel over one socket of their own, one after the other: never shared with events, which would tear a
// dump apart, and never so many at once that the answers overrun the receive buffer, which aborts the process. Each has
// a time limit, because the netlink package has none, and a lost answer would be waited for for ever.
import { getSystemErrorName } from 'node:util'
import { NetlinkError } from '../host/hands.ts'
import type { Netlink } from '../host/netlink.ts'
import {
  formatRequest,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseMessages,
} from './netlink-message.ts'

export interface NetlinkSession {
  /** One request; throws NetlinkError with the kernel's code. `each` gets every message of the answer. */
  ask(type: number, flags: number, payload: Buffer, each?: OnMessage): Promise<void>
  /** Several requests in one datagram: the kernel's code for each that it refused. At most BATCH of them. */
  askAll(type: number, payloads: readonly Buffer[]): Promise<readonly (string | undefined)[]>
  /** 'interrupted': the kernel says that entries may be missing or stand twice. */
  dump(type: number, payload: Buffer, each: OnMessage): Promise<'complete' | 'interrupted'>
}

/** The datagram must not be kept. */
export type OnMessage = (datagram: Buffer, message: Message) => void

/** Each refusal takes about a kilobyte of a receive buffer of 200. */
export const BATCH = 64

/** Milliseconds without a word from the kernel. */
const SILENCE_MS = 5_000
/**
 * Bytes of the buffer that the netlink package makes for every single datagram. The kernel fills 32 KB with one part of a
 * dump, but 10,000 acknowledgements in such buffers would be 320 MB for the garbage collector.
 */
const DATAGRAM_BYTES = { questions: 4_096, dump: 32_768 }

/** Requests that were sent in one datagram, numbered from `first` to `last`. */
interface Pending {
  readonly first: number
  readonly last: number
  readonly each: OnMessage
  readonly refused: Map<number, string>
  interrupted: boolean
  readonly resolve: () => void
  readonly reject: (error: NetlinkError) => void
}

/** Opens a socket for questions, or for a dump, and closes it when `use` is done. `use` asks one thing at a time. */
export function withNetfilter<T>(netlink: Sockets, purpose: Purpose, use: Use<T>): Promise<T> {
  return withProtocol(netlink, netlink.Protocol.NETFILTER, purpose, use)
}

/** The same with interfaces and their addresses. */
export function withRouting<T>(netlink: Sockets, purpose: Purpose, use: Use<T>): Promise<T> {
  return withProtocol(netlink, netlink.Protocol.ROUTE, purpose, use)
}

type Sockets = Pick<Netlink, 'RawNetlinkSocket' | 'Protocol'>
type Purpose = keyof typeof DATAGRAM_BYTES
type Use<T> = (session: NetlinkSession) => Promise<T>

async function withProtocol<T>(netlink: Sockets, protocol: number, purpose: Purpose, use: Use<T>): Promise<T> {
  const socket = new netlink.RawNetlinkSocket(protocol, {
    messagePeeking: false,
    msgBufferSize: DATAGRAM_BYTES[purpose],
    recvBufferSize: 0,
    sendBufferSize: 0,
  })
  let pending: Pending | undefined
  let sequence = 0
  const silence = setTimeout(() => {
    pending?.reject(new NetlinkError('TIMEOUT', `the kernel did not answer over netlink within ${SILENCE_MS} ms`))
  }, SILENCE_MS)
  socket.on('message', (datagram) => {
    silence.refresh()
    if (pending !== undefined) receive(datagram, pending)
  })
  socket.on('error', (error) => pending?.reject(new NetlinkError(error.code, `netlink: ${error.message}`)))

  const send = async (type: number, flags: number, payloads: readonly Buffer[], each: OnMessage): Promise<Pending> => {
    silence.refresh()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const first = sequence + 1
    sequence += payloads.length
    const sent = {
      first,
      last: sequence,
      each,
      refused: new Map<number, string>(),
      interrupted: false,
      resolve,
      reject,
    }
    pending = sent
    const requests = payloads.map((payload, index) => {
      // The kernel works through them in order, so the last one's acknowledgement is the end of all.
      const last = index === payloads.length - 1
      return formatRequest({
        type,
        flags: NLM_F_REQUEST | (last ? flags : flags & ~NLM_F_ACK),
        sequence: first + index,
        payload,
      })
    })
    socket.send(Buffer.concat(requests), {}, (error) => {
      if (error !== undefined) reject(new NetlinkError(error.code, `netlink: ${error.message}`))
    })
    await promise
    return sent
  }
  try {
    return await use(sessionOf(send))
  } finally {
    clearTimeout(silence)
    socket.close()
  }
}

function sessionOf(
  send: (type: number, flags: number, payloads: readonly Buffer[], each: OnMessage) => Promise<Pending>,
): NetlinkSession {
  return {
    ask: async (type, flags, payload, each = ignore) => {
      const { first, refused } = await send(type, flags | NLM_F_ACK, [payload], each)
      throwIfRefused(refused.get(first))
    },
    askAll: async (type, payloads) => {
      if (payloads.length === 0) return []
      const { first, refused } = await send(type, NLM_F_ACK, payloads, ignore)
      return payloads.map((_, index) => refused.get(first + index))
    },
    dump: async (type, payload, each) => {
      const { first, refused, interrupted } = await send(type, NLM_F_DUMP, [payload], each)
      throwIfRefused(refused.get(first))
      return interrupted ? 'interrupted' : 'complete'
    },
  }
}

function receive(datagram: Buffer, pending: Pending): void {
  for (const message of parseMessages(datagram)) {
    const { type, flags, sequence, from, to } = message
    if (sequence < pending.first || sequence > pending.last) continue
    if ((flags & NLM_F_DUMP_INTR) !== 0) pending.interrupted = true
    if (type !== NLMSG_ERROR && type !== NLMSG_DONE) {
      pending.each(datagram, message)
      continue
    }
    // Both an error message and the end of a dump begin with a negative error number, or 0.
    const errno = to - from < 4 ? 0 : datagram.readInt32LE(from)
    if (errno !== 0) pending.refused.set(sequence, getSystemErrorName(errno))
    if (sequence === pending.last) pending.resolve()
  }
}

function throwIfRefused(code: string | undefined): void {
  if (code !== undefined) throw new NetlinkError(code, `the kernel refused a netlink request: ${code}`)
}

function ignore(): void {}
