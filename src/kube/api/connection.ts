// The daemon's way to its API server: one shared HTTP/2 connection where the server offers it, else a kept-alive HTTP/1.1
// connection for each open request. Rotated certificates get a new connection while answers on the old one end in peace.
import type { TLSSocket } from 'node:tls'
import type { Clock } from './clock.ts'
import { type Answer, ClusterError, describeStatus, describeTransportFailure } from './cluster-error.ts'
import type { CredentialSource, TlsSettings } from './credentials.ts'
import { openHttp1 } from './http1-transport.ts'
import { openHttp2 } from './http2-transport.ts'
import { type Endpoint, type OpenAnswer, startTls, type Transport } from './transport.ts'

export type { OpenAnswer } from './transport.ts'

export interface Connection {
  readonly server: string
  /**
   * Sends a GET; `path` begins with a slash. Answers of every status are returned; after a 401, when there is another token
   * by now, the answer to that one. Aborting `signal` ends the answer too, at any time.
   * @throws ClusterError when there is no answer, and the signal's reason when aborted.
   */
  readonly open: (path: string, signal: AbortSignal) => Promise<OpenAnswer>
  /**
   * Sends JSON to be created, and waits until it is.
   * @throws ClusterError when it was refused or not answered in time, and the signal's reason when aborted.
   */
  readonly post: (path: string, body: string, signal: AbortSignal) => Promise<void>
  /** Absent before the first connection. */
  readonly protocol: () => Transport['protocol'] | undefined
  /** Cuts everything that is open. */
  readonly close: () => void
}

export interface ConnectionOptions {
  readonly credentials: CredentialSource
  readonly clock: Clock
  readonly userAgent?: string
  /** Milliseconds to connect and shake hands. */
  readonly connectMs?: number
}

const CONNECT_MS = 15_000
/** Milliseconds until a POST is given up. */
const POST_MS = 30_000

/** Opens nothing yet: the connection comes with the first request. */
export function openConnection(options: ConnectionOptions): Connection {
  const { credentials, clock, userAgent = 'sluice', connectMs = CONNECT_MS } = options
  const { server } = credentials
  const url = new URL(server)
  const all = new Set<Transport>()
  let current: { readonly tls: TlsSettings; readonly transport: Promise<Transport> } | undefined
  let protocol: Transport['protocol'] | undefined
  let isClosed = false

  async function connect(tls: TlsSettings): Promise<Transport> {
    const transport = await openTransport({ url, tls, clock, connectMs })
    for (const old of all) if (!old.isUsable()) all.delete(old)
    all.add(transport)
    if (isClosed) transport.close()
    protocol = transport.protocol
    return transport
  }

  async function usableTransport(tls: TlsSettings): Promise<Transport> {
    if (current !== undefined && current.tls !== tls) {
      const old = current.transport
      current = undefined
      old.then((transport) => transport.retire()).catch(() => {})
    }
    // Requests that come together share one attempt.
    current ??= { tls, transport: connect(tls) }
    const shared = current
    try {
      const transport = await shared.transport
      if (transport.isUsable()) return transport
    } catch (error) {
      if (current === shared) current = undefined
      throw error
    }
    if (current === shared) current = undefined
    return usableTransport(tls)
  }

  async function attempt(path: string, signal: AbortSignal, body?: string): Promise<OpenAnswer> {
    const { authorization, tls } = credentials.current()
    const transport = await usableTransport(tls)
    signal.throwIfAborted()
    const headers = {
      accept: 'application/json',
      'user-agent': userAgent,
      ...(authorization && { authorization }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    }
    const whole = url.pathname.replace(/\/$/, '') + path
    return transport.send({ path: whole, headers, ...(body !== undefined && { body }) }, signal)
  }

  async function send(path: string, signal: AbortSignal, body?: string): Promise<OpenAnswer> {
    try {
      signal.throwIfAborted()
      const answer = await attempt(path, signal, body)
      if (answer.status !== 401 || !credentials.renew()) return answer
      answer.body.resume()
      return await attempt(path, signal, body)
    } catch (error) {
      signal.throwIfAborted()
      throw error instanceof ClusterError ? error : describeTransportFailure(server, error)
    }
  }

  async function post(path: string, body: string, signal: AbortSignal): Promise<void> {
    const controller = new AbortController()
    const abort = () => {
      controller.abort(signal.reason)
    }
    signal.throwIfAborted()
    signal.addEventListener('abort', abort)
    const cancel = clock.after(POST_MS, () => {
      controller.abort(new ClusterError('unreachable', `${server} does not answer in time to a POST of ${path}`))
    })
    try {
      const answer = await send(path, controller.signal, body)
      const read = await readAnswer(server, answer, controller.signal)
      if (read.status < 200 || read.status > 299) throw describeStatus(server, `create in ${path}`, read)
    } finally {
      cancel()
      signal.removeEventListener('abort', abort)
    }
  }

  return {
    server,
    open: (path, signal) => send(path, signal),
    post,
    protocol: () => protocol,
    close: () => {
      isClosed = true
      for (const transport of all) transport.close()
    },
  }
}

/** Asks the server, over TLS, which protocol it speaks. */
async function openTransport(endpoint: Endpoint): Promise<Transport> {
  if (endpoint.url.protocol === 'http:') return openHttp1(endpoint)
  const socket = startTls(endpoint, ['h2', 'http/1.1'])
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
    socket.once('close', () => {
      reject(Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' }))
    })
  })
  ignoreLateErrors(socket)
  return socket.alpnProtocol === 'h2' ? openHttp2(endpoint, socket) : openHttp1(endpoint, socket)
}

/** Between two owners nobody listens for errors. */
function ignoreLateErrors(socket: TLSSocket): void {
  socket.on('error', () => {})
}

/**
 * Hands on the body chunk by chunk until it ends.
 * @throws ClusterError when it is cut, the signal's reason when aborted, and what `onChunk` throws.
 */
export async function readBody(
  server: string,
  { body, isCut }: Pick<OpenAnswer, 'body' | 'isCut'>,
  signal: AbortSignal,
  onChunk: (chunk: Buffer) => void,
): Promise<void> {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let bytes = 0
  try {
    for (;;) {
      const next = await nextChunk(chunks, server, signal)
      signal.throwIfAborted()
      if (next === undefined) break
      bytes += next.length
      onChunk(next)
    }
  } finally {
    body.destroy()
  }
  if (isCut?.(bytes) === true) throw describeTransportFailure(server, new Error('the answer was cut'))
}

async function nextChunk(
  chunks: AsyncIterator<Buffer>,
  server: string,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  try {
    const { done, value } = await chunks.next()
    return done === true ? undefined : value
  } catch (error) {
    signal.throwIfAborted()
    throw describeTransportFailure(server, error)
  }
}

/** Far above any Status; a captive portal's page need not be read to its end. */
const LONGEST_ANSWER = 64 * 1024

/** The whole of an answer, or its beginning when it is long: for describeStatus. */
export async function readAnswer(server: string, answer: OpenAnswer, signal: AbortSignal): Promise<Answer> {
  const { status, retryAfterMs } = answer
  const parts: Buffer[] = []
  let bytes = 0
  try {
    await readBody(server, answer, signal, (chunk) => {
      parts.push(chunk)
      bytes += chunk.length
      if (bytes > LONGEST_ANSWER) throw new RangeError('long enough')
    })
  } catch {
    // The status says enough.
    signal.throwIfAborted()
  }
  return {
    status,
    body: Buffer.concat(parts).toString('utf8'),
    ...(retryAfterMs !== undefined && { retryAfter: retryAfterMs / 1000 }),
  }
}
