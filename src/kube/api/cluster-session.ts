// GET requests to one API server over one kept-alive connection, with the patience that a server may ask for. Plain
// node:http and node:https rather than the client's typed API, which drops the fields it does not know.
import http from 'node:http'
import https from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, ClusterError, describeTransportFailure, errorCode } from './cluster-error.ts'

/** How long to wait for a server and how often to ask again. */
export interface Patience {
  /** Milliseconds without a byte from the server until a request fails. */
  readonly silenceMs: number
  /** Milliseconds before the first repetition; each further one waits twice as long. */
  readonly backoffMs: number
  /** How often one request is repeated after a 429, a 5xx or a cut connection. */
  readonly repetitions: number
  /** The longest `Retry-After` that is waited for, in seconds; a server that asks for more is reported. */
  readonly longestRetryAfter: number
}

export const PATIENCE: Patience = { silenceMs: 30_000, backoffMs: 300, repetitions: 4, longestRetryAfter: 30 }

export interface SessionOptions {
  /** Without a slash at its end. */
  readonly server: string
  /** Headers and TLS settings. Called again after a 401, because tokens rotate. */
  readonly authorize: () => Promise<https.RequestOptions>
  readonly patience: Patience
  readonly signal?: AbortSignal
}

export interface Session {
  readonly server: string
  /**
   * `path` starts with a slash. Answers of every status are returned; after repetitions where those help.
   * @throws ClusterError when there is no answer, and the signal's reason when aborted.
   */
  readonly get: (path: string) => Promise<Answer>
  readonly close: () => void
}

/** Opens nothing yet: the connection comes with the first request. */
export function openSession({ server, authorize, patience, signal }: SessionOptions): Session {
  const agent = server.startsWith('http:')
    ? new http.Agent({ keepAlive: true, maxSockets: 1 })
    : new https.Agent({ keepAlive: true, maxSockets: 1 })
  let authorized: https.RequestOptions | undefined

  async function attempt(path: string): Promise<Answer | ClusterError> {
    // A proxy of the kubeconfig brings its own agent.
    authorized ??= { agent, ...(await authorize()), timeout: patience.silenceMs, ...(signal && { signal }) }
    try {
      return await send(server + path, authorized)
    } catch (error) {
      signal?.throwIfAborted()
      const failure = describeTransportFailure(server, error)
      if (CUT.has(errorCode(error))) return failure
      throw failure
    }
  }

  async function get(path: string): Promise<Answer> {
    let renewed = false
    for (let repeated = 0; ; ) {
      signal?.throwIfAborted()
      const outcome = await attempt(path)
      if (!(outcome instanceof ClusterError) && outcome.status === 401 && !renewed) {
        renewed = true
        authorized = undefined
        continue
      }
      const wait = waitBeforeRepeating(outcome, repeated, patience)
      if (wait === undefined) {
        if (outcome instanceof ClusterError) throw outcome
        return outcome
      }
      repeated += 1
      await pause(wait, signal)
    }
  }
  return { server, get, close: () => agent.destroy() }
}

/** Connections that end in the middle: the server restarts, or a load balancer gave up on an idle connection. */
const CUT = new Set(['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'HPE_INVALID_EOF_STATE'])

/** Milliseconds, or undefined when the outcome stands. */
function waitBeforeRepeating(outcome: Answer | ClusterError, repeated: number, patience: Patience): number | undefined {
  if (repeated >= patience.repetitions) return undefined
  const backoff = patience.backoffMs * 2 ** repeated
  if (outcome instanceof ClusterError) return backoff
  if (outcome.status !== 429 && outcome.status < 500) return undefined
  if (outcome.retryAfter === undefined) return backoff
  return outcome.retryAfter > patience.longestRetryAfter ? undefined : outcome.retryAfter * 1000
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(milliseconds, undefined, signal && { signal })
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}

function send(url: string, options: https.RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { request: start } = url.startsWith('http:') ? http : https
    const request = start(url, options, (response) => {
      read(response).then(resolve, reject)
    })
    request.on('timeout', () => {
      request.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' }))
    })
    request.on('error', reject)
    request.end()
  })
}

async function read(response: http.IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
  const body = Buffer.concat(chunks).toString('utf8')
  const retryAfter = Number(response.headers['retry-after'] ?? Number.NaN)
  return {
    status: response.statusCode ?? 0,
    body,
    ...(Number.isFinite(retryAfter) && retryAfter >= 0 && { retryAfter }),
  }
}
