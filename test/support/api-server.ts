// A test double of the Kubernetes API server on 127.0.0.1: lists and watches of an ApiStore, tokens, TLS, and faults on
// demand. How it answers follows the recordings of a real one in test/data/recordings.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { AddressInfo, Server, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { type ListAbilities, list, type Reply, refuseSelector, status } from './api-list.ts'
import { ApiStore, PODS, RESOURCES, type Resource } from './api-store.ts'
import { ApiWatches } from './api-watch.ts'

export type Fault =
  | { readonly kind: 'status'; readonly code: number; readonly retryAfter?: number }
  /** Takes `ms` longer. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** Sends the head and half the body, then cuts the connection. */
  | { readonly kind: 'cut' }
  /** Closes the connection instead of an answer. */
  | { readonly kind: 'drop' }
  /** Never answers. */
  | { readonly kind: 'hang' }
  /** Sends half the body and then nothing. */
  | { readonly kind: 'stall' }
  /** Answers with this text and status 200, as a captive portal does. */
  | { readonly kind: 'text'; readonly body: string }

export interface TlsFiles {
  /** Names in test/data/tls: `server` for server.crt and server.key. */
  readonly certificate: string
  /** Ask for client certificates signed by this CA; without one a request needs the token. */
  readonly clientCa?: string
  /** Offer HTTP/2 beside HTTP/1.1, as real API servers do. */
  readonly http2?: boolean
}

export interface SeenRequest {
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: http.IncomingHttpHeaders
}

export interface ApiServerOptions {
  readonly tls?: TlsFiles
  readonly store?: ApiStore
  /** The only bearer token that is accepted; without one everybody is. Can be changed while the server runs. */
  readonly token?: string
  /** Put before every path, as Rancher does: `/k8s/clusters/c-1`. */
  readonly prefix?: string
  /** An open listener to serve, instead of a new one. */
  readonly socket?: Server
}

/** Listens on a free port until it is closed: `await using server = await startApiServer()`. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = new ApiServer(options)
  await server.listen(options.socket)
  return server
}

export class ApiServer implements AsyncDisposable {
  readonly store: ApiStore
  readonly watches: ApiWatches
  readonly requests: SeenRequest[] = []
  /** Resource names that nobody may list or watch. */
  readonly forbidden = new Set<string>()
  readonly abilities: { -readonly [Name in keyof ListAbilities]: boolean } = { exact: true, fieldSelectors: true }
  token: string | undefined
  /** Called before a request is answered; may change the store, the token, anything. */
  onRequest: (request: SeenRequest) => void = () => {}
  /** Bodies of POSTs that were accepted: any path ending in `/events`. */
  readonly posted: string[] = []
  /** How many connections were ever opened. */
  connections = 0
  readonly #prefix: string
  readonly #faults: Fault[] = []
  readonly #sockets = new Set<Socket>()
  readonly #server: http.Server | http2.Http2SecureServer
  readonly #scheme: 'http' | 'https'
  #listener: Server

  constructor({ tls, store, token, prefix }: ApiServerOptions) {
    this.store = store ?? new ApiStore()
    this.watches = new ApiWatches(this.store)
    this.token = token
    this.#prefix = prefix ?? ''
    const answer: http.RequestListener = (request, response) => void this.#answer(request, response)
    this.#scheme = tls === undefined ? 'http' : 'https'
    this.#server = createServer(tls, answer)
    this.#listener = this.#server
    this.#server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      this.connections += 1
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    this.#server.on('tlsClientError', () => {})
  }

  /** `http://127.0.0.1:PORT`, or https, with the prefix. */
  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}${this.#prefix}`
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port
  }

  /** The next `count` requests meet this fault; faults queue up. */
  failNext(count: number, fault: Fault): void {
    for (let n = 0; n < count; n += 1) this.#faults.push(fault)
  }

  /** On a port of 127.0.0.1, or an open listener. */
  async listen(where: number | Server = 0): Promise<void> {
    if (typeof where === 'number') {
      this.#server.listen(where, '127.0.0.1')
      this.#listener = this.#server
      await once(this.#server, 'listening')
      return
    }
    this.#listener = where
    where.on('connection', (socket) => this.#server.emit('connection', socket))
  }

  /** Cuts every connection, as a machine that dies; the server goes on listening. */
  cutConnections(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => {
      this.#listener.close(resolve)
    })
    this.cutConnections()
    await closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://server')
    const seen = { path: url.pathname, query: url.searchParams, headers: request.headers }
    this.requests.push(seen)
    this.onRequest(seen)
    const fault = this.#faults.shift()
    if (fault?.kind === 'drop') request.socket.destroy()
    if (fault?.kind === 'drop' || fault?.kind === 'hang') return
    if (fault?.kind === 'slow') await sleep(fault.ms)
    const body = request.method === 'POST' ? await text(request) : undefined
    const reply = faultReply(fault) ?? this.#route(request, seen, body)
    if (reply === 'watch') {
      const resource = this.#resource(seen.path)
      const refusal = resource && this.#refuseWatch(resource, seen.query)
      if (refusal !== undefined) send(response, refusal, fault)
      else if (resource !== undefined) this.watches.open(resource, seen.query, response)
      return
    }
    send(response, reply, fault)
  }

  #refuseWatch(resource: Resource, query: URLSearchParams): Reply | undefined {
    const refusal = refuseSelector(resource, query, this.abilities)
    if (refusal !== undefined) return refusal
    if (query.get('sendInitialEvents') !== 'true' || this.watches.initialEvents !== 'refused') return undefined
    const message =
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch'
    return status(422, 'Invalid', message)
  }

  #resource(path: string) {
    const anywhere = path.replace(NAMESPACE, '/')
    return [...RESOURCES, PODS].find((resource) => this.#prefix + resource.path === anywhere)
  }

  #route(request: http.IncomingMessage, { path, query }: SeenRequest, body: string | undefined): Reply | 'watch' {
    if (!this.#isKnown(request)) return status(401, 'Unauthorized', 'Unauthorized')
    if (body !== undefined && path.endsWith('/events')) {
      this.posted.push(body)
      return { status: 201, body }
    }
    const resource = this.#resource(path)
    if (resource === undefined) return status(404, 'NotFound', 'the server could not find the requested resource')
    if (this.forbidden.has(resource.name)) {
      const [, group] = /^(.*)\//.exec(resource.apiVersion) ?? ['', '']
      const verb = query.get('watch') === 'true' ? 'watch' : 'list'
      const reason = `User "tester" cannot ${verb} resource "${resource.name}" in API group "${group}" at the cluster scope`
      return status(403, 'Forbidden', `${resource.name} is forbidden: ${reason}`, { kind: resource.name })
    }
    if (query.get('watch') === 'true') return 'watch'
    const [, namespace] = NAMESPACE.exec(path) ?? []
    if (namespace !== undefined) query.set('fieldSelector', `metadata.namespace=${namespace}`)
    return list(this.store, resource, query, this.abilities)
  }

  #isKnown(request: http.IncomingMessage): boolean {
    if (this.token === undefined) return true
    if ((request.socket as Partial<TLSSocket>).authorized === true) return true
    return request.headers.authorization === `Bearer ${this.token}`
  }
}

