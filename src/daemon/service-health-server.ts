// Listens on the health check node ports of one family. A port that can't be opened is reported and tried again at the
// next sync; two Services that claim one port are such a case: the first one keeps it until it goes.

import { once } from 'node:events'
import type { Server } from 'node:http'
import { type Family, formatEndpoint, type Ip } from '../model/address.ts'
import type { ObjectKey } from '../model/object-name.ts'
import { closeServer, createHttpServer } from './http-listener.ts'
import { type Answer, textReply } from './http-reply.ts'
import type { Log } from './log.ts'
import { type HealthCheck, type HealthChecks, printServiceHealth } from './service-health.ts'

export interface ServiceHealthServerOptions {
  readonly family: Family
  /** See healthCheckAddresses. */
  readonly addresses: 'any' | readonly Ip[]
  /**
   * The proxy's own health. Absent when the health server is switched off: then kube-proxy fails inside and drops the
   * connection, and so does this.
   */
  readonly isHealthy?: () => boolean
  readonly log: Log
  /** A port could not be opened; for the Event. */
  readonly onFailure: (service: ObjectKey, port: number, error: Error) => void
}

export interface ServiceHealthServer {
  /** Closes, opens and updates; never rejects. Calls are worked off one after the other. */
  readonly sync: (wanted: HealthChecks) => Promise<void>
  /** What is open: for status pages and tests. */
  readonly open: () => ReadonlyMap<ObjectKey, number>
  readonly close: () => Promise<void>
}

interface Opened {
  readonly port: number
  readonly servers: readonly Server[]
}

export function createServiceHealthServer(options: ServiceHealthServerOptions): ServiceHealthServer {
  const opened = new Map<ObjectKey, Opened>()
  let counts: HealthChecks = new Map()
  let working: Promise<void> = Promise.resolve()

  const closeOne = async (service: ObjectKey, { port, servers }: Opened): Promise<void> => {
    opened.delete(service)
    options.log.verbose(2, 'health check node port closed', { service, port })
    await Promise.all(servers.map(closeServer))
  }
  const openOne = async (service: ObjectKey, { port }: HealthCheck): Promise<void> => {
    const answer: Answer = () => {
      if (!opened.has(service)) return textReply(200, '')
      if (options.isHealthy === undefined) return 'drop'
      return printServiceHealth(service, counts.get(service)?.localEndpoints ?? 0, options.isHealthy())
    }
    try {
      opened.set(service, { port, servers: await openPort(port, answer, options) })
      options.log.verbose(2, 'health check node port opened', { service, port })
    } catch (error) {
      const problem = error as Error
      options.log.error("health check node port can't be opened, trying again at the next sync", {
        service,
        port,
        error: problem,
      })
      options.onFailure(service, port, problem)
    }
  }
  const sync = async (wanted: HealthChecks): Promise<void> => {
    counts = wanted
    const gone = [...opened].filter(([service, { port }]) => wanted.get(service)?.port !== port)
    // All are closed before one is opened: a port may go from one Service to another.
    await Promise.all(gone.map(([service, known]) => closeOne(service, known)))
    for (const [service, check] of wanted) if (!opened.has(service)) await openOne(service, check)
  }
  const next = (task: () => Promise<void>): Promise<void> => {
    working = working.then(task, task)
    return working
  }
  return {
    sync: (wanted) => next(() => sync(wanted)),
    open: () => new Map([...opened].map(([service, { port }]) => [service, port])),
    close: () => next(() => sync(new Map())),
  }
}

/** One server for each address; all of them or none. Rejects with the error of the first that can't listen. */
async function openPort(
  port: number,
  answer: Answer,
  { family, addresses, log }: ServiceHealthServerOptions,
): Promise<readonly Server[]> {
  const hosts = addresses === 'any' ? [family === 'ipv4' ? '0.0.0.0' : '::'] : addresses
  const servers: Server[] = []
  try {
    for (const host of hosts) servers.push(await listenOn(host, port, answer, log))
    return servers
  } catch (error) {
    await Promise.all(servers.map(closeServer))
    throw error
  }
}

async function listenOn(host: string, port: number, answer: Answer, log: Log): Promise<Server> {
  const server = createHttpServer(answer, log)
  // The engine of the other family opens its own.
  server.listen({ host, port, ...(host.includes(':') && { ipv6Only: true }) })
  await once(server, 'listening')
  server.on('error', (error) => {
    log.warn('health check node port: a connection could not be accepted', {
      address: formatEndpoint(host as Ip, port),
      error,
    })
  })
  return server
}
