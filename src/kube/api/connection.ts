// The daemon's way to its API server: requests with the credentials of the moment, and their answers. What they travel on
// is the matter of transports.ts.
import type { Clock } from './clock.ts'
import { type Answer, ClusterError, describeStatus, describeTransportFailure } from './cluster-error.ts'
import type { CredentialSource } from './credentials.ts'
import type { OpenAnswer, Transport } from './transport.ts'
import { createTransports } from './transports.ts'

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
  const transports = createTransports({ url, clock, connectMs })

  async function attempt(path: string, signal: AbortSignal, body?: string): Promise<OpenAnswer> {
    const { authorization, tls } = credentials.current()
    const transport = await transports.usable(tls)
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

  return {
    server,
    open: (path, signal) => send(path, signal),
    post: (path, body, signal) =>
      inTime(clock, signal, `${server} does not answer in time to a POST of ${path}`, async (limited) => {
        const read = await readAnswer(server, await send(path, limited, body), limited)
        if (read.status < 200 || read.status > 299) throw describeStatus(server, `create in ${path}`, read)
      }),
    protocol: transports.protocol,
    close: transports.close,
  }
}

/** @throws ClusterError with `lateMessage` when the work takes too long, and the signal's reason when aborted. */
async function inTime(
  clock: Clock,
  signal: AbortSignal,
  lateMessage: string,
  work: (limited: AbortSignal) => Promise<void>,
): Promise<void> {
  const controller = new AbortController()
  const abort = () => {
    controller.abort(signal.reason)
  }
  signal.throwIfAborted()
  signal.addEventListener('abort', abort)
  const cancel = clock.after(POST_MS, () => {
    controller.abort(new ClusterError('unreachable', lateMessage))
  })
  try {
    await work(controller.signal)
  } finally {
    cancel()
    signal.removeEventListener('abort', abort)
  }
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
