// HTTP/2: one connection for everything, and pings, so that a server that vanished without a word is noticed.
import http2 from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { type Endpoint, type OpenAnswer, type Question, readRetryAfter, type Transport } from './transport.ts'

/** Go's HTTP/2 client in Kubernetes has the same two numbers. */
const PING_EVERY_MS = 30_000
const PING_ANSWER_MS = 15_000
/** Bytes on their way at once; 64 KiB, the default, is slow on a long wire. */
const STREAM_WINDOW = 1024 * 1024
const CONNECTION_WINDOW = 4 * STREAM_WINDOW

/** `socket` is connected, and the server has chosen h2. */
export function openHttp2({ url, clock }: Endpoint, socket: TLSSocket): Transport {
  const session = http2.connect(url.origin, {
    createConnection: () => socket,
    // In MB. New streams are refused while more than this is on its way; the windows are the real limit.
    maxSessionMemory: 64,
    settings: { initialWindowSize: STREAM_WINDOW, enablePush: false },
  })
  session.on('connect', () => {
    session.setLocalWindowSize(CONNECTION_WINDOW)
  })
  // The streams report it too; without a listener it would end the process.
  session.on('error', () => {})
  let cancel = () => {}
  const ping = () => {
    if (session.destroyed) return
    const giveUp = clock.after(PING_ANSWER_MS, () => {
      session.destroy(Object.assign(new Error('no answer to a ping'), { code: 'ETIMEDOUT' }))
    })
    cancel = giveUp
    session.ping((error) => {
      giveUp()
      if (error === null) cancel = clock.after(PING_EVERY_MS, ping)
    })
  }
  cancel = clock.after(PING_EVERY_MS, ping)
  session.once('close', () => {
    cancel()
  })
  const isUsable = () => !session.closed && !session.destroyed
  return {
    protocol: 'HTTP/2',
    isUsable,
    send: (question, signal) => send(session, question, signal),
    retire: () => {
      session.close()
    },
    close: () => {
      session.destroy()
    },
  }
}

function send(
  session: http2.ClientHttp2Session,
  { path, headers, body }: Question,
  signal: AbortSignal,
): Promise<OpenAnswer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(
      { ...headers, ':path': path, ':method': body === undefined ? 'GET' : 'POST' },
      { endStream: body === undefined },
    )
    if (body !== undefined) stream.end(body)
    const abort = () => {
      stream.close(http2.constants.NGHTTP2_CANCEL)
      stream.destroy()
    }
    signal.addEventListener('abort', abort)
    let last: Error | undefined
    stream.on('error', (error: Error) => {
      last = error
    })
    stream.once('response', (answered) => {
      const length = Number(answered['content-length'] ?? Number.NaN)
      resolve({
        status: answered[':status'] ?? 0,
        body: stream,
        // A stream that is reset, or whose connection dies, ends in Node as if all had come.
        isCut: (bytes) => stream.rstCode !== http2.constants.NGHTTP2_NO_ERROR || (length >= 0 && bytes !== length),
        ...readRetryAfter(answered['retry-after']),
      })
    })
    stream.once('close', () => {
      signal.removeEventListener('abort', abort)
      reject(last ?? Object.assign(new Error('the stream was closed without an answer'), { code: 'ECONNRESET' }))
    })
  })
}
