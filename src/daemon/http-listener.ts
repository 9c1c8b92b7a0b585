// The HTTP side of the small servers: turns an Answer into a server, and keeps it listening. A taken port is tried again
// every 5 s, for ever, or is fatal where the configuration says so (bindAddressHardFail).
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../kube/api/clock.ts'
import { parseIp } from '../model/address.ts'
import type { Answer, PageRequest, Reply } from './http-reply.ts'
import type { Log } from './log.ts'

const RETRY_MS = 5_000

// Health checkers of load balancers keep one connection and ask every few seconds. Node closes idle ones after 5 s by
// default, which then races with the next question and looks like a failed check.
const KEEP_ALIVE_MS = 120_000
const HEADERS_MS = 10_000
const REQUEST_MS = 30_000

export interface ListenerOptions {
  /** For log lines: `health server`. */
  readonly name: string
  /** `ip:port`, IPv6 in brackets; empty listens nowhere. */
  readonly address: string
  readonly answer: Answer
  readonly log: Log
  readonly clock: Clock
  /** Give up at the first failure, and report it here; without it failures are retried. */
  readonly onFatal?: (error: Error) => void
}

export interface Listener {
  /** Where it listens; undefined while it does not. */
  readonly address: () => AddressInfo | undefined
  /** Resolves with the address as soon as it listens; never for a listener that is disabled or has failed. */
  readonly listening: Promise<AddressInfo>
  /** Ends all connections. */
  readonly close: () => Promise<void>
}

/** Starts to listen, and goes on trying. Throws only for an address that is no `ip:port`. */
export function keepListening(options: ListenerOptions): Listener {
  const { name, log, clock, onFatal } = options
  const server = createHttpServer(options.answer, log)
  const target = options.address === '' ? undefined : listenTarget(options.address)
  let closed = false
  let callOff = () => {}
  const listen = () => {
    if (!closed && target !== undefined) server.listen(target)
  }
  server.on('error', (error) => {
    if (closed) return
    if (server.listening) log.warn(`${name}: a connection could not be accepted`, { error })
    else if (onFatal !== undefined) onFatal(error)
    else {
      log.error(`${name} can't listen, trying again`, { address: options.address, seconds: RETRY_MS / 1000, error })
      callOff = clock.after(RETRY_MS, listen)
    }
  })
  const address = () => (server.address() as AddressInfo | null) ?? undefined
  const listening = new Promise<AddressInfo>((resolve) => {
    server.on('listening', () => {
      log.verbose(1, `${name} listens`, { address: options.address })
      resolve(server.address() as AddressInfo)
    })
  })
  listen()
  return {
    address,
    listening,
    close: async () => {
      closed = true
      callOff()
      await closeServer(server)
    },
  }
}

/** A server that is not listening yet. */
export function createHttpServer(answer: Answer, log: Log): Server {
  const times = { keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS }
  return createServer(times, (request, response) => {
    handle(answer, request, response).catch((error: unknown) => {
      // A client that went away is nobody's failure.
      if (request.socket.destroyed) return
      log.error('a page could not be answered', { path: request.url ?? '', error })
      if (response.headersSent) response.destroy()
      else response.writeHead(500, { 'Content-Type': 'text/plain; charset=utf-8' }).end('internal error\n')
    })
  })
}

/** Closes what is open at once; a server that never listened is closed already. */
export async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
}

async function handle(answer: Answer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = await answer(readRequest(request))
  if (reply === 'drop') request.socket.destroy()
  else await send(reply, response)
}

function readRequest(request: IncomingMessage): PageRequest {
  const [path = '', query = ''] = (request.url ?? '').split(/\?(.*)/s, 2)
  return {
    method: request.method ?? 'GET',
    path,
    query: new URLSearchParams(query),
    readBody: async (limit) => {
      const parts: Buffer[] = []
      let length = 0
      for await (const part of request as AsyncIterable<Buffer>) {
        length += part.length
        if (length > limit) throw new Error(`the body is longer than ${limit} bytes`)
        parts.push(part)
      }
      return Buffer.concat(parts).toString('utf8')
    },
  }
}

async function send({ status, headers, body }: Reply, response: ServerResponse): Promise<void> {
  // Go's servers do not announce what HTTP/1.1 does anyway; the connection stays open all the same.
  response.removeHeader('Connection')
  if (typeof body !== 'string') {
    response.writeHead(status, headers.flat())
    await pipeline(body, response)
    return
  }
  response.writeHead(status, [...headers.flat(), 'Content-Length', String(Buffer.byteLength(body))]).end(body)
}

/** Both wildcards mean every address of both families, as in Go; so does a listener without host, here. */
function listenTarget(address: string): { readonly host?: string; readonly port: number } {
  const [, host = '', port = ''] = /^\[?([^\]]*)\]?:(\d+)$/.exec(address) ?? []
  const ip = parseIp(host)
  if (ip === undefined) throw new Error(`${address} is no ip:port: write one such as 127.0.0.1:10249`)
  return ip === '0.0.0.0' || ip === '::' ? { port: Number(port) } : { host: ip, port: Number(port) }
}
