// The connections to one API server: one shared HTTP/2 connection where the server offers it, else a kept-alive HTTP/1.1
// connection for each open request. Rotated certificates get a new connection while answers on the old one end in peace.
import type { TLSSocket } from 'node:tls'
import type { TlsSettings } from './credentials.ts'
import { openHttp1 } from './http1-transport.ts'
import { openHttp2 } from './http2-transport.ts'
import { type Endpoint, startTls, type Transport } from './transport.ts'

export interface Transports {
  /**
   * One that a request can be sent on now, with these settings; opened where there is none.
   * @throws errors of node:net and node:tls as they are.
   */
  readonly usable: (tls: TlsSettings) => Promise<Transport>
  /** Of the last one opened; undefined before the first. */
  readonly protocol: () => Transport['protocol'] | undefined
  /** Cuts everything that is open, and what is opened later. */
  readonly close: () => void
}

/** Opens nothing yet. */
export function createTransports(endpoint: Omit<Endpoint, 'tls'>): Transports {
  const all = new Set<Transport>()
  let current: { readonly tls: TlsSettings; readonly transport: Promise<Transport> } | undefined
  let protocol: Transport['protocol'] | undefined
  let isClosed = false

  async function connect(tls: TlsSettings): Promise<Transport> {
    const transport = await openTransport({ ...endpoint, tls })
    for (const old of all) if (!old.isUsable()) all.delete(old)
    all.add(transport)
    if (isClosed) transport.close()
    protocol = transport.protocol
    return transport
  }

  async function usable(tls: TlsSettings): Promise<Transport> {
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
    return usable(tls)
  }

  return {
    usable,
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