function createServer(tls: TlsFiles | undefined, answer: http.RequestListener): http.Server | http2.Http2SecureServer {
  if (tls === undefined) return http.createServer(answer)
  if (tls.http2 !== true) return https.createServer(tlsOptions(tls), answer)
  // Its compatible requests and responses do all that is done with them here.
  return http2.createSecureServer({ ...tlsOptions(tls), allowHTTP1: true, maxSessionMemory: 1000 }, answer as never)
}

function tlsOptions({ certificate, clientCa }: TlsFiles): https.ServerOptions {
  return {
    cert: readFileSync(tlsFile(`${certificate}.crt`)),
    key: readFileSync(tlsFile(`${certificate}.key`)),
    ...(clientCa !== undefined && {
      ca: readFileSync(tlsFile(`${clientCa}.crt`)),
      requestCert: true,
      rejectUnauthorized: false,
    }),
  }
}

const NAMESPACE = /\/namespaces\/([^/]+)\//

/** The path of a file in test/data/tls. */
export function tlsFile(name: string): string {
  return new URL(`../data/tls/${name}`, import.meta.url).pathname
}

function faultReply(fault: Fault | undefined): Reply | undefined {
  if (fault?.kind === 'text') return { status: 200, headers: { 'Content-Type': 'text/html' }, body: fault.body }
  if (fault?.kind !== 'status') return undefined
  const reply = status(
    fault.code,
    REASONS[fault.code] ?? 'InternalError',
    `the server was told to fail with ${fault.code}`,
  )
  return fault.retryAfter === undefined ? reply : { ...reply, headers: { 'Retry-After': String(fault.retryAfter) } }
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  410: 'Expired',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

function send(response: http.ServerResponse, reply: Reply, fault: Fault | undefined): void {
  response.writeHead(reply.status, {
    'Cache-Control': 'no-cache, private',
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(reply.body),
    ...reply.headers,
  })
  if (fault?.kind !== 'cut' && fault?.kind !== 'stall') {
    response.end(reply.body)
    return
  }
  response.write(reply.body.slice(0, reply.body.length / 2), () => {
    if (fault.kind === 'cut') response.socket?.destroy()
  })
}
