// What the two ways of speaking to an API server, HTTP/1.1 and HTTP/2, have in common.
import net from 'node:net'
import type { Readable } from 'node:stream'
import tls from 'node:tls'
import type { Clock } from './clock.ts'
import type { TlsSettings } from './credentials.ts'

export interface OpenAnswer {
  readonly status: number
  /** Milliseconds that the server asks us to wait. */
  readonly retryAfterMs?: number
  /** Read it with readBody, or destroy it. */
  readonly body: Readable
  /** At the body's end: whether it was cut there. Absent where the body ends with an error then. */
  readonly isCut?: (bytes: number) => boolean
}

export interface Question {
  /** With the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Transport {
  readonly protocol: 'HTTP/1.1' | 'HTTP/2'
  /** False once no further request can be sent. */
  readonly isUsable: () => boolean
  /**
   * Sends a GET, or with a body a POST. Aborting ends the request and its answer, at any time.
   * @throws errors of node:http, node:http2 and node:tls as they are.
   */
  readonly send: (question: Question, signal: AbortSignal) => Promise<OpenAnswer>
  /** Lets open answers end, and closes what is idle. */
  readonly retire: () => void
  /** Cuts everything. */
  readonly close: () => void
}

export interface Endpoint {
  readonly url: URL
  readonly tls: TlsSettings
  readonly clock: Clock
  /** Milliseconds to connect and shake hands. */
  readonly connectMs: number
}

/** A TLS socket that is being connected, and fails when that takes too long. */
export function startTls(
  { url, tls: settings, clock, connectMs }: Endpoint,
  protocols: readonly string[],
): tls.TLSSocket {
  const host = hostOf(url)
  const socket = tls.connect({
    host,
    port: portOf(url),
    // Addresses are no server names; the certificate is checked against the address all the same.
    ...(net.isIP(host) === 0 && { servername: host }),
    ...settings,
    ALPNProtocols: [...protocols],
  })
  limitConnecting(socket, 'secureConnect', clock, connectMs)
  return socket
}

export function startTcp({ url, clock, connectMs }: Endpoint): net.Socket {
  const socket = net.connect({ host: hostOf(url), port: portOf(url) })
  limitConnecting(socket, 'connect', clock, connectMs)
  return socket
}

function limitConnecting(socket: net.Socket, event: string, clock: Clock, connectMs: number): void {
  socket.setKeepAlive(true, 30_000)
  socket.setNoDelay(true)
  const cancel = clock.after(connectMs, () => {
    socket.destroy(Object.assign(new Error('no connection in time'), { code: 'ETIMEDOUT' }))
  })
  socket.once(event, cancel)
  socket.once('close', cancel)
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

function portOf(url: URL): number {
  return Number(url.port || (url.protocol === 'http:' ? 80 : 443))
}

/** `Retry-After` in seconds; dates are not used by API servers. */
export function readRetryAfter(header: unknown): { readonly retryAfterMs?: number } {
  const seconds = typeof header === 'string' && header !== '' ? Number(header) : Number.NaN
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {}
}
